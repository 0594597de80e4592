"""``/api/users/``: accounts for staff, and each person's own profile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator
from sqlalchemy import func, select

from goodman_live.hub.accounts.lists import check_partner
from goodman_live.hub.accounts.models import User, utc_now
from goodman_live.hub.accounts.names import check_name
from goodman_live.hub.accounts.proposals import member_soar_ids
from goodman_live.hub.accounts.users import (
    change_email,
    new_user,
    set_staff,
    suggest_username,
    switch_off,
    switch_on,
)
from goodman_live.hub.mail.queue import ask_for_password_link, choices_of
from goodman_live.server_extension.catalogue.activity import LogEntry
from goodman_live.server_extension.catalogue.errors import ForbiddenError, NotFoundError
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.people import NAMES, acting_user, invite, text_in
from goodman_live.server_extension.schemas import Answer, Page, UserModel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

LARGEST_OPTIONS = 8192
"""Characters of a user's visual options."""


class UserQuery(Strict):
    """One page of users."""

    search: str = Field("", max_length=200, description="Text in user name, e-mail or name.")
    is_staff: bool | None = None
    is_active: bool | None = None
    page: int = Field(1, ge=1, le=10**9)
    page_size: int = Field(50, ge=1, le=500)


class Notifications(Answer):
    """Letters that a user may choose."""

    new_product: bool = Field(description="Products of one's proposals, gathered.")
    failed_job: bool = Field(description="Jobs that failed in one's proposals, gathered.")
    added_to_proposal: bool = Field(description="Word of being added to a proposal.")


class NotificationChange(Strict):
    """Letters to choose or refuse; what is left out stays."""

    new_product: bool | None = None
    failed_job: bool | None = None
    added_to_proposal: bool | None = None


class UserDetail(UserModel):
    """One account as its owner and staff see it."""

    partner: str
    is_superuser: bool
    options: dict[str, Any] = Field(description="Visual choices that the pages keep.")
    notifications: Notifications = Field(description="Which letters are wanted.")
    has_password: bool = Field(description="False until the one-time link has been used.")

    @classmethod
    def of(cls, user: User) -> UserDetail:
        """Return `user` as it travels."""
        same = UserDetail.model_fields.keys() - {"options", "notifications", "has_password"}
        return cls.model_construct(
            **{name: getattr(user, name) for name in same},
            options=user.options or {},
            notifications=Notifications(**choices_of(user)),
            has_password=bool(user.password_hash),
        )


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
    partner: str | None = Field(None, max_length=80, description="One of the list of partners.")
    options: dict[str, Any] | None = Field(None, description="Replaces the stored options.")
    notifications: NotificationChange | None = None

    @field_validator("options")
    @classmethod
    def _small(cls, options: dict[str, Any] | None) -> dict[str, Any] | None:
        if options is not None and len(json.dumps(options)) > LARGEST_OPTIONS:
            msg = f"options are longer than {LARGEST_OPTIONS} characters"
            raise ValueError(msg)
        return options


class UserChange(Profile):
    """What staff change of an account."""

    email: str | None = Field(
        None,
        min_length=3,
        max_length=254,
        description="Links that were sent to the old address end.",
    )
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


class LinkSent(Answer):
    """What became of a wish for a link."""

    sent: bool = Field(description="False if a letter went out a moment ago.")
    username: str


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


class UserLinkHandler(ApiHandler):
    """A new link for who lost the letter."""

    @operation(
        id="api_users_link_create",
        summary="Send an account a link to set its password",
        tag="users",
        access=Access.STAFF,
        answer=LinkSent,
        status=202,
        description="An invitation to who never had a password. One letter in five minutes.",
    )
    async def post(self, id: int) -> LinkSent:  # noqa: A002
        """Put the letter into the queue."""
        return await self.backend.write_stepwise(send_link, self.viewer, id)


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
        wanted = wanted.where(text_in((User.email, *NAMES), query.search))
    for name in ("is_staff", "is_active"):
        if (value := getattr(query, name)) is not None:
            wanted = wanted.where(getattr(User, name) == value)
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
    """Make an account without a password, and its invitation, in one transaction."""
    user = new_user(
        session,
        username=new.username or suggest_username(session, new.email),
        email=new.email,
        first_name=new.first_name,
        last_name=new.last_name,
        partner=new.partner,
        is_staff=new.is_staff,
        by=acting_user(session, viewer),
    )
    invite(session, user, "")
    session.commit()
    return user


def change_user(session: Session, viewer: Viewer, user_id: int, change: UserChange) -> UserDetail:
    """Change what `change` gives of an account.

    Raises
    ------
    ForbiddenError
        If staff who are not superusers change the account or the rights of staff, or anyone but
        a superuser one of a superuser.
    """
    user = get_user(session, user_id)
    actor = acting_user(session, viewer)
    _must_be_above(viewer, user, change)
    _apply(session, user, change)
    if change.email is not None:
        change_email(session, user, change.email)
    if change.is_staff is not None:
        set_staff(session, user, is_staff=change.is_staff, by=actor)
    if change.is_active is not None and change.is_active != user.is_active:
        (switch_on if change.is_active else switch_off)(session, user, by=actor)
    session.commit()
    return UserDetail.of(user)


def _must_be_above(viewer: Viewer, user: User, change: UserChange) -> None:
    if viewer.is_superuser:
        return
    own = user.id == viewer.user_id
    if (user.is_staff and not own) or change.is_staff is not None:
        raise ForbiddenError("Staff accounts are changed by superusers.", field="is_staff")
    if own and change.email is not None:
        # Whoever sits at a screen left open would take the account over with it.
        raise ForbiddenError("Your own e-mail is changed by somebody else.", field="email")


def send_link(session: Session, viewer: Viewer, user_id: int) -> LinkSent:
    """Put a letter with a one-time link to set the password into the queue.

    Raises
    ------
    ForbiddenError
        If the account is switched off.
    """
    user = get_user(session, user_id)
    if not user.is_active:
        raise ForbiddenError(f"The account {user.username} is switched off.", field="id")
    sent = ask_for_password_link(session, user)
    if sent:
        message = f"{viewer.username} had a link to set a password sent to {user.username}."
        session.add(LogEntry(source="accounts", message=message, user_id=user.id))
    session.commit()
    return LinkSent(sent=sent, username=user.username)


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
    _apply(session, user, change)
    session.flush()
    return read_me(session, viewer)


def _apply(session: Session, user: User, change: Profile) -> None:
    for name in ("first_name", "last_name"):
        if (text := getattr(change, name)) is not None:
            setattr(user, name, check_name(text, name))
    # A partner that left the list meanwhile may stay; another one must be on it.
    if change.partner is not None and change.partner != user.partner:
        user.partner = check_partner(session, change.partner)
    if change.options is not None:
        user.options = change.options
    if change.notifications is not None:
        chosen = change.notifications.model_dump(exclude_none=True)
        user.notifications = {**(user.notifications or {}), **chosen}


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
        notifications={},
        password_hash="",
        date_joined=utc_now(),
    )
    return Me.of(owner)
