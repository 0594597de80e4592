"""Lists, counts and facets of frames, each filtered by permission in the query itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from astropy.io.fits import Header
from sqlalchemy import func, select

from goodman_live.server_extension.catalogue.counts import (
    count_and_facets,
    count_frames,
    facets,
    newest_id,
)
from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError, QueryError
from goodman_live.server_extension.catalogue.filters import (
    COLUMNS,
    DEEPEST,
    FACETS,
    ORDERINGS,
    Filters,
    read_ordering,
)
from goodman_live.server_extension.catalogue.frames import (
    Frame,
    HeaderCards,
    HeaderRepair,
    ProductInput,
)
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.catalogue.reading import (
    FILTERED_START,
    Reading,
    by_index,
    index_of_order,
    reading_of,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute, Session
    from sqlalchemy.sql import ColumnElement

    from goodman_live.server_extension.catalogue.viewer import Viewer

__all__ = [
    "COLUMNS",
    "FACETS",
    "ORDERINGS",
    "Family",
    "Filters",
    "FramePage",
    "count_and_facets",
    "count_frames",
    "facets",
    "get_frame",
    "get_frame_by_name",
    "header_of",
    "list_frames",
    "neighbours",
    "related",
]


Order = Sequence[tuple["InstrumentedAttribute[Any]", bool]]
"""Columns of an ordering, each with True where it ascends."""

GATHER = 2.0
"""Rows passed over along an index cost as much as finding and sorting one."""
FEW = 5000
"""So many are sorted in any case: they may lie together at the far end of a walk."""
MANY = 20_000
"""So many, where no index has the filter and the order together."""


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
    filters = filters or Filters()
    keys = read_ordering(ordering)
    offset = (page - 1) * page_size
    if page < 1 or page_size < 1 or offset > DEEPEST:
        raise QueryError(f"No page {page} of {page_size}.", remedy="Begin at 1.", field="page")
    reading = reading_of(session, viewer, filters)
    few = _few(session, reading) if filters.search.strip() else None
    count = count_frames(session, viewer, filters) if few is None else len(few)
    if offset >= count:
        return FramePage(count, [])
    size = min(page_size, count - offset)
    backwards = offset > count // 2
    skip = count - offset - size if backwards else offset
    order = [(column, up != backwards) for column, up in keys]
    if few is None:
        ids = _ids(session, reading, order, (skip, size, count))
    else:
        ids = _sorted(session, few, order)[skip : skip + size]
    found = {row.id: row for row in session.scalars(select(Frame).where(Frame.id.in_(ids)))}
    rows = [found[key] for key in ids if key in found]
    return FramePage(count, rows[::-1] if backwards else rows)


def _few(session: Session, reading: Reading) -> list[int] | None:
    """Return the ids of all frames that match, or None where they are more than `FEW`.

    To find them in a large catalogue takes long, so that it is done once, not once to count them
    and once to sort them.
    """
    found = list(session.scalars(reading.select(session, [Frame.id]).limit(FEW + 1)))
    return found if len(found) <= FEW else None


def _sorted(session: Session, ids: list[int], order: Order) -> list[int]:
    (first, up), *_ = order
    if first is Frame.id:
        return sorted(ids, reverse=not up)
    query = select(Frame.id).where(Frame.id.in_(ids))
    keys = [column.asc() if up else column.desc() for column, up in order]
    return list(session.scalars(query.order_by(*keys)))


def _ids(
    session: Session, reading: Reading, order: Order, span: tuple[int, int, int]
) -> list[int]:
    """Return the ids from ``skip`` on, ``size`` of them, of ``count`` that match."""
    skip, size, count = span
    passed = (skip + size) * newest_id(session) / count
    index = index_of_order(reading.filters, order)
    # Every index of one filter ends with the id.
    together = not reading.by_sight and (order[0][0] is Frame.id or index == FILTERED_START)
    if passed > GATHER * count or count <= (FEW if together else MANY):
        keys = [column.label(f"key_{number}") for number, (column, _) in enumerate(order)]
        seen = reading.select(session, keys).cte("seen").prefix_with("MATERIALIZED")
        sort = [
            key.asc() if up else key.desc() for key, (_, up) in zip(seen.c, order, strict=True)
        ]
        query = select(list(seen.c)[-1]).order_by(*sort)  # the last is the id
    else:
        walk = select(Frame.id).where(*reading.filters.clauses(), visible_to(reading.viewer))
        walk = walk.order_by(*(column.asc() if up else column.desc() for column, up in order))
        query = by_index(walk, index)
    return list(session.scalars(query.offset(skip).limit(size)))


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
    reading = reading_of(session, viewer, filters or Filters())
    if reading.seen > MANY:
        # One of so many is near.
        reading = replace(reading, by_sight=False, index="")

    def end(pick: Any, side: ColumnElement[bool]) -> int | None:
        near = reading.select(session, [Frame.id], side).subquery()
        found: int | None = session.scalar(select(pick(near.c.id)))
        return found

    return end(func.max, Frame.id < frame.id), end(func.min, Frame.id > frame.id)
