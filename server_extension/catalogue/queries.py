"""Lists, counts and facets of frames, each filtered by permission in the query itself."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from astropy.io.fits import Header
from sqlalchemy import and_, func, or_, select

from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError, QueryError
from goodman_live.server_extension.catalogue.frames import (
    Frame,
    HeaderCards,
    HeaderRepair,
    ProductInput,
)
from goodman_live.server_extension.catalogue.permission import visible_to

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy.orm import InstrumentedAttribute, Session
    from sqlalchemy.sql import ColumnElement

    from goodman_live.server_extension.catalogue.viewer import Viewer

COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    "data_type": Frame.data_type,
    "obstype": Frame.obstype,
    "object": Frame.object_name,
    "filter": Frame.filter,
    "filter_2": Frame.filter_2,
    "grating": Frame.grating,
    "wavmode": Frame.wavmode,
    "slit": Frame.slit,
    "roi": Frame.roi,
    "technique": Frame.technique,
    "date": Frame.date,
    "proposal_id": Frame.proposal_id,
    "file_name": Frame.file_name,
    "night": Frame.night,
    "kind": Frame.kind,
    "camera": Frame.camera,
    "state": Frame.state,
}
"""Filters that a value must equal, by their name in the API."""

FACETS = (
    "data_type",
    "obstype",
    "filter",
    "filter_2",
    "grating",
    "wavmode",
    "slit",
    "roi",
    "technique",
    "date",
    "proposal_id",
)
"""Filters whose values are counted."""

ORDERINGS: dict[str, InstrumentedAttribute[Any]] = {
    "id": Frame.id,
    "date": Frame.start,
    "start": Frame.start,
    "created": Frame.created,
    "last_modified": Frame.last_modified,
    "file_name": Frame.file_name,
    "object": Frame.object_name,
    "proposal_id": Frame.proposal_id,
    "data_type": Frame.data_type,
    "obstype": Frame.obstype,
    "exptime": Frame.exptime_s,
    "airmass": Frame.airmass,
}
"""What a list can be ordered by; a leading minus reverses."""

DEEPEST = 2**62
"""Largest offset: beyond it databases overflow."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to. Values of one field are alternatives; fields combine."""

    equal: dict[str, Sequence[Any]] = field(default_factory=dict)
    """Name in `COLUMNS` to accepted values."""
    date_min: date | None = None
    date_max: date | None = None
    search: str = ""
    """Text within object, file name or proposal, whatever the case."""
    original_id: int | None = None
    """Only this raw frame and its descendants."""
    current: bool | None = None
    """Only current versions, or only superseded ones."""
    max_id: int | None = None
    """Nothing that came after this id: pages stay in step while frames arrive."""

    def clauses(self, *, without: str = "") -> list[ColumnElement[bool]]:
        """Return the conditions, leaving out the field `without` (for its own facet).

        Raises
        ------
        QueryError
            If a filter has no such name.
        """
        found: list[ColumnElement[bool]] = []
        for name, values in self.equal.items():
            if name not in COLUMNS:
                raise QueryError(
                    f"No filter '{name}'.", remedy=f"Accepted: {', '.join(COLUMNS)}.", field=name
                )
            if values and name != without:
                found.append(COLUMNS[name].in_(list(values)))
        if self.date_min and without != "date":
            found.append(Frame.date >= self.date_min)
        if self.date_max and without != "date":
            found.append(Frame.date <= self.date_max)
        if self.search.strip():
            found.append(_contains(self.search.strip()))
        if self.original_id is not None:
            found.append(or_(Frame.id == self.original_id, Frame.original_id == self.original_id))
        if self.current is not None:
            found.append(Frame.is_current.is_(self.current))
        if self.max_id is not None:
            found.append(Frame.id <= self.max_id)
        return found


def _contains(text: str) -> ColumnElement[bool]:
    columns = (Frame.object_name, Frame.file_name, Frame.proposal_id)
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


@dataclass(frozen=True, slots=True)
class FramePage:
    """One page of a list."""

    count: int
    """Rows in all pages."""
    frames: list[Frame]
    """Rows of this page."""


def list_frames(
    session: Session,
    viewer: Viewer,
    filters: Filters | None = None,
    *,
    ordering: str = "-id",
    page: int = 1,
    page_size: int = 20,
) -> FramePage:
    """Return one page of the frames that `viewer` may see.

    A deep page is read from the nearer end, over ids alone.

    Parameters
    ----------
    ordering : str
        Names in `ORDERINGS` joined by commas, each with an optional minus.
    page : int
        From 1.
    page_size : int
        Rows of a page.

    Raises
    ------
    QueryError
        If a filter, ordering or page is unknown or out of range.
    """
    where = [visible_to(viewer), *(filters or Filters()).clauses()]
    keys = _ordering(ordering)
    offset = (page - 1) * page_size
    if page < 1 or page_size < 1 or offset > DEEPEST:
        raise QueryError(f"No page {page} of {page_size}.", remedy="Begin at 1.", field="page")
    count = session.scalar(select(func.count()).select_from(Frame).where(*where)) or 0
    if offset >= count:
        return FramePage(count, [])
    size = min(page_size, count - offset)
    backwards = offset > count // 2
    skip = count - offset - size if backwards else offset
    order = [column.asc() if up != backwards else column.desc() for column, up in keys]
    ids = list(
        session.scalars(select(Frame.id).where(*where).order_by(*order).offset(skip).limit(size))
    )
    found = {row.id: row for row in session.scalars(select(Frame).where(Frame.id.in_(ids)))}
    rows = [found[key] for key in ids if key in found]
    return FramePage(count, rows[::-1] if backwards else rows)


def _ordering(text: str) -> list[tuple[InstrumentedAttribute[Any], bool]]:
    keys = []
    for part in text.split(",") if text else ["-id"]:
        name = part.strip().removeprefix("-")
        if name not in ORDERINGS:
            raise QueryError(
                f"No ordering '{part.strip()}'.",
                remedy=f"Accepted: {', '.join(ORDERINGS)}, each with an optional minus.",
                field="ordering",
            )
        keys.append((ORDERINGS[name], not part.strip().startswith("-")))
    if keys[-1][0] is not Frame.id:
        keys.append((Frame.id, keys[-1][1]))  # ties keep one order on every page
    return keys


def count_frames(session: Session, viewer: Viewer, filters: Filters | None = None) -> int:
    """Return how many frames `viewer` may see with these filters."""
    where = [visible_to(viewer), *(filters or Filters()).clauses()]
    return session.scalar(select(func.count()).select_from(Frame).where(*where)) or 0


def facets(
    session: Session,
    viewer: Viewer,
    filters: Filters | None = None,
    *,
    names: Sequence[str] = FACETS,
    limit: int = 200,
) -> dict[str, list[tuple[Any, int]]]:
    """Return the values of each filter with their counts, the most frequent first.

    A field's own filter is left out of its facet, so that its other values stay in reach.
    """
    filters = filters or Filters()
    found: dict[str, list[tuple[Any, int]]] = {}
    for name in names:
        column = COLUMNS[name]
        total = func.count()
        rows = session.execute(
            select(column, total)
            .where(visible_to(viewer), *filters.clauses(without=name))
            .group_by(column)
            .order_by(total.desc(), column)
            .limit(limit)
        )
        found[name] = [(value, number) for value, number in rows if value is not None]
    return found


def get_frame(session: Session, viewer: Viewer, frame_id: int) -> Frame:
    """Return one frame.

    Raises
    ------
    NotFoundError
        If there is none of this id, or `viewer` may not see it.
    """
    if not 0 < frame_id < 2**31:
        raise _absent(f"id {frame_id}")
    frame = session.scalar(select(Frame).where(Frame.id == frame_id, visible_to(viewer)))
    if frame is None:
        raise _absent(f"id {frame_id}")
    return frame


def get_frame_by_name(session: Session, viewer: Viewer, file_name: str) -> Frame:
    """Return the frame of this name, which must be unique among what `viewer` may see.

    Where versions share the name, the current one counts.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If there are several.
    """
    rows = session.scalars(
        select(Frame).where(Frame.file_name == file_name, visible_to(viewer)).limit(50)
    ).all()
    if len(rows) > 1:
        rows = [row for row in rows if row.is_current] or rows
    if not rows:
        raise _absent(f"name {file_name}")
    if len(rows) > 1:
        raise ConflictError(
            f"{len(rows)} files are named {file_name}.", remedy="Give the id.", field="file_name"
        )
    return rows[0]


def _absent(what: str) -> NotFoundError:
    return NotFoundError(f"There is no file of {what}.", field="id")


@dataclass(frozen=True, slots=True)
class Family:
    """A frame among its relatives, each list only what the viewer may see."""

    original: Frame | None
    """The raw frame; None for a master."""
    products: list[Frame]
    """All products of the raw frame, by data type, target and version."""
    inputs: list[Frame]
    """Masters and arcs that went into any of them, or the raw frames of a master."""
    used_by: list[Frame]
    """For a master or an arc: the products made with it, newest first, at most 200."""


def related(session: Session, viewer: Viewer, frame: Frame) -> Family:
    """Return the family of `frame`."""
    seen = visible_to(viewer)
    root = frame.original_file_id
    products = session.scalars(
        select(Frame)
        .where(seen, Frame.original_id == root)
        .order_by(Frame.data_type, Frame.target, Frame.version, Frame.id)
    ).all()
    original = session.scalar(select(Frame).where(seen, Frame.id == root, Frame.data_type == 0))
    made = [product.id for product in products] or [frame.id]
    lineage = {root, *made}
    inputs = session.scalars(
        select(Frame).where(
            seen,
            Frame.id.in_(select(ProductInput.input_id).where(ProductInput.frame_id.in_(made))),
            Frame.id.not_in(lineage),
        )
    ).all()
    used_by = session.scalars(
        select(Frame)
        .where(
            seen,
            Frame.id.in_(select(ProductInput.frame_id).where(ProductInput.input_id == frame.id)),
            Frame.id.not_in(lineage),
        )
        .order_by(Frame.id.desc())
        .limit(200)
    ).all()
    return Family(original, list(products), list(inputs), list(used_by))


def header_of(session: Session, frame: Frame) -> tuple[list[Any], list[HeaderRepair]]:
    """Return the cards ``[keyword, value, comment]`` of the file, and what the overlay mends."""
    kept = session.get(HeaderCards, frame.id)
    repairs = session.scalars(
        select(HeaderRepair).where(HeaderRepair.frame_id == frame.id).order_by(HeaderRepair.id)
    ).all()
    return _cards(kept.text if kept else ""), list(repairs)


def _cards(text: str) -> list[list[Any]]:
    if not text:
        return []
    return [
        [card.keyword, _plain(card.value), card.comment] for card in Header.fromstring(text).cards
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | float) else None


def neighbours(
    session: Session, viewer: Viewer, frame: Frame, filters: Filters | None = None
) -> tuple[int | None, int | None]:
    """Return the ids of the next older and next newer frame under the same filters."""
    where = [visible_to(viewer), *(filters or Filters()).clauses()]
    older = select(func.max(Frame.id)).where(and_(*where, Frame.id < frame.id))
    newer = select(func.min(Frame.id)).where(and_(*where, Frame.id > frame.id))
    return session.scalar(older), session.scalar(newer)


FILTER_NAMES = (*COLUMNS, *(item.name for item in fields(Filters) if item.name != "equal"))
"""Every filter by name."""
