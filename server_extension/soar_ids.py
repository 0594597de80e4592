"""``/api/proposals/soar-id/`` and its neighbours: which id, which frames, and mending a wrong one.

Frames belong to a proposal by the id in their header alone, so a typing error in either leaves
frames that nobody sees. Staff see here what a form is about to make, which ids have frames and no
proposal, and give the frames of a wrong id to the right one. Raw files are never touched: the
catalogue's own column decides whose a frame is.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads it)
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from sqlalchemy import func, or_, select, update

from goodman_live.hub.accounts.lists import current_semester
from goodman_live.hub.accounts.models import Proposal, utc_now
from goodman_live.hub.accounts.proposals import (
    SHARED,
    find_proposal,
    is_legal,
    is_usual,
    next_soar_id,
    semester_in,
)
from goodman_live.server_extension.catalogue.activity import Event, LogEntry
from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.work import Job
from goodman_live.server_extension.engine.events import frame_event
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement

    from goodman_live.server_extension.catalogue.viewer import Viewer

MOST_IDS = 500
MOST_TOLD = 200
"""Frames that open pages are told of one by one."""
ALIKE = 0.85
"""Likeness from which another id is shown as one that may be meant."""


class SoarIdQuery(Strict):
    """What the form has so far."""

    soar_id: str = Field("", max_length=80, description="As typed; empty asks for the next one.")
    semester: str = Field("", max_length=16, description="Default: the present one.")


class SoarIdCheck(Answer):
    """What is known of a SOAR id before a proposal is made of it."""

    proposed: str = Field(description="The next id of the semester, by the number there are.")
    semester: str = Field(description="Semester that the id names, or the one asked for.")
    soar_id: str = Field(description="The id that was asked about, or the proposed one.")
    accepted: bool = Field(description="False where no header could carry it.")
    usual: bool = Field(description="False for an odd one: look twice.")
    warning: str = Field(description="A sentence for the form, or empty.")
    proposal_id: int | None = Field(description="Proposal that has the id already.")
    frames: int = Field(description="Raw frames that carry the id already.")
    first_night: str
    last_night: str
    similar: list[str] = Field(description="Ids in frames or proposals that look alike.")


class UnclaimedId(Answer):
    """An id that frames carry and no proposal has."""

    soar_id: str
    frames: int
    first_night: str
    last_night: str
    newest: dt.datetime | None = Field(description="Start of the newest exposure.")
    usual: bool
    similar: list[str] = Field(description="Proposals with an id that looks alike.")


class Unclaimed(Answer):
    """Ids without a proposal, the newest first."""

    results: list[UnclaimedId]


class Reassignment(Strict):
    """Frames of a wrong id, to be given to a proposal."""

    from_soar_id: str = Field(min_length=1, max_length=80)
    to_soar_id: str = Field(min_length=1, max_length=80)
    file_ids: list[Annotated[int, Field(ge=0, le=LARGEST)]] = Field(
        default_factory=list,
        max_length=1000,
        description="Only these raw frames and what was made of them; default all of the id.",
    )
    apply: bool = Field(default=False, description="False says what would be done.")


class Reassigned(Answer):
    """What a reassignment does."""

    applied: bool
    frames: int = Field(description="Raw frames.")
    products: int = Field(description="Files made of them.")
    warning: str


class SoarIdHandler(ApiHandler):
    """Before a proposal is made."""

    @operation(
        id="api_proposals_soar_id_read",
        summary="Propose a SOAR id, or look at one",
        tag="proposals",
        access=Access.STAFF,
        query=SoarIdQuery,
        answer=SoarIdCheck,
    )
    async def get(self, query: SoarIdQuery) -> SoarIdCheck:
        """Return what is known of an id."""
        return await self.backend.read(check_id, query)


class UnclaimedHandler(ApiHandler):
    """Frames that nobody sees."""

    @operation(
        id="api_proposals_unclaimed_list",
        summary="SOAR ids that frames carry and no proposal has",
        tag="proposals",
        access=Access.STAFF,
        answer=Unclaimed,
    )
    async def get(self) -> Unclaimed:
        """Return the ids without a proposal."""
        return await self.backend.read(unclaimed)


class ReassignHandler(ApiHandler):
    """Frames whose header names a wrong id."""

    @operation(
        id="api_proposals_reassign_create",
        summary="Give the frames of a wrong SOAR id to a proposal",
        tag="proposals",
        access=Access.STAFF,
        body=Reassignment,
        answer=Reassigned,
        errors=(404, 409),
        description="In the catalogue alone: the raw file keeps its header.",
    )
    async def post(self, body: Reassignment) -> Reassigned:
        """Say what would be done, and do it if asked to."""
        done: Reassigned = await self.backend.engine.write(reassign, self.viewer, body)
        return done


def check_id(session: Session, query: SoarIdQuery) -> SoarIdCheck:
    """Return what is known of an id."""
    semester = query.semester or semester_in(query.soar_id) or current_semester()
    proposed = next_soar_id(session, semester)
    soar_id = query.soar_id or proposed
    legal = is_legal(soar_id)
    there = find_proposal(session, soar_id)
    frames, first, last = _frames_of(session, soar_id)
    similar = _similar(soar_id, _known_ids(session))
    return SoarIdCheck(
        proposed=proposed,
        semester=semester_in(soar_id) or semester,
        soar_id=soar_id,
        accepted=legal and there is None,
        usual=is_usual(soar_id),
        warning=_warning(soar_id, legal=legal, taken=there is not None, similar=similar),
        proposal_id=there.id if there else None,
        frames=frames,
        first_night=first,
        last_night=last,
        similar=similar,
    )


def _warning(soar_id: str, *, legal: bool, taken: bool, similar: list[str]) -> str:
    if not legal:
        return f"{soar_id!r} cannot be a SOAR id: no header could carry it."
    if taken:
        return f"The proposal {soar_id} exists."
    if not is_usual(soar_id):
        also = f" There is {similar[0]}." if similar else ""
        return f"{soar_id!r} is an odd id: frames must carry exactly this in PROPID.{also}"
    return ""


def _frames_of(session: Session, soar_id: str) -> tuple[int, str, str]:
    row = session.execute(
        select(func.count(), func.min(Frame.night), func.max(Frame.night)).where(
            Frame.data_type == 0, Frame.proposal_id == soar_id
        )
    ).one()
    return row[0], row[1] or "", row[2] or ""


def _known_ids(session: Session) -> list[str]:
    frames = select(Frame.proposal_id).where(Frame.data_type == 0).distinct()
    return sorted({*session.scalars(frames), *session.scalars(select(Proposal.soar_id))} - {""})


def _similar(soar_id: str, others: list[str]) -> list[str]:
    """Return ids that differ by a slip; consecutive numbers of one semester are no slips."""
    found = get_close_matches(soar_id, [o for o in others if o != soar_id], n=8, cutoff=ALIKE)
    if is_usual(soar_id):
        found = [other for other in found if not is_usual(other)]
    return found[:4]


def unclaimed(session: Session) -> Unclaimed:
    """Return the ids that frames carry and no proposal has."""
    newest = func.max(Frame.start)
    rows = session.execute(
        select(
            Frame.proposal_id, func.count(), func.min(Frame.night), func.max(Frame.night), newest
        )
        .where(
            Frame.data_type == 0,
            Frame.proposal_id != "",
            Frame.proposal_id.not_in(select(Proposal.soar_id)),
        )
        .group_by(Frame.proposal_id)
        .order_by(newest.desc())
        .limit(MOST_IDS)
    ).all()
    ids = list(session.scalars(select(Proposal.soar_id)))
    return Unclaimed(
        results=[
            UnclaimedId(
                soar_id=soar_id,
                frames=count,
                first_night=first,
                last_night=last,
                newest=start,
                usual=is_usual(soar_id),
                similar=_similar(soar_id, ids),
            )
            for soar_id, count, first, last, start in rows
        ]
    )


def reassign(session: Session, viewer: Viewer, wish: Reassignment) -> Reassigned:
    """Give frames of one id, and all that was made of them, to a proposal.

    Raises
    ------
    NotFoundError
        If no proposal has the new id, or no frame the old one.
    ConflictError
        If the two are the same.
    """
    if wish.from_soar_id == wish.to_soar_id:
        raise ConflictError("The two ids are the same.", field="to_soar_id")
    if find_proposal(session, wish.to_soar_id) is None:
        raise NotFoundError(
            f"There is no proposal {wish.to_soar_id!r}.",
            remedy="Make it first.",
            field="to_soar_id",
        )
    mine = [Frame.proposal_id == wish.from_soar_id]
    if wish.file_ids:
        mine.append(Frame.original_id.in_(wish.file_ids) | Frame.id.in_(wish.file_ids))
    count = select(func.count()).select_from(Frame).where(*mine)
    frames = session.scalar(count.where(Frame.data_type == 0)) or 0
    products = session.scalar(count.where(Frame.data_type != 0)) or 0
    if not frames:
        raise NotFoundError(
            f"No raw frame of {wish.from_soar_id!r} is meant.", field="from_soar_id"
        )
    if wish.apply:
        _move(session, viewer, wish, mine)
    return Reassigned(
        applied=wish.apply,
        frames=frames,
        products=products,
        warning=_loss(session, wish),
    )


def _loss(session: Session, wish: Reassignment) -> str:
    """Say who sees the frames no more."""
    old = find_proposal(session, wish.from_soar_id)
    if wish.from_soar_id in SHARED:
        return f"{wish.from_soar_id} is shared: others may need these frames."
    if old is None:
        return ""
    return f"The members of {old.soar_id} see these frames no more."


def _move(
    session: Session, viewer: Viewer, wish: Reassignment, mine: list[ColumnElement[bool]]
) -> None:
    """Change whose the frames are, and all that is told of them, in the caller's transaction."""
    frames = select(Frame.id).where(*mine)
    families = select(Frame.id).where(*mine, Frame.data_type == 0)
    to = {"proposal_id": wish.to_soar_id}
    quietly = {"synchronize_session": False}
    for table in (Event, LogEntry, Job):
        about = [table.frame_id.in_(frames)]
        if table is Job:
            about.append(Job.original_id.in_(families))
        old = table.proposal_id == wish.from_soar_id
        move = update(table).where(old, or_(*about)).values(to)
        session.execute(move, execution_options=quietly)
    # Last: the statements above ask which frames are meant.
    changed = list(session.scalars(families))
    session.execute(
        update(Frame).where(*mine).values(**to, last_modified=utc_now()),
        execution_options=quietly,
    )
    session.expire_all()
    for raw in session.scalars(select(Frame).where(Frame.id.in_(changed[:MOST_TOLD]))):
        frame_event(session, "frame.changed", raw)
    session.add(
        LogEntry(
            source="accounts",
            message=f"{viewer.username} gave {len(changed)} raw frames of {wish.from_soar_id} to"
            f" {wish.to_soar_id}.",
            user_id=viewer.user_id or None,
            proposal_id=wish.to_soar_id,
        )
    )
