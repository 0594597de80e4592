"""Users: made, found, signed in, switched off. Every function takes an open session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts import attempts
from goodman_live.hub.accounts.errors import (
    AccountError,
    NotAllowedError,
    TakenError,
    WrongPasswordError,
)
from goodman_live.hub.accounts.lists import check_partner
from goodman_live.hub.accounts.models import OneTimeLink, User, utc_now
from goodman_live.hub.accounts.names import (
    MAX_USERNAME,
    check_email,
    check_name,
    check_username,
)
from goodman_live.hub.accounts.passwords import (
    check_password,
    hash_password,
    needs_rehash,
    verify_password,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Outcome(StrEnum):
    """What became of an attempt to sign in."""

    OK = "ok"
    REFUSED = "refused"
    """Unknown name, wrong password or switched-off account: told apart to nobody."""
    LOCKED = "locked"
    """Too many failures; the password was not even looked at."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Answer to an attempt to sign in."""

    outcome: Outcome
    user: User | None = None
    """The account, only where the outcome is OK."""


def find_user(session: Session, username: str) -> User | None:
    """Return the account with this user name, exact."""
    return session.scalar(select(User).where(User.username == username))


def find_by_email(session: Session, email: str) -> User | None:
    """Return the account with this e-mail, whatever the case it is typed in."""
    return session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def create_user(session: Session, *, username: str, email: str, **facts: Any) -> User:
    """Make an account, as `new_user`, and commit it."""
    try:
        user = new_user(session, username=username, email=email, **facts)
        session.commit()
    except IntegrityError as error:  # two requests at the same moment
        session.rollback()
        raise TakenError(
            "This user name or e-mail was taken a moment ago.", field="username"
        ) from error
    return user


def new_user(
    session: Session,
    *,
    username: str,
    email: str,
    password: str | None = None,
    first_name: str = "",
    last_name: str = "",
    partner: str = "",
    is_staff: bool = False,
    is_superuser: bool = False,
    by: User | None = None,
) -> User:
    """Make an account; the caller commits.

    Parameters
    ----------
    session : Session
        Open session.
    username, email : str
        Both unique; the e-mail in any case.
    password : str, optional
        Checked against the four rules; without one nobody can sign in until a one-time link
        has been used.
    first_name, last_name, partner : str
        Personal information; the partner is one of the list.
    is_staff, is_superuser : bool
        Rights; a superuser is staff.
    by : User, optional
        Who asks; None is the operator's own command line, or who may add collaborators.

    Raises
    ------
    AccountError
        A bad user name or e-mail, or one that is taken; an unknown partner; a weak password;
        staff made by anyone but a superuser.
    """
    if (is_staff or is_superuser) and by is not None and not (by.is_superuser and by.is_active):
        raise NotAllowedError("Staff can only be added by a superuser.", field="is_staff")
    user = User(
        username=check_username(username),
        email=check_email(email),
        first_name=check_name(first_name, "first_name"),
        last_name=check_name(last_name, "last_name"),
        partner=check_partner(session, partner),
        is_staff=is_staff or is_superuser,
        is_superuser=is_superuser,
    )
    if find_by_email(session, user.email) is not None:
        raise TakenError(f"The e-mail {user.email!r} belongs to an account.", field="email")
    if find_user(session, username) is not None:
        raise TakenError(f"The user name {username!r} is taken.", field="username")
    if password is not None:
        _give_password(user, password)
    session.add(user)
    session.flush()
    return user


def first_superuser(session: Session, email: str) -> User | None:
    """Make the first superuser if there is none yet; None if there is one. The caller commits.

    Raises
    ------
    AccountError
        If the e-mail is none, or belongs to an account that is no superuser's.
    """
    if session.scalar(select(User.id).where(User.is_superuser).limit(1)) is not None:
        return None
    name = suggest_username(session, email)
    return new_user(session, username=name, email=email, is_superuser=True)


def suggest_username(session: Session, email: str) -> str:
    """Return a free user name made from an e-mail, for a user who has yet to choose."""
    local = "".join(c for c in email.partition("@")[0].lower() if c.isascii() and c.isalnum())
    stem = local.lstrip("0123456789")[: MAX_USERNAME - 4] or "observer"
    for number in range(1, 10_000):
        name = stem if number == 1 else f"{stem}{number}"
        if find_user(session, name) is None and _acceptable(name):
            return name
    raise AccountError(f"No free user name like {stem!r} was found.", field="username")


def _acceptable(name: str) -> bool:
    try:
        check_username(name)
    except AccountError:
        return False
    return True


def personal_information(user: User) -> tuple[str, ...]:
    """Return what a password must not resemble."""
    return (user.username, user.first_name, user.last_name, user.email)


def _give_password(user: User, password: str) -> None:
    check_password(password, personal_information(user))
    user.password_hash = hash_password(password)
    user.password_changed = utc_now()


def set_password(session: Session, user: User, password: str) -> None:
    """Give the account a new password without asking for the old one, and commit.

    For one-time links and the operator. What was signed in before ends: the Hub compares
    `password_changed`.

    Raises
    ------
    WeakPasswordError
        If a rule is broken.
    """
    _give_password(user, password)
    attempts.note_success(session, user.username)
    session.commit()


def change_password(session: Session, user: User, *, old: str, new: str) -> None:
    """Change a password that its owner proves to know, and commit.

    Raises
    ------
    WrongPasswordError
        If `old` does not match; counted as a failed attempt to sign in.
    WeakPasswordError
        If `new` breaks a rule.
    """
    if attempts.locked_until(session, user.username) is not None:
        raise WrongPasswordError("Too many failed attempts.", remedy="Try again later.")
    if not verify_password(user.password_hash, old):
        attempts.note_failure(session, user.username)
        raise WrongPasswordError("Your old password was entered incorrectly.", field="old")
    set_password(session, user, new)


def authenticate(session: Session, username: str, password: str, address: str = "") -> SignIn:
    """Check a user name (or e-mail) and password, and commit what the attempt changes.

    Takes as long for an unknown name, an account without a password and a switched-off one as
    for a wrong password. Call it in an executor: argon2 costs 50 to 250 ms by design.
    """
    if attempts.locked_until(session, username, address) is not None:
        return SignIn(Outcome.LOCKED)
    name = username.replace("\0", "").strip().lower()
    user = session.scalar(
        select(User).where(or_(User.username == name, func.lower(User.email) == name))
    )
    right = verify_password(user.password_hash if user else "", password)
    if user is None or not right or not user.is_active:
        attempts.note_failure(session, username, address)
        return SignIn(Outcome.REFUSED)
    if needs_rehash(user.password_hash):
        user.password_hash = hash_password(password)
    user.last_login = utc_now()
    attempts.note_success(session, username, address)
    return SignIn(Outcome.OK, user)


def change_email(session: Session, user: User, email: str) -> None:
    """Give the account another e-mail; links on their way to the old one end. No commit.

    Who may is asked before. A password link that was sent to the old address would otherwise
    let its reader in.

    Raises
    ------
    AccountError
        If it is none, or belongs to another account.
    """
    email = check_email(email)
    if email == user.email:
        return
    if find_by_email(session, email) is not None:
        raise TakenError(f"The e-mail {email!r} belongs to an account.", field="email")
    user.email = email
    session.execute(delete(OneTimeLink).where(OneTimeLink.user_id == user.id))
    session.flush()


def set_staff(session: Session, user: User, *, is_staff: bool, by: User | None) -> None:
    """Make somebody staff, or no longer; no commit.

    Raises
    ------
    NotAllowedError
        If anybody but a superuser asks, or a superuser were to be no staff.
    """
    if by is not None and not (by.is_superuser and by.is_active):
        raise NotAllowedError("Staff are made by superusers.", field="is_staff")
    if user.is_superuser and not is_staff:
        raise NotAllowedError(f"{user.username} is a superuser, and so staff.", field="is_staff")
    user.is_staff = is_staff
    session.flush()


def switch_off(session: Session, user: User, *, by: User | None = None) -> None:
    """Refuse this account from now on, and commit; nothing that it owns is lost.

    Raises
    ------
    NotAllowedError
        If staff who are not superusers switch off staff, or anyone themselves.
    """
    _may_switch(user, by)
    user.is_active = False
    session.commit()


def switch_on(session: Session, user: User, *, by: User | None = None) -> None:
    """Let a switched-off account sign in again, and commit."""
    _may_switch(user, by)
    user.is_active = True
    session.commit()


def _may_switch(user: User, by: User | None) -> None:
    if by is None:
        return
    if by.id == user.id:
        raise NotAllowedError("You cannot switch your own account on or off.")
    if not by.is_staff or (user.is_staff and not by.is_superuser):
        raise NotAllowedError(f"You may not switch the account {user.username!r} on or off.")
