"""Tables of people and proposals; the catalogue's tables share their `Base`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, ForeignKey, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from goodman_live.hub.accounts.clock import wall_time


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database (SQLite drops the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """Refuse naive datetimes; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"naive datetime {value!r}"
            raise ValueError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        """Return an aware UTC datetime."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.fromtimestamp(wall_time(), UTC)


class Base(DeclarativeBase):
    """Declarative base of the one database."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON}  # noqa: RUF012 (SQLAlchemy's way)


collaborators = Table(
    "proposal_collaborators",
    Base.metadata,
    Column("proposal_id", ForeignKey("proposals.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class User(Base):
    """One person who may sign in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(32), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    first_name: Mapped[str] = mapped_column(String(150), default="")
    last_name: Mapped[str] = mapped_column(String(150), default="")
    partner: Mapped[str] = mapped_column(String(80), default="")
    is_staff: Mapped[bool] = mapped_column(default=False)
    is_superuser: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str] = mapped_column(String(255), default="")
    password_changed: Mapped[datetime | None]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    notifications: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Letters that the user chose or refused, by kind; a kind that is absent takes its default."""
    date_joined: Mapped[datetime] = mapped_column(default=utc_now)
    last_login: Mapped[datetime | None]

    proposals: Mapped[list[Proposal]] = relationship(
        secondary=collaborators, back_populates="collaborators"
    )


class Proposal(Base):
    """One observing proposal; frames belong to it by their SOAR id alone."""

    __tablename__ = "proposals"

    id: Mapped[int] = mapped_column(primary_key=True)
    soar_id: Mapped[str] = mapped_column(String(80), unique=True)
    semester: Mapped[str] = mapped_column(String(16), default="")
    title: Mapped[str] = mapped_column(String(500), default="")
    abstract: Mapped[str] = mapped_column(default="")
    pi_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    public_date: Mapped[datetime | None]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[datetime] = mapped_column(default=utc_now)

    pi: Mapped[User | None] = relationship(foreign_keys=[pi_id])
    collaborators: Mapped[list[User]] = relationship(
        secondary=collaborators, back_populates="proposals"
    )


class SignInAttempts(Base):
    """Failed sign-ins in a row, by user name as typed (existing or not)."""

    __tablename__ = "sign_in_attempts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    last_failure: Mapped[datetime]
    locked_until: Mapped[datetime | None]


class OneTimeLink(Base):
    """A link to set a password: only its hash is kept, it works once and expires."""

    __tablename__ = "one_time_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(16))
    created: Mapped[datetime] = mapped_column(default=utc_now)
    expires: Mapped[datetime]


class OutgoingMail(Base):
    """One letter to one user, from the wish until it is sent or given up.

    The letter is written when it is sent, so that a one-time link is never kept here.
    """

    __tablename__ = "outgoing_mail"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    """See `goodman_live.hub.mail.letters.Kind`."""
    about: Mapped[str] = mapped_column(String(120), default="")
    """Proposal of a letter that gathers what happens, while it waits; empty for every other."""
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the letter says; emptied once it is sent."""
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    """``waiting``, ``sent`` or ``failed``."""
    created: Mapped[datetime] = mapped_column(default=utc_now)
    next_try: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    tries: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(500), default="")
    """Why the last try failed."""


class MailMark(Base):
    """How far the events of the catalogue were looked at for letters; one row."""

    __tablename__ = "mail_marks"

    id: Mapped[int] = mapped_column(primary_key=True)
    last_event: Mapped[int] = mapped_column(default=0)


class Partner(Base):
    """An institution that holds observing time; staff edit the list."""

    __tablename__ = "partners"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class Semester(Base):
    """An observing semester; staff edit the list."""

    __tablename__ = "semesters"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(16), unique=True)
    first_night: Mapped[date]
    last_night: Mapped[date]
