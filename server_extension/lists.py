"""``/api/partners/`` and ``/api/semesters/``: the lists that staff edit and everyone reads."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads it)
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field
from sqlalchemy import func, select

from goodman_live.hub.accounts import lists
from goodman_live.hub.accounts.models import Partner, Proposal, Semester, User, utc_now
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Row = TypeVar("Row", Partner, Semester)


class PartnerModel(Answer):
    """An institution that holds observing time."""

    id: int
    name: str
    users: int = Field(description="Accounts that belong to it.")


class Partners(Answer):
    """Every partner, by name."""

    results: list[PartnerModel]


class NewPartner(Strict):
    """A partner to add, or the new name of one."""

    name: str = Field(min_length=1, max_length=80)


class SemesterModel(Answer):
    """An observing semester."""

    id: int
    name: str
    first_night: dt.date
    last_night: dt.date
    proposals: int = Field(description="Proposals that belong to it.")
    is_current: bool


class Semesters(Answer):
    """Every semester, newest first."""

    results: list[SemesterModel]


class Nights(Strict):
    """First and last night."""

    first_night: dt.date | None = Field(None, description="2026B says it by itself: 1 August.")
    last_night: dt.date | None = None


class SemesterChanges(Nights):
    """What to change of a semester."""

    name: str | None = Field(
        None, min_length=1, max_length=16, description="A new name; its proposals go with it."
    )


class NewSemester(Nights):
    """A semester to add."""

    name: str = Field(min_length=1, max_length=16, description="Such as 2026B.")


class Gone(Answer):
    """What was taken off a list."""

    name: str


class PartnersHandler(ApiHandler):
    """All partners."""

    @operation(id="api_partners_list", summary="Partners", tag="proposals", answer=Partners)
    async def get(self) -> Partners:
        """Return every partner."""
        return await self.backend.read(all_partners)

    @operation(
        id="api_partners_create",
        summary="Add a partner",
        tag="proposals",
        access=Access.STAFF,
        body=NewPartner,
        answer=Partners,
        status=201,
        errors=(409,),
    )
    async def post(self, body: NewPartner) -> Partners:
        """Add a partner; return the list."""
        return await self.backend.write(add_partner, body)


class PartnerHandler(ApiHandler):
    """One partner."""

    @operation(
        id="api_partners_partial_update",
        summary="Rename a partner",
        tag="proposals",
        access=Access.STAFF,
        body=NewPartner,
        answer=Partners,
        errors=(409,),
        description="Its people go with it.",
    )
    async def patch(self, id: int, body: NewPartner) -> Partners:  # noqa: A002 (the path's own name)
        """Rename a partner; return the list."""
        return await self.backend.write(rename_partner, id, body)

    @operation(
        id="api_partners_delete",
        summary="Take a partner off the list",
        tag="proposals",
        access=Access.STAFF,
        answer=Gone,
        errors=(409,),
        description="Refused as long as accounts belong to it.",
    )
    async def delete(self, id: int) -> Gone:  # noqa: A002
        """Take a partner off the list."""
        return await self.backend.write(drop_partner, id)


class SemestersHandler(ApiHandler):
    """All semesters."""

    @operation(id="api_semesters_list", summary="Semesters", tag="proposals", answer=Semesters)
    async def get(self) -> Semesters:
        """Return every semester, newest first."""
        return await self.backend.read(all_semesters)

    @operation(
        id="api_semesters_create",
        summary="Add a semester",
        tag="proposals",
        access=Access.STAFF,
        body=NewSemester,
        answer=Semesters,
        status=201,
        errors=(409,),
    )
    async def post(self, body: NewSemester) -> Semesters:
        """Add a semester; return the list."""
        return await self.backend.write(add_semester, body)


class SemesterHandler(ApiHandler):
    """One semester."""

    @operation(
        id="api_semesters_partial_update",
        summary="Rename a semester, or change its nights",
        tag="proposals",
        access=Access.STAFF,
        body=SemesterChanges,
        answer=Semesters,
        errors=(409,),
        description="Its proposals go with it; their SOAR ids stay.",
    )
    async def patch(self, id: int, body: SemesterChanges) -> Semesters:  # noqa: A002
        """Change name, first or last night; return the list."""
        return await self.backend.write(change_semester, id, body)

    @operation(
        id="api_semesters_delete",
        summary="Take a semester off the list",
        tag="proposals",
        access=Access.STAFF,
        answer=Gone,
        errors=(409,),
        description="Refused as long as proposals belong to it.",
    )
    async def delete(self, id: int) -> Gone:  # noqa: A002
        """Take a semester off the list."""
        return await self.backend.write(drop_semester, id)


def all_partners(session: Session) -> Partners:
    """Return every partner with the number of its people."""
    count = func.count(User.id)
    rows = session.execute(
        select(Partner, count)
        .outerjoin(User, User.partner == Partner.name)
        .group_by(Partner.id)
        .order_by(func.lower(Partner.name))
    )
    results = [PartnerModel(id=row.id, name=row.name, users=users) for row, users in rows]
    return Partners(results=results)


def add_partner(session: Session, new: NewPartner) -> Partners:
    """Add a partner."""
    lists.add_partner(session, new.name)
    return all_partners(session)


def rename_partner(session: Session, partner_id: int, new: NewPartner) -> Partners:
    """Rename a partner."""
    lists.rename_partner(session, _entry(session, Partner, partner_id), new.name)
    return all_partners(session)


def drop_partner(session: Session, partner_id: int) -> Gone:
    """Take a partner off the list."""
    partner = _entry(session, Partner, partner_id)
    gone = Gone(name=partner.name)
    lists.remove_partner(session, partner)
    return gone


def all_semesters(session: Session) -> Semesters:
    """Return every semester with the number of its proposals."""
    rows = session.execute(
        select(Semester, func.count(Proposal.id))
        .outerjoin(Proposal, Proposal.semester == Semester.name)
        .group_by(Semester.id)
        .order_by(Semester.first_night.desc(), Semester.name.desc())
    )
    today = utc_now().date()
    results = [
        SemesterModel(
            id=row.id,
            name=row.name,
            first_night=row.first_night,
            last_night=row.last_night,
            proposals=proposals,
            is_current=row.first_night <= today <= row.last_night,
        )
        for row, proposals in rows
    ]
    return Semesters(results=results)


def add_semester(session: Session, new: NewSemester) -> Semesters:
    """Add a semester."""
    lists.add_semester(session, new.name, new.first_night, new.last_night)
    return all_semesters(session)


def change_semester(session: Session, semester_id: int, new: SemesterChanges) -> Semesters:
    """Change the name or the nights of a semester."""
    semester = _entry(session, Semester, semester_id)
    lists.change_semester(session, semester, new.first_night, new.last_night)
    if new.name is not None:
        lists.rename_semester(session, semester, new.name)
    return all_semesters(session)


def drop_semester(session: Session, semester_id: int) -> Gone:
    """Take a semester off the list."""
    semester = _entry(session, Semester, semester_id)
    gone = Gone(name=semester.name)
    lists.remove_semester(session, semester)
    return gone


def _entry(session: Session, kind: type[Row], number: int) -> Row:
    found = session.get(kind, number) if number < 2**31 else None
    if found is None:
        raise NotFoundError(f"There is no {kind.__name__.lower()} {number}.", field="id")
    return found
