"""What a list of frames can be narrowed to and ordered by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, ColumnElement, false, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

from goodman_live.server_extension.catalogue.errors import QueryError
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.tallies import FrameTally

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from sqlalchemy.orm import InstrumentedAttribute

    from goodman_live.server_extension.catalogue.sky import Cone

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
    "grade": Frame.grade,
}
"""Filters that a value must equal, by their name in the API."""

TALLIED: dict[str, InstrumentedAttribute[Any]] = {
    name: getattr(FrameTally, "day" if name == "date" else name)
    for name in COLUMNS
    if name not in {"object", "file_name", "night", "state"}
}
"""The filters that `FrameTally` knows."""

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
    "grade",
)
"""Filters whose values are counted."""

ORDERINGS: dict[str, InstrumentedAttribute[Any] | tuple[InstrumentedAttribute[Any], ...]] = {
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
    "filter": Frame.filter,
    "filter_2": Frame.filter_2,
    "grating": Frame.grating,
    "wavmode": Frame.wavmode,
    "slit": Frame.slit,
    "roi": Frame.roi,
    "technique": Frame.technique,
    "grade": Frame.grade,
    "state": Frame.state,
    "obsra": Frame.ra_deg,
    "obsdec": Frame.dec_deg,
    "camera": Frame.camera,
    "binning": (Frame.xbin, Frame.ybin),
    "version": Frame.version,
}
"""What a list can be ordered by, a column or several; a leading minus reverses."""

LARGEST = 2**31 - 1
"""Largest id of a frame: PostgreSQL knows no larger number of its kind."""
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
    cone: Cone | None = None
    """Only frames that point near a position."""

    @property
    def dated(self) -> bool:
        """Tell whether only some days are asked for."""
        return bool(self.date_min or self.date_max or self.equal.get("date"))

    def clauses(self, *, without: str = "") -> list[ColumnElement[bool]]:
        """Return the conditions on frames, leaving out the field `without` (for its own facet).

        Raises
        ------
        QueryError
            If a filter has no such name.
        """
        found = self._shared(COLUMNS, without)
        if self.search.strip():
            found.append(_contains(self.search.strip()))
        if self.original_id is not None:
            root = self.original_id
            same = or_(Frame.id == root, Frame.original_id == root)
            found.append(same if root <= LARGEST else false())
        if self.current is not None:
            found.append(Frame.is_current.is_(self.current))
        if self.max_id is not None:
            found.append(Frame.id <= min(self.max_id, LARGEST))
        if self.cone is not None:
            found.append(self.cone.clause())
        return found

    def tallied(self, *, without: str = "") -> list[ColumnElement[bool]] | None:
        """Return the same conditions on `FrameTally`, or None if it cannot tell."""
        untold = (self.original_id, self.max_id, self.cone)
        if self.search.strip() or any(one is not None for one in untold):
            return None
        if any(self.equal[name] and name not in TALLIED for name in self.equal if name != without):
            return None
        found = self._shared(TALLIED, without)
        if self.current is not None:
            found.append(FrameTally.is_current.is_(self.current))
        dated = without == "date" or self.dated
        found.append(FrameTally.day.is_not(None) if dated else FrameTally.day.is_(None))
        return found

    def faceted(self, columns: Mapping[str, Any], *, without: str) -> list[ColumnElement[bool]]:
        """Return the conditions on `columns`, which stand for those of frames, but one's own."""
        return self._shared(columns, without)

    def but(self, name: str) -> Filters:
        """Return them without the one on `name`."""
        equal = {key: values for key, values in self.equal.items() if key != name}
        if name != "date":
            return replace(self, equal=equal)
        return replace(self, equal=equal, date_min=None, date_max=None)

    def split(self, names: Collection[str]) -> tuple[Filters, Filters]:
        """Return the conditions that hold for each facet of `names`, and those on the facets."""
        own = {name: values for name, values in self.equal.items() if name in names}
        rest = {name: values for name, values in self.equal.items() if name not in names}
        if "date" not in names:
            return replace(self, equal=rest), Filters(own)
        of_facets = Filters(own, self.date_min, self.date_max)
        return replace(self, equal=rest, date_min=None, date_max=None), of_facets

    def _shared(self, columns: Mapping[str, Any], without: str) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        for name, values in self.equal.items():
            if name not in COLUMNS:
                raise QueryError(
                    f"No filter '{name}'.", remedy=f"Accepted: {', '.join(COLUMNS)}.", field=name
                )
            if values and name != without:
                found.append(columns[name].in_(list(values)))
        if self.date_min and without != "date":
            found.append(columns["date"] >= self.date_min)
        if self.date_max and without != "date":
            found.append(columns["date"] <= self.date_max)
        return found


def _contains(text: str) -> ColumnElement[bool]:
    columns = (Frame.object_name, Frame.file_name, Frame.proposal_id)
    return or_(*(Within(column, text) for column in columns))


class Within(ColumnElement[bool]):
    """``column`` contains a text, whatever the case of its letters of ASCII.

    SQLite's LIKE knows no case in ASCII, as its ``lower()`` knows no other letters: both find the
    same, and without the calls the names of a large catalogue are read several times as fast.
    PostgreSQL is told so as well: the cases of every alphabet cost it ten times as much.
    """

    inherit_cache = True
    _traverse_internals: Any = [  # noqa: RUF012 (SQLAlchemy's way)
        ("plain", InternalTraversal.dp_clauseelement),
        ("folded", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: Any, text: str) -> None:
        self.type = Boolean()
        self.plain = column.contains(text, autoescape=True)
        letters = str.maketrans(ascii_uppercase, ascii_lowercase)
        here = func.lower(column.collate("C"))
        self.folded = here.contains(text.translate(letters), autoescape=True)

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002 (of the base class)
        """Stay as it is within AND and OR: LIKE binds closer."""
        return self

    @property
    def _from_objects(self) -> Any:
        return self.plain._from_objects  # noqa: SLF001 (of the same base class)


@compiles(Within)
def _within(element: Within, compiler: Any, **named: Any) -> str:
    return str(compiler.process(element.folded, **named))


@compiles(Within, "sqlite")
def _within_sqlite(element: Within, compiler: Any, **named: Any) -> str:
    return str(compiler.process(element.plain, **named))


def read_ordering(text: str) -> list[tuple[InstrumentedAttribute[Any], bool]]:
    """Return the columns of an ordering, each with True where it ascends; the last is the id.

    Raises
    ------
    QueryError
        If a name is unknown.
    """
    keys = []
    for part in text.split(",") if text else ["-id"]:
        name = part.strip().removeprefix("-")
        if name not in ORDERINGS:
            raise QueryError(
                f"No ordering '{part.strip()}'.",
                remedy=f"Accepted: {', '.join(ORDERINGS)}, each with an optional minus.",
                field="ordering",
            )
        columns = ORDERINGS[name]
        up = not part.strip().startswith("-")
        keys += [(one, up) for one in (columns if isinstance(columns, tuple) else (columns,))]
    if keys[-1][0] is not Frame.id:
        keys.append((Frame.id, keys[-1][1]))  # ties keep one order on every page
    return keys
