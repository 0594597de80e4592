"""Counts and facets: from the tallies where they can tell, else from the frames themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Date, Integer, String, cast, func, literal, null, select, union_all

from goodman_live.server_extension.catalogue.filters import (
    COLUMNS,
    FACETS,
    LARGEST,
    TALLIED,
    Filters,
)
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.catalogue.reading import reading_of, tallied_count
from goodman_live.server_extension.catalogue.tallies import FrameTally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement, Select

    from goodman_live.server_extension.catalogue.viewer import Viewer


_KINDS = (String, Integer, Date)
"""Types of what is counted."""
_EVERY = -1
"""Stands for the number of all among those of facets."""


def count_frames(session: Session, viewer: Viewer, filters: Filters | None = None) -> int:
    """Return how many frames `viewer` may see with these filters."""
    filters = filters or Filters()
    if filters.max_id is not None:
        return _count_until(session, viewer, filters, filters.max_id)
    if filters.tallied() is not None:
        return tallied_count(session, viewer, filters)
    return _count_rows(session, viewer, filters)


def _count_until(session: Session, viewer: Viewer, filters: Filters, newest: int) -> int:
    """Count all, less what came since: those are few."""
    every = replace(filters, max_id=None)
    if every.tallied() is None:
        return _count_rows(session, viewer, filters)
    last = min(newest, LARGEST)
    later = select(func.count()).where(visible_to(viewer), Frame.id > last, *every.clauses())
    since = session.scalar(later) or 0
    return max(count_frames(session, viewer, every) - since, 0)


def _count_rows(session: Session, viewer: Viewer, filters: Filters) -> int:
    found = reading_of(session, viewer, filters).select(session, [Frame.id]).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


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
    return count_and_facets(session, viewer, filters, names=names, limit=limit)[1]


def count_and_facets(
    session: Session,
    viewer: Viewer,
    filters: Filters | None = None,
    *,
    names: Sequence[str] = FACETS,
    limit: int = 200,
) -> tuple[int, dict[str, list[tuple[Any, int]]]]:
    """Return what `count_frames` and `facets` do; what must be looked for is so once."""
    filters = filters or Filters()
    count = None
    found: dict[str, list[tuple[Any, int]]] = {}
    untold = []
    for name in names:
        tallied = filters.tallied(without=name)
        if tallied is not None and name in TALLIED:
            found[name] = _tallied(session, viewer, tallied, name, limit)
        else:
            untold.append(name)
    if len(untold) == 1:
        found |= {untold[0]: _facet(session, viewer, filters, untold[0], limit)}
    elif untold:
        count, more = _facets_at_once(session, viewer, filters, untold, limit)
        found |= more
    if count is None:
        count = count_frames(session, viewer, filters)
    return count, {name: found[name] for name in names}


def _tallied(
    session: Session, viewer: Viewer, where: list[ColumnElement[bool]], name: str, limit: int
) -> list[tuple[Any, int]]:
    column = TALLIED[name]
    query = select(column, func.sum(FrameTally.n)).where(visible_to(viewer, FrameTally), *where)
    return _counted(session, query, column, func.sum(FrameTally.n), limit)


def _facet(
    session: Session, viewer: Viewer, filters: Filters, name: str, limit: int
) -> list[tuple[Any, int]]:
    column = COLUMNS[name]
    others = filters.but(name)
    found = reading_of(session, viewer, others).select(session, [column.label("value")]).subquery()
    query = select(found.c.value, func.count())
    return _counted(session, query, found.c.value, func.count(), limit)


def _counted(
    session: Session, query: Select[Any], column: Any, total: Any, limit: int
) -> list[tuple[Any, int]]:
    rows = session.execute(query.group_by(column).order_by(total.desc(), column).limit(limit))
    return [(value, int(number)) for value, number in rows if value is not None]


def _facets_at_once(
    session: Session, viewer: Viewer, filters: Filters, names: Sequence[str], limit: int
) -> tuple[int, dict[str, list[tuple[Any, int]]]]:
    """Count all and several facets of frames that are looked for once: by text, night, position.

    The frames found are kept for the time of the query; each facet then leaves its own filter
    out, the count none.
    """
    always, of_facets = filters.split(names)
    columns = [COLUMNS[name].label(f"of_{name}") for name in names]
    found = reading_of(session, viewer, always).select(session, columns)
    base = found.cte("base").prefix_with("MATERIALIZED")
    kept = {name: base.c[f"of_{name}"] for name in names}
    nothing = [cast(null(), kind()).label(kind.__name__) for kind in _KINDS]
    every = select(literal(_EVERY).label("facet"), *nothing, func.count().label("n"))
    parts = [every.select_from(base).where(*of_facets.faceted(kept, without=""))]
    for number, name in enumerate(names):
        value, total = kept[name], func.count().label("n")
        # One column for each type: what is no text is not read as one.
        typed = [
            (value if isinstance(value.type, kind) else cast(null(), kind())).label(kind.__name__)
            for kind in _KINDS
        ]
        part = (
            select(literal(number).label("facet"), *typed, total)
            .where(value.is_not(None), *of_facets.faceted(kept, without=name))
            .group_by(value)
            .order_by(total.desc(), value)
            .limit(limit)
            .subquery()
        )
        parts.append(select(*part.c))
    total_of_all = 0
    told: dict[str, list[tuple[Any, int]]] = {name: [] for name in names}
    for number, *values, counted in session.execute(union_all(*parts)):
        if number == _EVERY:
            total_of_all = int(counted)
            continue
        value = next(one for one in values if one is not None)
        told[names[number]].append((value, int(counted)))
    return total_of_all, {
        name: sorted(rows, key=lambda row: (-row[1], row[0])) for name, rows in told.items()
    }


def newest_id(session: Session) -> int:
    """Return the largest id of a frame, about the size of the table."""
    return session.scalar(select(func.coalesce(func.max(Frame.id), literal(0)))) or 0
