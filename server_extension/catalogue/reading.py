"""By which index frames are read: decided by what the tallies know, not by a database's luck.

SQLite keeps no statistics unless it is told to, and those of a young catalogue mislead when it has
grown. So here each query that reads many rows names its index, from the numbers at hand: how many
frames the viewer sees at all, how many the filters leave for everybody. PostgreSQL keeps its own
statistics and decides for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, func, literal, not_, select, union_all

from goodman_live.hub.accounts.models import utc_now
from goodman_live.server_extension.catalogue.filters import Filters
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import (
    MASTER,
    common_to_all,
    readable_now,
    visible_to,
    ways_of_seeing,
)
from goodman_live.server_extension.catalogue.tallies import FrameTally
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement

    from goodman_live.server_extension.catalogue.viewer import Viewer

Query = TypeVar("Query", bound="Select[*tuple[Any, ...]]")

NARROW = {
    "night": "ix_frames_night",
    "object": "ix_frames_object_name",
    "file_name": "ix_frames_name",
}
"""Filters that leave few frames of any catalogue, and the index of each."""
WAYS = ("ix_frames_type", "ix_frames_list", "ix_frames_public")
"""Index of each of the ways of `ways_of_seeing`."""
TEXT = "ix_frames_text"
"""All that a search for text reads."""
_INDEXES = {
    tuple(column.name for column in index.columns): str(index.name)
    for index in Frame.__table__.indexes  # type: ignore[attr-defined]
}
FILTERED_START = "ix_frames_type_start"
"""Index in the order of time of each kind of frame of each data type."""
LOOK_UP = 6
"""To find a row and its names costs as much as to pass over so many in the index of names."""


def by_index(query: Query, name: str) -> Query:
    """Return `query` of frames to be read by an index on SQLite; empty leaves it free."""
    return query.with_hint(Frame, f"INDEXED BY {name}", "sqlite") if name else query


def index_of_order(filters: Filters, order: Sequence[tuple[Any, bool]]) -> str:
    """Return the index in which frames lie in an order, those that the filters leave together.

    Empty where there is none, and for some days of many: they lie together in the order of time,
    wherever that is.
    """
    if filters.dated:
        return ""
    names = tuple(column.name for column, _ in order)
    one_kind = all(len(filters.equal.get(name, ())) == 1 for name in ("data_type", "obstype"))
    if one_kind and names == ("start", "id"):
        return FILTERED_START
    return _INDEXES.get(names, "")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the frames are read that a viewer sees under some filters."""

    viewer: Viewer
    filters: Filters
    index: str
    """What all are read by, one after the other; empty leaves it to the database."""
    by_sight: bool
    """First what the viewer sees, each way by its own index, then what the filters leave."""
    seen: int
    """Frames that the viewer sees without filters, where that was asked for."""

    @property
    def _masters_too(self) -> bool:
        kinds = self.filters.equal.get("data_type")
        return not kinds or MASTER in kinds

    def select(
        self, session: Session, columns: Sequence[Any], *more: ColumnElement[bool]
    ) -> Select[Any]:
        """Return a query of `columns` of the frames, in no order."""
        where = (*self.filters.clauses(), *more)
        if not self.by_sight:
            # What costs little to look at comes first.
            query = select(*columns).where(*where, visible_to(self.viewer))
            return by_index(query, self.index)
        moment = utc_now()
        readable = Frame.proposal_id.in_(session.scalars(readable_now(self.viewer, moment)).all())
        ways = ways_of_seeing(Frame, readable, moment)
        arms = [
            by_index(select(*columns), index).where(
                *common_to_all(self.viewer, Frame),
                way,
                *(not_(before) for before in ways[:number]),
                *where,
            )
            for number, (way, index) in enumerate(zip(ways, WAYS, strict=True))
            if number or self._masters_too
        ]
        found = union_all(*arms).subquery()
        return select(*found.c)


def reading_of(session: Session, viewer: Viewer, filters: Filters) -> Reading:
    """Return how to read least for these filters."""
    narrow = next((NARROW[name] for name in NARROW if filters.equal.get(name)), "")
    few = bool(narrow) or filters.original_id is not None
    looks = bool(filters.search.strip()) and not few
    if not looks and viewer.sees_all:
        return Reading(viewer, filters, narrow, by_sight=False, seen=0)
    if viewer.sees_all and replace(filters, search="", max_id=None) == Filters():
        return Reading(viewer, filters, TEXT, by_sight=False, seen=0)
    left = 0 if few else _left(session, filters)
    if looks:
        left = min(left * LOOK_UP, every := tallied_count(session, LOCAL_OWNER, Filters()))
        narrow = TEXT if left == every else ""
    if viewer.sees_all:
        return Reading(viewer, filters, narrow, by_sight=False, seen=0)
    seen = tallied_count(session, viewer, Filters())
    by_sight = seen * (LOOK_UP if looks else 1) < left
    return Reading(viewer, filters, narrow, by_sight=by_sight, seen=seen)


def _left(session: Session, filters: Filters) -> int:
    """Return how many frames the filters leave for everybody, about.

    What no index tells is not looked at.
    """
    equal = {name: values for name, values in filters.equal.items() if name != "state"}
    known = replace(filters, equal=equal, search="", max_id=None, cone=None)
    left = tallied_count(session, LOCAL_OWNER, known)
    if filters.cone is None:
        return left
    strip = select(literal(1)).where(filters.cone.strip()).limit(left).subquery()
    return session.scalar(select(func.count()).select_from(strip)) or 0


def tallied_count(session: Session, viewer: Viewer, filters: Filters) -> int:
    """Return how many frames the tallies count; the filters must be of what they know."""
    where = filters.tallied()
    if where is None:
        msg = "the tallies do not know these filters"
        raise ValueError(msg)
    total = select(func.sum(FrameTally.n)).where(visible_to(viewer, FrameTally), *where)
    return int(session.scalar(total) or 0)
