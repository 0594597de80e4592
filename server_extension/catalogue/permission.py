"""Permission, decided in one place: who may see a row, who may change it.

`visible_to` is a clause for the query itself, so that lists, counts, facets and streams never
fetch what they must then hide. Seeing is not changing: masters, ``calibrate`` and public frames
are changed by staff alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import coercions, roles
from sqlalchemy.sql.visitors import InternalTraversal

from goodman_live.hub.accounts.models import Proposal, User, collaborators, utc_now
from goodman_live.hub.accounts.proposals import CALIBRATE
from goodman_live.server_extension.catalogue.frames import Frame

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session
    from sqlalchemy.sql import Select

    from goodman_live.server_extension.catalogue.audience import Audience
    from goodman_live.server_extension.catalogue.viewer import Viewer

MASTER = 1
"""Data type of a master calibration."""


def proposals_of(viewer: Viewer) -> Select[str]:
    """Return a query of the SOAR ids of the proposals that `viewer` belongs to now."""
    mine = select(collaborators.c.proposal_id).where(collaborators.c.user_id == viewer.user_id)
    return select(Proposal.soar_id).where(
        Proposal.soar_id != "", or_(Proposal.pi_id == viewer.user_id, Proposal.id.in_(mine))
    )


def visible_to(
    viewer: Viewer, rows: type[Audience] = Frame, *, now: datetime | None = None
) -> ColumnElement[bool]:
    """Return the clause that `rows` visible to `viewer` satisfy.

    Parameters
    ----------
    viewer : Viewer
        Who asks.
    rows : type
        `Frame`, `Job`, `Event` or `LogEntry`; for comments, join their frame.
    now : datetime, optional
        The moment that public dates are compared with; the present by default.
    """
    if viewer.sees_all:
        return true()
    moment = now or utc_now()
    readable = Among(rows.proposal_id, readable_now(viewer, moment))
    return and_(*common_to_all(viewer, rows), or_(*ways_of_seeing(rows, readable, moment)))


def common_to_all(viewer: Viewer, rows: type[Audience]) -> list[ColumnElement[bool]]:
    """Return what must hold in any case."""
    return [_active(viewer), or_(rows.owner_id.is_(None), rows.owner_id == viewer.user_id)]


def ways_of_seeing(
    rows: type[Audience], readable: ColumnElement[bool], now: datetime
) -> list[ColumnElement[bool]]:
    """Return the ways in which a row may be seen; none of them is ever null."""
    return [rows.data_type == MASTER, readable, _public(rows, now)]


class Among(ColumnElement[bool]):
    """``column IN (query)``, looked up once and then found by an index of the column.

    PostgreSQL uses no index for ``IN (query)`` within an ``OR``; for an array it does.
    """

    inherit_cache = True
    _traverse_internals: Any = [  # noqa: RUF012 (SQLAlchemy's way)
        ("column", InternalTraversal.dp_clauseelement),
        ("query", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: Any, query: Select[Any]) -> None:
        self.type = Boolean()
        self.column = coercions.expect(roles.ExpressionElementRole, column)
        self.query = query.scalar_subquery()

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002 (of the base class)
        """Stay as it is within AND and OR: a comparison with 1 would hide the index."""
        return self

    @property
    def _from_objects(self) -> Any:
        return self.column._from_objects  # noqa: SLF001 (of the same base class)


@compiles(Among)
def _among(element: Among, compiler: Any, **named: Any) -> str:
    return str(compiler.process(element.column.in_(element.query.element), **named))


@compiles(Among, "postgresql")
def _among_array(element: Among, compiler: Any, **named: Any) -> str:
    column = compiler.process(element.column, **named)
    return f"{column} = ANY (ARRAY{compiler.process(element.query, **named)})"


def readable_now(viewer: Viewer, now: datetime) -> Select[Any]:
    """Return a query of the proposals whose shared frames `viewer` may all see now."""
    opened = select(Proposal.soar_id).where(Proposal.public_date <= now, Proposal.soar_id != "")
    query: Select[Any] = select(
        union_all(
            select(literal(CALIBRATE).label("soar_id")), proposals_of(viewer), opened
        ).subquery()
    )
    return query


def changeable_by(viewer: Viewer, rows: type[Audience] = Frame) -> ColumnElement[bool]:
    """Return the clause that `rows` which `viewer` may change or delete satisfy.

    A private version belongs to who made it. Everything else that is not a master and not of
    ``calibrate`` belongs to the members of its proposal.
    """
    if viewer.sees_all:
        return true()
    mine = rows.owner_id == viewer.user_id
    members = and_(
        rows.owner_id.is_(None),
        rows.data_type != MASTER,
        rows.proposal_id != CALIBRATE,
        rows.proposal_id.in_(proposals_of(viewer)),
    )
    return and_(visible_to(viewer, rows), or_(mine, members))


def may_see(session: Session, viewer: Viewer, row: Audience) -> bool:
    """Tell whether `viewer` may see this one row, asking the database now."""
    return _holds(session, row, visible_to(viewer, type(row)))


def may_change(session: Session, viewer: Viewer, row: Audience) -> bool:
    """Tell whether `viewer` may change or delete this one row, asking the database now."""
    return _holds(session, row, changeable_by(viewer, type(row)))


def is_member(session: Session, viewer: Viewer, soar_id: str) -> bool:
    """Tell whether `viewer` is staff, or PI or collaborator of the proposal `soar_id`, now."""
    if viewer.sees_all:
        return True
    query = proposals_of(viewer).where(Proposal.soar_id == soar_id)
    return bool(session.scalar(select(and_(_active(viewer), query.exists()))))


def _holds(session: Session, row: Audience, clause: ColumnElement[bool]) -> bool:
    kind = type(row)
    found = select(func.count()).select_from(kind).where(kind.id == row.id, clause)  # type: ignore[attr-defined]
    return bool(session.scalar(found))


def public_to_all(rows: type[Audience] = Frame) -> ColumnElement[bool]:
    """Return the clause of rows that everybody who is signed in may see by their date."""
    now = utc_now()
    opened = select(Proposal.soar_id).where(Proposal.public_date <= now, Proposal.soar_id != "")
    return and_(rows.owner_id.is_(None), or_(rows.proposal_id.in_(opened), _public(rows, now)))


def _active(viewer: Viewer) -> ColumnElement[bool]:
    return exists(select(User.id).where(User.id == viewer.user_id, User.is_active))


def _public(rows: type[Audience], now: datetime) -> ColumnElement[bool]:
    """Public by the frame's own header, where staff has not set a date of the proposal."""
    if not hasattr(rows, "public_date"):
        return false()
    closed = select(Proposal.soar_id).where(Proposal.public_date > now)
    return and_(
        rows.public_date.is_not(None),
        rows.public_date <= now,
        rows.proposal_id.not_in(closed),
    )
