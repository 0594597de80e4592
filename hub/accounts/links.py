"""One-time links for setting a password: expiring, used once, stored as a hash alone."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts.errors import BadLinkError, NotAllowedError, TakenError
from goodman_live.hub.accounts.models import OneTimeLink, User, utc_now
from goodman_live.hub.accounts.names import check_username
from goodman_live.hub.accounts.users import set_password

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Purpose(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    """A new user chooses a user name and a password."""
    RESET = "reset"
    """A forgotten password is set anew."""


LIFETIME = {Purpose.INVITATION: timedelta(days=14), Purpose.RESET: timedelta(hours=2)}
"""How long a link of each purpose works."""


def _hash(token: str) -> str:
    # 256 random bits need no salt and no slowness.
    return hashlib.sha256(token.encode()).hexdigest()


def issue(session: Session, user: User, purpose: Purpose) -> str:
    """Make a new link's token for a user and commit; older ones of the same purpose die.

    Returns
    -------
    str
        The token, which is stored nowhere.
    """
    token = secrets.token_urlsafe(32)
    old = OneTimeLink.user_id == user.id
    session.execute(delete(OneTimeLink).where(old, OneTimeLink.purpose == purpose.value))
    expires = utc_now() + LIFETIME[purpose]
    session.add(
        OneTimeLink(
            token_hash=_hash(token), user_id=user.id, purpose=purpose.value, expires=expires
        )
    )
    session.commit()
    return token


def look_up(session: Session, token: str) -> tuple[User, Purpose]:
    """Return whose link this is and what for, without using it up.

    Raises
    ------
    BadLinkError
        If it never existed, was used, is too old, or its account is switched off.
    """
    link = session.get(OneTimeLink, _hash(token))
    user = session.get(User, link.user_id) if link else None
    if link is None or user is None or link.expires <= utc_now() or not user.is_active:
        raise BadLinkError(
            "This link is not valid (any more).", remedy="Ask for a new one on the sign-in page."
        )
    return user, Purpose(link.purpose)


def use(session: Session, token: str, password: str, username: str | None = None) -> User:
    """Set the password by a link, and with an invitation the user name; then the link is gone.

    Raises
    ------
    BadLinkError
        As `look_up`.
    AccountError
        A weak password, or a user name that is bad or taken; the link still works then.
    """
    user, purpose = look_up(session, token)
    with session.no_autoflush:
        if username is not None and username != user.username:
            _rename(session, user, username, purpose)
        mine = OneTimeLink.token_hash == _hash(token)
        gone = delete(OneTimeLink).where(mine).returning(OneTimeLink.user_id)
        if session.scalar(gone) is None:  # another request used it at this moment
            session.rollback()
            raise BadLinkError("This link was used a moment ago.")
        try:
            set_password(session, user, password)
        except IntegrityError as error:  # somebody chose the same name at this moment
            session.rollback()
            raise TakenError(f"The user name {username!r} is taken.", field="username") from error
        except Exception:
            session.rollback()
            raise
    session.execute(delete(OneTimeLink).where(OneTimeLink.user_id == user.id))
    session.commit()
    return user


def _rename(session: Session, user: User, username: str, purpose: Purpose) -> None:

    if purpose is not Purpose.INVITATION:
        raise NotAllowedError("A user name is chosen once, by invitation.", field="username")
    check_username(username)
    if session.scalar(select(User.id).where(User.username == username, User.id != user.id)):
        raise TakenError(f"The user name {username!r} is taken.", field="username")
    user.username = username
