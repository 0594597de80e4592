"""Proposals and who belongs to them; frames belong to a proposal by its SOAR id alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts.errors import AccountError, NotAllowedError, TakenError
from goodman_live.hub.accounts.lists import check_semester, current_semester
from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.hub.accounts.names import check_email
from goodman_live.hub.accounts.users import find_by_email, new_user, suggest_username

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

NO_TITLE = "Title not provided"
NO_ABSTRACT = "No abstract available"
CALIBRATE = "calibrate"
"""The proposal whose frames every signed-in user may see."""
SHARED = (CALIBRATE, "SOAR", "GHTS_ENGINEERING")
"""Proposals that exist from the first start: what the telescope writes for nobody's frames."""

_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,79}")
_USUAL = re.compile(r"(?:SOAR|CN|TOM|NOAO|LCO|BR|MSU|UNC|CHILE)?\d{4}[AB]-\d{1,6}")


def check_soar_id(soar_id: str) -> str:
    """Return the SOAR id stripped, or raise where no header could carry it.

    Raises
    ------
    AccountError
        If it is empty, too long or has signs that a folder or an address cannot carry.
    """
    soar_id = soar_id.strip()
    if not is_legal(soar_id):
        raise AccountError(
            f"{soar_id[:80]!r} cannot be a SOAR id.",
            remedy="Write it as the frames' PROPID has it, like SOAR2026B-013.",
            field="soar_id",
        )
    return soar_id


def is_legal(soar_id: str) -> bool:
    """Say whether a header, a folder and an address can carry the id."""
    return _LEGAL.fullmatch(soar_id) is not None


def is_usual(soar_id: str) -> bool:
    """Say whether an id has one of the forms that occur; an odd one deserves a second look."""
    return soar_id in SHARED or _USUAL.fullmatch(soar_id) is not None


def next_soar_id(session: Session, semester: str | None = None) -> str:
    """Return the id to propose for a new proposal: ``SOAR2026B-013`` after twelve others."""
    semester = semester or current_semester()
    prefix = f"SOAR{semester}-"
    taken = session.scalars(select(Proposal.soar_id).where(Proposal.soar_id.startswith(prefix)))
    numbers = [int(tail) for soar_id in taken if (tail := soar_id[len(prefix) :]).isdigit()]
    return f"{prefix}{max(numbers, default=0) + 1:03d}"


def create_proposal(session: Session, *, soar_id: str, **facts: Any) -> Proposal:
    """Make a proposal, as `new_proposal`, and commit it."""
    try:
        proposal = new_proposal(session, soar_id=soar_id, **facts)
        session.commit()
    except IntegrityError as error:  # two requests at the same moment
        session.rollback()
        raise TakenError(f"The proposal {soar_id!r} exists.", field="soar_id") from error
    return proposal


def new_proposal(
    session: Session,
    *,
    soar_id: str,
    pi: User | None = None,
    semester: str = "",
    title: str = "",
    abstract: str = "",
    public_date: datetime | None = None,
    by: User | None = None,
) -> Proposal:
    """Make a proposal; frames that carry its id already belong to it. The caller commits.

    Raises
    ------
    AccountError
        A bad or taken SOAR id, an unknown semester, or made by someone who is not staff.
    """
    if by is not None and not (by.is_staff and by.is_active):
        raise NotAllowedError("Only staff make proposals.")
    soar_id = check_soar_id(soar_id)
    if find_proposal(session, soar_id) is not None:
        raise TakenError(f"The proposal {soar_id!r} exists.", field="soar_id")
    proposal = Proposal(
        soar_id=soar_id,
        semester=check_semester(session, semester or semester_in(soar_id)),
        title=title.strip() or NO_TITLE,
        abstract=abstract.strip() or NO_ABSTRACT,
        pi=pi,
        public_date=public_date,
    )
    session.add(proposal)
    session.flush()
    return proposal


def semester_in(soar_id: str) -> str:
    """Return the semester that a SOAR id names, empty if it names none."""
    found = re.search(r"(?:19|20)\d\d[AB](?=-)", soar_id)
    return found[0] if found else ""


def ensure_shared(session: Session) -> None:
    """Make the shared proposals that are missing."""
    for soar_id in SHARED:
        if find_proposal(session, soar_id) is None:
            create_proposal(session, soar_id=soar_id, title=f"Shared: {soar_id}")


def find_proposal(session: Session, soar_id: str) -> Proposal | None:
    """Return the proposal with this SOAR id, exact."""
    return session.scalar(select(Proposal).where(Proposal.soar_id == soar_id))


def proposals_of(session: Session, user: User) -> list[Proposal]:
    """Return the proposals whose PI or collaborator `user` is, newest first."""
    mine = or_(Proposal.pi_id == user.id, Proposal.collaborators.any(User.id == user.id))
    newest = (Proposal.created.desc(), Proposal.id.desc())
    return list(session.scalars(select(Proposal).where(mine).order_by(*newest)))


def member_soar_ids(session: Session, user: User) -> list[str]:
    """Return the SOAR ids of `proposals_of`."""
    return [proposal.soar_id for proposal in proposals_of(session, user)]


def groups_of(session: Session, user: User) -> list[str]:
    """Return the names of the Hub's groups of a user: one per proposal, and ``staff``."""
    groups = [f"proposal:{soar_id}" for soar_id in member_soar_ids(session, user)]
    return [*groups, "staff"] if user.is_staff else groups


def may_manage(proposal: Proposal, user: User) -> bool:
    """Say whether `user` may change collaborators and settings: its PI, and staff."""
    return user.is_active and (user.is_staff or proposal.pi_id == user.id)


def add_collaborator(
    session: Session, proposal: Proposal, email: str, *, by: User | None
) -> tuple[User, bool]:
    """Add the person with this e-mail, as `join`, and commit."""
    try:
        joined = join(session, proposal, email, by=by)
        session.commit()
    except IntegrityError as error:  # two requests at the same moment
        session.rollback()
        raise TakenError(
            "This person was added a moment ago.", remedy="Look again.", field="email"
        ) from error
    return joined


def join(
    session: Session, proposal: Proposal, email: str, *, by: User | None
) -> tuple[User, bool]:
    """Add the person with this e-mail; an unknown e-mail becomes a new user. No commit.

    Returns
    -------
    tuple of User and bool
        The collaborator, and whether the account is new (and must be sent an invitation).

    Raises
    ------
    AccountError
        If `by` may not manage the proposal, or the e-mail is none.
    """
    _must_manage(proposal, by)
    email = check_email(email)
    user = find_by_email(session, email)
    new = user is None
    if user is None:
        user = new_user(session, username=suggest_username(session, email), email=email)
    if user.id != proposal.pi_id and user not in proposal.collaborators:
        proposal.collaborators.append(user)
        session.flush()
    return user, new


def remove_collaborator(
    session: Session, proposal: Proposal, email: str, *, by: User | None
) -> User:
    """Remove the collaborator with this e-mail, and commit.

    Raises
    ------
    AccountError
        If `by` may not manage the proposal, or nobody with this e-mail collaborates.
    """
    _must_manage(proposal, by)
    user = find_by_email(session, email)
    if user is None or user not in proposal.collaborators:
        raise AccountError(
            f"Nobody with the e-mail {email[:60]!r} collaborates on {proposal.soar_id}.",
            field="email",
        )
    proposal.collaborators.remove(user)
    session.commit()
    return user


def _must_manage(proposal: Proposal, by: User | None) -> None:
    if by is not None and not may_manage(proposal, by):
        raise NotAllowedError(
            f"Only the PI of {proposal.soar_id} and staff change its collaborators."
        )
