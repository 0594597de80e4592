"""Counts and facets: from the tallies where they can tell, else from the frames themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, select

from goodman_live.server_extension.catalogue.filters import COLUMNS, FACETS, TALLIED, Filters
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.catalogue.tallies import FrameTally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement

    from goodman_live.server_extension.catalogue.viewer import Viewer


def count_frames(session: Session, viewer: Viewer, filters: Filters | None = None) -> int:
    """Return how many frames `viewer` may see with these filters."""
    filters = filters or Filters()
    if filters.max_id is not None:
        return _count_until(session, viewer, filters, filters.max_id)
    tallied = filters.tallied()
    if tallied is not None:
        total = select(func.sum(FrameTally.n)).where(visible_to(viewer, FrameTally), *tallied)
        return int(session.scalar(total) or 0)
    return _count_rows(session, visible_to(viewer), *filters.clauses())


def _count_until(session: Session, viewer: Viewer, filters: Filters, newest: int) -> int:
    """Count all, less what came since: those are few."""
    every = Filters(
        filters.equal,
        filters.date_min,
        filters.date_max,
        filters.search,
        filters.original_id,
        filters.current,
        cone=filters.cone,
    )
    if every.tallied() is None:
        return _count_rows(session, visible_to(viewer), *filters.clauses())
    since = _count_rows(session, visible_to(viewer), Frame.id > newest, *every.clauses())
    return max(count_frames(session, viewer, every) - since, 0)


def _count_rows(session: Session, *where: ColumnElement[bool]) -> int:
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
    return {name: _facet(session, viewer, filters, name, limit) for name in names}


def _facet(
    session: Session, viewer: Viewer, filters: Filters, name: str, limit: int
) -> list[tuple[Any, int]]:
    tallied = filters.tallied(without=name)
    if tallied is not None and name in TALLIED:
        column: Any = TALLIED[name]
        total: Any = func.sum(FrameTally.n)
        where = [visible_to(viewer, FrameTally), *tallied]
    else:
        column, total = COLUMNS[name], func.count()
        where = [visible_to(viewer), *filters.clauses(without=name)]
    rows = session.execute(
        select(column, total)
        .where(*where)
        .group_by(column)
        .order_by(total.desc(), column)
        .limit(limit)
    )
    return [(value, int(number)) for value, number in rows if value is not None]


def newest_id(session: Session) -> int:
    """Return the largest id of a frame, about the size of the table."""
    return session.scalar(select(func.coalesce(func.max(Frame.id), literal(0)))) or 0
