"""The lists that staff edit: partners and semesters."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from goodman_live.hub.accounts.errors import AccountError, TakenError
from goodman_live.hub.accounts.models import Partner, Proposal, Semester, User

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_PARTNER = re.compile(r"[^\W_](?:[^\x00-\x1f\x7f<>]{0,78}[^\s\x00-\x1f\x7f<>])?")
_SEMESTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}")
_USUAL = re.compile(r"((?:19|20)\d\d)([AB])")


def check_partner(session: Session, name: str) -> str:
    """Return the partner's name as the list has it; empty is nobody's.

    Raises
    ------
    AccountError
        If the list has no such partner.
    """
    name = name.strip()
    if not name:
        return ""
    found = _find_partner(session, name)
    if found is None:
        there = ", ".join(session.scalars(select(Partner.name).order_by(Partner.name)))
        raise AccountError(
            f"There is no partner {name[:80]!r}.",
            remedy=f"One of {there}; staff edit the list.",
            field="partner",
        )
    return found.name


def _find_partner(session: Session, name: str) -> Partner | None:
    # Not in SQL: SQLite knows the case of ASCII letters only. The list is short.
    wanted = name.casefold()
    rows = session.scalars(select(Partner).order_by(Partner.id))
    return next((row for row in rows if row.name.casefold() == wanted), None)


def add_partner(session: Session, name: str) -> Partner:
    """Add a partner; the caller commits.

    Raises
    ------
    AccountError
        If the name cannot be one, or is there already, in whatever case.
    """
    partner = Partner(name=_new_partner(session, name))
    session.add(partner)
    session.flush()
    return partner


def rename_partner(session: Session, partner: Partner, name: str) -> None:
    """Rename a partner, and with it what its people are said to belong to; no commit."""
    old, partner.name = partner.name, _new_partner(session, name, partner)
    session.execute(update(User).where(User.partner == old).values(partner=partner.name))
    session.flush()


def remove_partner(session: Session, partner: Partner) -> None:
    """Take a partner off the list; no commit.

    Raises
    ------
    TakenError
        If accounts belong to it.
    """
    people = session.scalar(
        select(func.count()).select_from(User).where(User.partner == partner.name)
    )
    if people:
        raise TakenError(
            f"{people} accounts belong to {partner.name!r}.",
            remedy="Rename it, or give them another partner first.",
            field="name",
        )
    session.delete(partner)
    session.flush()


def _new_partner(session: Session, name: str, but: Partner | None = None) -> str:
    name = " ".join(name.split())
    if not _PARTNER.fullmatch(name):
        raise AccountError(f"{name[:80]!r} cannot be a partner's name.", field="name")
    found = _find_partner(session, name)
    if found is not None and found is not but:
        raise TakenError(f"The partner {found.name!r} exists.", field="name")
    return name


def semester_of(when: datetime) -> str:
    """Return the semester of a date, such as ``2026B``: A is February to July."""
    if when.month == 1:
        return f"{when.year - 1}B"
    return f"{when.year}{'A' if when.month <= 7 else 'B'}"


def current_semester() -> str:
    """Return the semester of today."""
    return semester_of(datetime.now(UTC))


def usual_nights(name: str) -> tuple[date, date] | None:
    """Return first and last night of a semester by its name, None if the name says nothing."""
    found = _USUAL.fullmatch(name)
    if found is None:
        return None
    year = int(found[1])
    if found[2] == "A":
        return date(year, 2, 1), date(year, 7, 31)
    return date(year, 8, 1), date(year + 1, 1, 31)


def check_semester(session: Session, name: str) -> str:
    """Return the semester's name; one of the usual form is put on the list if it is missing.

    Raises
    ------
    AccountError
        If an unusual name is not on the list.
    """
    name = name.strip()
    if not name or find_semester(session, name) is not None:
        return name
    if usual_nights(name) is None:
        raise AccountError(
            f"There is no semester {name[:16]!r}.",
            remedy="Write it like 2026B, or add it to the list of semesters first.",
            field="semester",
        )
    add_semester(session, name)
    return name


def find_semester(session: Session, name: str) -> Semester | None:
    """Return the semester of this name."""
    return session.scalar(select(Semester).where(Semester.name == name))


def add_semester(
    session: Session, name: str, first: date | None = None, last: date | None = None
) -> Semester:
    """Add a semester; the caller commits.

    Parameters
    ----------
    name : str
        Such as ``2026B``.
    first, last : date, optional
        Its nights; a usual name says them by itself.

    Raises
    ------
    AccountError
        If name or nights cannot be, or the name is there already.
    """
    name = _new_semester(session, name)
    usual = usual_nights(name) or (None, None)
    first, last = first or usual[0], last or usual[1]
    if first is None or last is None:
        raise AccountError(
            f"The nights of {name!r} are not known.",
            remedy="Give first_night and last_night.",
            field="first_night",
        )
    semester = Semester(name=name, first_night=first, last_night=last)
    _check_nights(semester)
    session.add(semester)
    session.flush()
    return semester


def change_semester(
    session: Session, semester: Semester, first: date | None = None, last: date | None = None
) -> None:
    """Change the nights of a semester; no commit.

    Raises
    ------
    AccountError
        If it would end before it begins.
    """
    semester.first_night = first or semester.first_night
    semester.last_night = last or semester.last_night
    _check_nights(semester)
    session.flush()


def rename_semester(session: Session, semester: Semester, name: str) -> None:
    """Rename a semester, and with it what its proposals belong to; no commit.

    Raises
    ------
    AccountError
        If the name cannot be one, or another semester has it.
    """
    old, semester.name = semester.name, _new_semester(session, name, semester)
    session.execute(
        update(Proposal).where(Proposal.semester == old).values(semester=semester.name)
    )
    session.flush()


def remove_semester(session: Session, semester: Semester) -> None:
    """Take a semester off the list; no commit.

    Raises
    ------
    TakenError
        If proposals belong to it.
    """
    count = session.scalar(
        select(func.count()).select_from(Proposal).where(Proposal.semester == semester.name)
    )
    if count:
        raise TakenError(
            f"{count} proposals belong to {semester.name}.",
            remedy="Give them another semester first.",
            field="name",
        )
    session.delete(semester)
    session.flush()


def _new_semester(session: Session, name: str, but: Semester | None = None) -> str:
    name = name.strip()
    if not _SEMESTER.fullmatch(name):
        raise AccountError(f"{name[:16]!r} cannot be a semester.", field="name")
    found = find_semester(session, name)
    if found is not None and found is not but:
        raise TakenError(f"The semester {name!r} exists.", field="name")
    return name


def _check_nights(semester: Semester) -> None:
    if semester.last_night < semester.first_night:
        raise AccountError(f"{semester.name} would end before it begins.", field="last_night")
