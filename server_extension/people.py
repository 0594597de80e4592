"""Who acts, and which proposal is meant: shared by the routes on people and proposals."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.hub.accounts.users import first_superuser
from goodman_live.hub.mail.letters import Kind
from goodman_live.hub.mail.queue import ask_for
from goodman_live.server_extension.catalogue.activity import LogEntry
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER
from goodman_live.server_extension.identity import NotAdmittedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.expression import SQLColumnExpression

    from goodman_live.server_extension.catalogue.viewer import Viewer

log = logging.getLogger(__name__)

NAMES = (User.username, User.first_name + " " + User.last_name)
"""What somebody may be found by."""


def text_in(columns: Iterable[SQLColumnExpression[str]], text: str) -> ColumnElement[bool]:
    """Return the clause of rows that have `text` in one of `columns`, whatever the case."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def acting_user(session: Session, viewer: Viewer) -> User | None:
    """Return the account that acts; None is the owner of a plain server, who may do everything.

    Raises
    ------
    NotAdmittedError
        If the account went away since the request came in.
    """
    if viewer == LOCAL_OWNER:
        return None
    user = session.get(User, viewer.user_id)
    if user is None or not user.is_active:
        raise NotAdmittedError("This account is switched off.")
    return user


def proposals_seen_by(viewer: Viewer) -> Select[Proposal]:
    """Return a query of the proposals that `viewer` may read."""
    query = select(Proposal).options(
        selectinload(Proposal.pi), selectinload(Proposal.collaborators)
    )
    if viewer.sees_all:
        return query
    member = Proposal.collaborators.any(User.id == viewer.user_id)
    return query.where(or_(Proposal.pi_id == viewer.user_id, member))


def get_proposal(session: Session, viewer: Viewer, proposal_id: int) -> Proposal:
    """Return one proposal.

    Raises
    ------
    NotFoundError
        If there is none of this id, or `viewer` is not a member.
    """
    found = session.scalar(proposals_seen_by(viewer).where(Proposal.id == proposal_id))
    if found is None:
        raise NotFoundError(f"There is no proposal {proposal_id}.", field="id")
    return found


def invite(session: Session, user: User, soar_id: str) -> None:
    """Send a new user a one-time link to choose a user name and a password; no commit."""
    ask_for(session, user, Kind.INVITATION, proposal=soar_id)
    reason = f" for {soar_id}" if soar_id else ""
    message = (
        f"The account {user.username} was made{reason}; its owner is sent a link to choose a"
        " user name and a password."
    )
    session.add(LogEntry(source="accounts", message=message, user_id=user.id))


def welcome_superuser(session: Session, email: str) -> None:
    """Make the first superuser at the first start, and send the invitation; no commit.

    Without an e-mail nobody is made, and the log says how to.
    """
    if session.scalar(select(User.id).where(User.is_superuser).limit(1)) is not None:
        return
    if not email:
        log.warning(
            "There is no superuser: name one in GOODMAN_SUPERUSER_EMAIL and start again, or run"
            " python -m goodman_live.hub.manage create-user NAME EMAIL --superuser"
        )
        return
    user = first_superuser(session, email)
    if user is not None:
        invite(session, user, "")
        told = "The first superuser %s was made; the invitation goes to %s"
        log.warning(told, user.username, user.email)
