"""``/api/users/``: accounts for staff, and each person's own profile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator
from sqlalchemy import func, or_, select

from goodman_live.hub.accounts.models import User, utc_now
from goodman_live.hub.accounts.proposals import member_soar_ids
from goodman_live.hub.accounts.users import (
    create_user,
    suggest_username,
    switch_off,
    switch_on,
)
from goodman_live.server_extension.catalogue.errors import ForbiddenError, NotFoundError
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.people import acting_user
from goodman_live.server_extension.schemas import Page, UserModel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

LARGEST_OPTIONS = 8192
"""Characters of a user's visual options."""


class UserQuery(Strict):
    """One page of users."""

    search: str = Field("", max_length=200, description="Text in user name, e-mail or name.")
    page: int = Field(1, ge=1, le=10**9)
    page_size: int = Field(50, ge=1, le=500)


class UserDetail(UserModel):
    """One account as its owner and staff see it."""

    partner: str
    is_superuser: bool
    options: dict[str, Any] = Field(description="Visual choices that the pages keep.")

    @classmethod
    def of(cls, user: User) -> UserDetail:
        """Return `user` as it travels."""
        values = {name: getattr(user, name) for name in cls.model_fields if name != "options"}
        return cls.model_construct(**values, options=user.options or {})


class Me(UserDetail):
    """The reader."""

    proposals: list[str] = Field(description="SOAR ids of one's own proposals.")

    @classmethod
    def of(cls, user: User) -> Me:
        """Return `user` without proposals."""
        return cls.model_construct(**UserDetail.of(user).__dict__, proposals=[])


class UserPage(Page[UserDetail]):
    """One page of users."""


class Profile(Strict):
    """What people change of themselves."""

    first_name: str | None = Field(None, max_length=150)
    last_name: str | None = Field(None, max_length=150)
    partner: str | None = Field(None, max_length=80)
    options: dict[str, Any] | None = Field(None, description="Replaces the stored options.")

    @field_validator("options")
    @classmethod
    def _small(cls, options: dict[str, Any] | None) -> dict[str, Any] | None:
        if options is not None and len(json.dumps(options)) > LARGEST_OPTIONS:
            msg = f"options are longer than {LARGEST_OPTIONS} characters"
            raise ValueError(msg)
        return options


class UserChange(Profile):
    """What staff change of an account."""

    is_active: bool | None = None
    is_staff: bool | None = Field(None, description="By superusers only.")


class NewUser(Strict):
    """An account to make; its owner is sent a link to set a password."""

    email: str = Field(min_length=3, max_length=254)
    username: str | None = Field(None, max_length=32, description="Default: from the e-mail.")
    first_name: str = Field("", max_length=150)
    last_name: str = Field("", max_length=150)
    partner: str = Field("", max_length=80)
    is_staff: bool = Field(default=False, description="By superusers only.")


class UsersHandler(ApiHandler):
    """All accounts."""

    @operation(
        id="api_users_list",
        summary="Accounts",
        tag="users",
        access=Access.STAFF,
        query=UserQuery,
        answer=UserPage,
    )
    async def get(self, query: UserQuery) -> UserPage:
        """Return one page of accounts, newest first."""
        page = await self.backend.read(page_of_users, query)
        linked: UserPage = self.linked(page, query)
        return linked

    @operation(
        id="api_users_create",
        summary="Make an account",
        tag="users",
        access=Access.STAFF,
        body=NewUser,
        answer=UserDetail,
        status=201,
        errors=(409,),
    )
    async def post(self, body: NewUser) -> UserDetail:
        """Make an account and send its owner a link to set a password."""
        user = await self.backend.write_stepwise(make_user, self.viewer, body)
        await self.backend.invite(user, "")
        return UserDetail.of(user)


class UserHandler(ApiHandler):
    """One account."""

    @operation(
        id="api_users_read",
        summary="One account",
        tag="users",
        access=Access.STAFF,
        answer=UserDetail,
    )
    async def get(self, id: int) -> UserDetail:  # noqa: A002 (the path's own name)
        """Return an account."""
        return UserDetail.of(await self.backend.read(get_user, id))

    @operation(
        id="api_users_partial_update",
        summary="Change an account",
        tag="users",
        access=Access.STAFF,
        body=UserChange,
        answer=UserDetail,
    )
    async def patch(self, id: int, body: UserChange) -> UserDetail:  # noqa: A002
        """Change what is given; switching off acts at once."""
        return await self.backend.write_stepwise(change_user, self.viewer, id, body)


class MeHandler(ApiHandler):
    """The reader's own account."""

    @operation(id="api_users_me_read", summary="Yourself", tag="users", answer=Me)
    async def get(self) -> Me:
        """Return the reader's account and proposals."""
        return await self.backend.read(read_me, self.viewer)

    @operation(
        id="api_users_me_partial_update",
        summary="Change your profile",
        tag="users",
        body=Profile,
        answer=Me,
        errors=(409,),
    )
    async def patch(self, body: Profile) -> Me:
        """Change what is given."""
        return await self.backend.write(change_me, self.viewer, body)


def page_of_users(session: Session, query: UserQuery) -> UserPage:
    """Return one page of accounts."""
    wanted = select(User)
    if query.search:
        columns = (User.username, User.email, User.first_name, User.last_name)
        wanted = wanted.where(or_(*(c.icontains(query.search, autoescape=True) for c in columns)))
    count = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    rows = session.scalars(
        wanted.order_by(User.id.desc())
        .offset((query.page - 1) * query.page_size)
        .limit(query.page_size)
    )
    results = [UserDetail.of(row) for row in rows]
    return UserPage(count=count, next=None, previous=None, results=results)


def get_user(session: Session, user_id: int) -> User:
    """Return one account.

    Raises
    ------
    NotFoundError
        If there is none of this id.
    """
    user = session.get(User, user_id)
    if user is None:
        raise NotFoundError(f"There is no user {user_id}.", field="id")
    return user


def make_user(session: Session, viewer: Viewer, new: NewUser) -> User:
    """Make an account without a password."""
    return create_user(
        session,
        username=new.username or suggest_username(session, new.email),
        email=new.email,
        first_name=new.first_name,
        last_name=new.last_name,
        partner=new.partner,
        is_staff=new.is_staff,
        by=acting_user(session, viewer),
    )


def change_user(session: Session, viewer: Viewer, user_id: int, change: UserChange) -> UserDetail:
    """Change what `change` gives of an account.

    Raises
    ------
    ForbiddenError
        If staff who are not superusers change the account or the rights of staff.
    """
    user = get_user(session, user_id)
    actor = acting_user(session, viewer)
    above = viewer.is_superuser or user.id == viewer.user_id or not user.is_staff
    if not above or (change.is_staff is not None and not viewer.is_superuser):
        raise ForbiddenError("Staff accounts are changed by superusers.", field="is_staff")
    _apply(user, change)
    if change.is_staff is not None:
        user.is_staff = change.is_staff or user.is_superuser
    if change.is_active is not None and change.is_active != user.is_active:
        (switch_on if change.is_active else switch_off)(session, user, by=actor)
    session.commit()
    return UserDetail.of(user)


def read_me(session: Session, viewer: Viewer) -> Me:
    """Return the reader; the owner of a plain server has no account and may do everything."""
    user = acting_user(session, viewer)
    if user is None:
        return _owner()
    me = Me.of(user)
    me.proposals = member_soar_ids(session, user)
    return me


def change_me(session: Session, viewer: Viewer, change: Profile) -> Me:
    """Change what `change` gives of the reader's account."""
    user = acting_user(session, viewer)
    if user is None:
        raise ForbiddenError("The owner of a plain server has no account to change.")
    _apply(user, change)
    session.flush()
    return read_me(session, viewer)


def _apply(user: User, change: Profile) -> None:
    for name in Profile.model_fields:
        value = getattr(change, name)
        if value is not None:
            setattr(user, name, value)


def _owner() -> Me:
    owner = User(
        id=LOCAL_OWNER.user_id,
        username=LOCAL_OWNER.username,
        email="",
        first_name="",
        last_name="",
        partner="",
        is_staff=True,
        is_superuser=True,
        is_active=True,
        options={},
        date_joined=utc_now(),
    )
    return Me.of(owner)
