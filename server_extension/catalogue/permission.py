"""Permission, decided in one place: who may see a row, who may change it.

`visible_to` is a clause for the query itself, so that lists, counts, facets and streams never
fetch what they must then hide. Seeing is not changing: masters, ``calibrate`` and public frames
are changed by staff alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, false, func, or_, select, true

from goodman_live.hub.accounts.models import Proposal, User, collaborators, utc_now
from goodman_live.server_extension.catalogue.frames import Frame

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement, Select

    from goodman_live.server_extension.catalogue.audience import Audience
    from goodman_live.server_extension.catalogue.viewer import Viewer

CALIBRATE = "calibrate"
"""The proposal of the observatory's own calibrations, shared by all who are signed in."""
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
    shared = or_(rows.data_type == MASTER, rows.proposal_id == CALIBRATE)
    member = rows.proposal_id.in_(proposals_of(viewer))
    return and_(
        _active(viewer),
        or_(rows.owner_id.is_(None), rows.owner_id == viewer.user_id),
        or_(shared, member, _public(rows, now or utc_now())),
    )


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


def _active(viewer: Viewer) -> ColumnElement[bool]:
    return exists(select(User.id).where(User.id == viewer.user_id, User.is_active))


def _public(rows: type[Audience], now: datetime) -> ColumnElement[bool]:
    """Public by the proposal's date where staff has set one, else by the frame's own header."""
    if not hasattr(rows, "public_date"):
        return false()
    opened = select(Proposal.soar_id).where(Proposal.public_date <= now)
    closed = select(Proposal.soar_id).where(Proposal.public_date > now)
    return or_(
        rows.proposal_id.in_(opened),
        and_(rows.public_date <= now, rows.proposal_id.not_in(closed)),
    )
