"""What the API answers, as models: the public service's fields first, ours after them.

The OpenAPI document is made from these, and every answer is built through them, so a field that
is documented is a field that is sent.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads it)
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from goodman_live.hub.accounts.models import Proposal, User
    from goodman_live.server_extension.catalogue.activity import Comment, LogEntry
    from goodman_live.server_extension.catalogue.frames import Frame
    from goodman_live.server_extension.catalogue.work import Job

Row = TypeVar("Row")


class Answer(BaseModel):
    """Base of every answer: every field is always there, null where there is nothing."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Problem(Answer):
    """Every error of the API."""

    status: int = Field(description="HTTP status, again.")
    code: str = Field(description="Stable name of what went wrong.")
    message: str = Field(description="What went wrong and what helps, for people.")
    field: str = Field(description="Parameter, setting or header keyword at fault, or empty.")


class Page(Answer, Generic[Row]):
    """One page of a list."""

    count: int = Field(description="Rows in all.")
    next: str | None = Field(description="Address of the next page.")
    previous: str | None = Field(description="Address of the previous page.")
    results: list[Row]


class FileModel(Answer):
    """One FITS file of the catalogue."""

    id: int
    created: dt.datetime
    last_modified: dt.datetime
    original_file: str
    original_file_id: int
    parent_file: str
    parent_file_id: int
    file_name: str
    directory_name: str
    full_path: str
    obstype: str
    object: str
    filter: str
    filter_2: str
    grating: str
    slit: str
    cam_targ: str
    grt_targ: str
    obsra: str
    obsdec: str
    gain: str
    rdnoise: str
    roi: str
    wavmode: str
    proposal_id: str
    observation_id: int | None
    configuration_id: int | None
    block_id: int | None
    image_id: int | None
    date: dt.date | None
    data_type: str = Field(
        description="0 raw, 1 master, 2 reduced, 3 extracted, 4 wavelength, 5 flux calibrated."
    )
    normalized: bool
    technique: str
    saturation_value: int | None
    # ours follow
    camera: str
    kind: str
    night: str
    start: dt.datetime | None
    exptime: float
    airmass: float | None
    binning: str
    nx: int
    ny: int
    size: int
    sha256: str | None
    state: str
    waits_for: str
    version: int
    is_current: bool
    private: bool = Field(description="A version that only the one who made it sees.")
    target: int | None
    role: str = Field(
        description="Empty for a step's result; `linear`, `mask` ... for what lies beside it."
    )
    block: str
    job_id: int | None
    provisional: bool
    grade: str
    quality: dict[str, Any]

    @classmethod
    def values_of(cls, frame: Frame) -> dict[str, Any]:
        """Return the fields of `frame`."""
        same = cls.model_fields.keys() - _RENAMED.keys()
        values = {name: getattr(frame, name) for name in same if hasattr(frame, name)}
        return values | {name: get(frame) for name, get in _RENAMED.items()}

    @classmethod
    def of(cls, frame: Frame) -> FileModel:
        """Return `frame` as it travels."""
        return cls.model_construct(**cls.values_of(frame))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


_RENAMED: dict[str, Any] = {
    "object": lambda frame: frame.object_name,
    "cam_targ": lambda frame: _number(frame.cam_targ),
    "grt_targ": lambda frame: _number(frame.grt_targ),
    "gain": lambda frame: _number(frame.gain),
    "rdnoise": lambda frame: _number(frame.rdnoise),
    "data_type": lambda frame: str(frame.data_type),
    "saturation_value": lambda frame: (
        None if frame.saturation_value is None else round(frame.saturation_value)
    ),
    "exptime": lambda frame: frame.exptime_s,
    "binning": lambda frame: f"{frame.xbin}x{frame.ybin}",
    "sha256": lambda frame: frame.checksum,
    "private": lambda frame: frame.owner_id is not None,
}


class InputModel(Answer):
    """One input of a product."""

    id: int | None = Field(description="Id of the file, null if it is gone or not yours to see.")
    role: str
    file_name: str
    sha256: str
    grade: str
    reasons: list[str]


class FileDetail(FileModel):
    """One file with its history."""

    inputs: list[InputModel] = Field(description="What it was made from, with checksums.")
    settings: dict[str, Any] = Field(description="Settings that it was made with.")
    versions: dict[str, Any] = Field(description="Versions of the software that made it.")
    timing: dict[str, Any] = Field(description="Seconds that each step took.")
    messages: list[str] = Field(description="What the block said.")
    latency: dict[str, dt.datetime] = Field(description="When each stage was reached.")
    may_change: bool = Field(description="Whether you may change or delete it.")


class UserModel(Answer):
    """One account, as the public service shows it."""

    id: int
    username: str
    last_login: dt.datetime | None
    first_name: str
    last_name: str
    email: str
    is_staff: bool
    is_active: bool
    date_joined: dt.datetime

    @classmethod
    def of(cls, user: User) -> UserModel:
        """Return `user` as it travels."""
        return cls.model_construct(**{name: getattr(user, name) for name in cls.model_fields})


class ProposalModel(Answer):
    """One observing proposal, as the public service shows it."""

    id: int
    soar_id: str
    semester: str
    title: str
    abstract: str
    user: UserModel | None = Field(description="The principal investigator.")
    collaborators: list[UserModel]
    # ours follow
    public_date: dt.datetime | None

    @classmethod
    def of(cls, proposal: Proposal) -> ProposalModel:
        """Return `proposal` as it travels."""
        names = ("id", "soar_id", "semester", "title", "abstract", "public_date")
        people = sorted(proposal.collaborators, key=lambda user: user.username)
        return cls.model_construct(
            **{name: getattr(proposal, name) for name in names},
            user=UserModel.of(proposal.pi) if proposal.pi else None,
            collaborators=[UserModel.of(user) for user in people],
        )


class JobModel(Answer):
    """One run of a block."""

    id: int
    block: str
    status: str = Field(description="queued, running, done, failed or cancelled.")
    progress: float = Field(description="From 0 to 1.")
    message: str = Field(description="Why it failed, or what it said last.")
    code: str = Field(description="Stable name of the failure, or empty.")
    file_id: int | None
    proposal_id: str
    user: str | None = Field(description="Who asked; null for the pipeline itself.")
    products: list[int] = Field(description="Ids of the files it made.")
    created: dt.datetime
    started: dt.datetime | None
    finished: dt.datetime | None

    @classmethod
    def values_of(cls, job: Job, *, user: str | None, products: list[int]) -> dict[str, Any]:
        """Return the fields of `job`."""
        error = job.error or {}
        text = " ".join(part for part in (error.get("message"), error.get("remedy")) if part)
        same = ("id", "block", "progress", "proposal_id", "created", "started", "finished")
        return {name: getattr(job, name) for name in same} | {
            "status": job.state,
            "message": text,
            "code": str(error.get("code") or ""),
            "file_id": job.frame_id,
            "user": user,
            "products": products,
        }


class JobLine(Answer):
    """One line of a job's log."""

    at: dt.datetime
    level: str
    message: str


class JobDetail(JobModel):
    """One run of a block with its log."""

    settings: dict[str, Any]
    apertures: list[dict[str, Any]] | None = Field(
        description="Those placed by hand, as `spectrum/extract/` takes them."
    )
    log: list[JobLine]


class CommentModel(Answer):
    """What somebody wrote on a file."""

    id: int
    file_id: int
    author: str
    text: str
    created: dt.datetime
    last_modified: dt.datetime
    mine: bool

    @classmethod
    def of(cls, comment: Comment, user_id: int) -> CommentModel:
        """Return `comment` as `user_id` sees it."""
        names = ("id", "author", "text", "created", "last_modified")
        return cls.model_construct(
            **{name: getattr(comment, name) for name in names},
            file_id=comment.frame_id,
            mine=comment.user_id == user_id,
        )


class LogModel(Answer):
    """One line of the log."""

    id: int
    at: dt.datetime
    level: str
    source: str
    message: str
    proposal_id: str
    file_id: int | None
    job_id: int | None

    @classmethod
    def of(cls, entry: LogEntry) -> LogModel:
        """Return `entry` as it travels."""
        names = ("id", "at", "level", "source", "message", "proposal_id", "job_id")
        return cls.model_construct(
            **{name: getattr(entry, name) for name in names}, file_id=entry.frame_id
        )
