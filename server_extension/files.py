"""``/api/files/``: lists with filters and facets, one file with its history and its family."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads it)
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from pydantic import Field, field_validator
from sqlalchemy import func, select

from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import MASTER, may_change, visible_to
from goodman_live.server_extension.catalogue.queries import (
    COLUMNS,
    FACETS,
    ORDERINGS,
    Filters,
    count_and_facets,
    get_frame,
    list_frames,
    neighbours,
    related,
)
from goodman_live.server_extension.catalogue.sky import Cone, parse_dec, parse_ra
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.large_body import LargeBodyHandler
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.schemas import (
    Answer,
    FileDetail,
    FileModel,
    InputModel,
    Page,
)
from goodman_live.server_extension.selection import FileChoice, chosen
from goodman_live.server_extension.upload import (
    UPLOADS,
    Upload,
    incoming,
    keep_upload,
    path_below,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

DataType = Literal["0", "1", "2", "3", "4", "5"]
LARGEST_PAGE = 500
"""Rows of a page at most."""


class FileFilters(Strict):
    """Filters of a list; a repeated parameter means any of its values."""

    data_type: list[DataType] | None = Field(
        None, description="0 raw, 1 master, 2 reduced, 3 extracted, 4 wavelength, 5 flux."
    )
    obstype: list[str] | None = None
    object: list[str] | None = None
    filter: list[str] | None = None
    filter_2: list[str] | None = None
    grating: list[str] | None = None
    wavmode: list[str] | None = None
    slit: list[str] | None = None
    roi: list[str] | None = None
    technique: list[str] | None = None
    date: list[dt.date] | None = Field(None, description="UT date of the exposure.")
    date_min: dt.date | None = None
    date_max: dt.date | None = None
    proposal_id: list[str] | None = None
    file_name: list[str] | None = None
    night: list[str] | None = Field(None, description="Local-evening date, YYYYMMDD.")
    kind: list[str] | None = None
    camera: list[str] | None = None
    state: list[str] | None = None
    grade: list[str] | None = Field(None, description="How close the calibrations match: A to D.")
    ra: str = Field("", max_length=40, description="Degrees or hh:mm:ss, with `dec`: a position.")
    dec: str = Field("", max_length=40, description="Degrees or dd:mm:ss.")
    radius: float = Field(5.0, gt=0, le=600, description="Around it, arcminutes.")
    original_file_id: int | None = Field(
        None, ge=0, le=2**63 - 1, description="Only this raw file and what was made of it."
    )
    current: bool | None = Field(None, description="Only current versions, or only older ones.")
    search: str = Field("", max_length=200, description="Text in object, file name or proposal.")

    def filters(self, max_id: int | None = None) -> Filters:
        """Return them as the catalogue takes them."""
        equal = {
            name: [int(v) for v in values] if name == "data_type" else values
            for name in COLUMNS
            if (values := getattr(self, name, None))
        }
        return Filters(
            equal=equal,
            date_min=self.date_min,
            date_max=self.date_max,
            search=self.search,
            original_id=self.original_file_id,
            current=self.current,
            max_id=max_id,
            cone=self.cone(),
        )

    def cone(self) -> Cone | None:
        """Return the position that is asked for."""
        if not self.ra or not self.dec:
            return None
        return Cone(parse_ra(self.ra), parse_dec(self.dec), self.radius)

    @field_validator("ra")
    @classmethod
    def _is_ra(cls, text: str) -> str:
        if text:
            parse_ra(text)
        return text

    @field_validator("dec")
    @classmethod
    def _is_dec(cls, text: str) -> str:
        if text:
            parse_dec(text)
        return text


class FileQuery(FileFilters):
    """One page of a list."""

    ordering: str = Field(
        "-id",
        max_length=200,
        description=f"Of {', '.join(ORDERINGS)}; a minus reverses, commas join.",
    )
    page: int = Field(1, ge=1, le=10**9, description="From 1.")
    page_size: int = Field(20, ge=1, le=LARGEST_PAGE, description="Files of a page.")
    max_id: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        description="Nothing that came after this id; `next` sets it, so that following it"
        " shows every file once while new ones arrive.",
    )


class FilePage(Page[FileModel]):
    """One page of files."""


class UploadQuery(Strict):
    """With the bytes of a file as the body."""

    file_name: str | None = Field(None, min_length=1, max_length=200)


class Deleted(Answer):
    """What was deleted."""

    deleted: int


class FacetValue(Answer):
    """One value of a filter."""

    value: str
    count: int


class Facets(Answer):
    """The values of each filter, the most frequent first."""

    count: int = Field(description="Files in all under these filters.")
    facets: dict[str, list[FacetValue]]


class Family(Answer):
    """A file among its relatives."""

    original: FileModel | None
    products: list[FileModel]
    inputs: list[FileModel]
    used_by: list[FileModel]
    older: int | None = Field(description="Id of the next older file that you see.")
    newer: int | None = Field(description="Id of the next newer file that you see.")


class FilesHandler(LargeBodyHandler):
    """The list."""

    @operation(
        id="api_files_list",
        summary="Files, newest first",
        tag="files",
        query=FileQuery,
        answer=FilePage,
    )
    async def get(self, query: FileQuery) -> FilePage:
        """Return one page of the files that the caller may see."""
        page = await self.backend.read(page_of_files, self.viewer, query)
        newest = max((file.last_modified for file in page.results), default=None)
        if newest is not None:
            self.set_header("Last-Modified", newest)
        here = f"{self.request.protocol}://{self.request.host}{self.request.path}"
        for name in ("next", "previous"):
            if tail := getattr(page, name):
                setattr(page, name, f"{here}?{tail}")
        return page

    @operation(
        id="api_files_create",
        summary="Add a raw file",
        tag="files",
        access=Access.INSTRUMENT,
        query=UploadQuery,
        body_media=("application/json", "multipart/form-data", "application/octet-stream"),
        answer=FileModel,
        status=201,
        errors=(409, 413, 422, 507),
        description="A path under a raw root (JSON: `path`), or the file itself: a form with"
        " `file`, or the bytes with `?file_name=`. Waits until the file is whole; the same file"
        " twice is one row.",
    )
    async def post(self, query: UploadQuery) -> FileModel:
        """Take a file into the catalogue."""
        settings = self.backend.settings
        found = incoming(self.request, query.file_name, settings.max_upload_bytes)
        if isinstance(found, Upload):
            folder = settings.raw_roots[0] / UPLOADS
            path = await self.backend.compute(keep_upload, found, folder)
        else:
            path = path_below(found, settings.raw_roots)
        frame = await self.backend.engine.add_file(path)
        return await self.backend.read(file_model, self.viewer, frame.id)

    @operation(
        id="api_files_delete",
        summary="Delete a product",
        tag="files",
        query=FileChoice,
        answer=Deleted,
        errors=(404, 409),
    )
    async def delete(self, query: FileChoice) -> Deleted:
        """Delete a product that the caller may change; raw files are never deleted."""
        frame_id = await self.backend.read(chosen_id, self.viewer, query)
        await self.backend.engine.delete(frame_id, self.viewer)
        return Deleted(deleted=frame_id)


class FacetsHandler(ApiHandler):
    """The values of the filters."""

    @operation(
        id="api_files_facets_list",
        summary="Values of each filter with counts",
        tag="files",
        query=FileFilters,
        answer=Facets,
    )
    async def get(self, query: FileFilters) -> Facets:
        """Return the facets under these filters; a field's own filter leaves its facet alone."""
        return await self.backend.read(facets_of_files, self.viewer, query)


class FileHandler(ApiHandler):
    """One file."""

    @operation(
        id="api_files_read", summary="One file with its history", tag="files", answer=FileDetail
    )
    async def get(self, id: int) -> FileDetail:  # noqa: A002 (the path's own name)
        """Return the file with inputs, settings, versions, timing and latency."""
        return await self.backend.read(file_detail, self.viewer, id)


class FamilyHandler(ApiHandler):
    """The relatives of one file."""

    @operation(
        id="api_files_related_list", summary="Relatives of a file", tag="files", answer=Family
    )
    async def get(self, id: int) -> Family:  # noqa: A002
        """Return the raw file, everything made from it, and what went into that."""
        return await self.backend.read(family_of, self.viewer, id)


# --- what the handlers ask; no HTTP below ---


def chosen_id(session: Session, viewer: Viewer, choice: FileChoice) -> int:
    """Return the id of a file that `viewer` may see."""
    return chosen(session, viewer, choice).id


def file_model(session: Session, viewer: Viewer, frame_id: int) -> FileModel:
    """Return one file as it travels."""
    return FileModel.of(get_frame(session, viewer, frame_id))


def page_of_files(session: Session, viewer: Viewer, query: FileQuery) -> FilePage:
    """Return one page; `next` and `previous` are queries, without the address."""
    found = list_frames(
        session,
        viewer,
        query.filters(query.max_id),
        ordering=query.ordering,
        page=query.page,
        page_size=query.page_size,
    )
    last = -(-found.count // query.page_size)
    forward = None
    if query.page < last:
        newest = query.max_id
        if newest is None and query.page == 1:
            newest = session.scalar(select(func.max(Frame.id)))
        forward = _link(query, query.page + 1, newest)
    back = (
        _link(query, min(query.page - 1, last), query.max_id) if query.page > 1 and last else None
    )
    return FilePage(
        count=found.count,
        next=forward,
        previous=back,
        results=[FileModel.of(frame) for frame in found.frames],
    )


def _link(query: FileQuery, page: int, max_id: int | None) -> str:
    values = query.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    values.pop("page", None)
    return urlencode(
        {**values, "page": page, **({"max_id": max_id} if max_id else {})}, doseq=True
    )


def facets_of_files(session: Session, viewer: Viewer, query: FileFilters) -> Facets:
    """Return the facets."""
    count, found = count_and_facets(session, viewer, query.filters(), names=FACETS)
    return Facets(
        count=count,
        facets={
            name: [FacetValue(value=str(value), count=number) for value, number in values]
            for name, values in found.items()
        },
    )


def file_detail(session: Session, viewer: Viewer, frame_id: int) -> FileDetail:
    """Return one file with its history; inputs that the viewer may not see lose their id.

    What a master was made of loses its name, too: everybody sees the master.
    """
    frame = get_frame(session, viewer, frame_id)
    wanted = [item.input_id for item in frame.inputs if item.input_id is not None]
    seen = set(session.scalars(select(Frame.id).where(Frame.id.in_(wanted), visible_to(viewer))))
    named = viewer.sees_all or frame.data_type != MASTER
    inputs = [
        InputModel(
            id=item.input_id if item.input_id in seen else None,
            role=item.role,
            file_name=item.file_name if named or item.input_id in seen else "",
            sha256=item.checksum,
            grade=item.grade,
            reasons=[str(reason) for reason in item.reasons or ()],
        )
        for item in frame.inputs
    ]
    return FileDetail.model_construct(
        **FileModel.values_of(frame),
        inputs=inputs,
        settings=frame.settings or {},
        versions=frame.versions or {},
        timing=frame.timing or {},
        messages=[str(message) for message in frame.messages or ()],
        latency={stamp.stage: stamp.at for stamp in frame.stamps},
        may_change=may_change(session, viewer, frame),
    )


def family_of(session: Session, viewer: Viewer, frame_id: int) -> Family:
    """Return the relatives of one file."""
    frame = get_frame(session, viewer, frame_id)
    family = related(session, viewer, frame)
    older, newer = neighbours(session, viewer, frame)

    def models(frames: Sequence[Frame]) -> list[FileModel]:
        return [FileModel.of(one) for one in frames]

    return Family(
        original=FileModel.of(family.original) if family.original else None,
        products=models(family.products),
        inputs=models(family.inputs),
        used_by=models(family.used_by),
        older=older,
        newer=newer,
    )
