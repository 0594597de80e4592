"""``/api/email/``: words of the staff to people who have an account, and to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints, field_validator
from sqlalchemy import func, or_, select

from goodman_live.hub.accounts.models import User
from goodman_live.hub.mail.letters import BadLetterError, Kind, check_subject
from goodman_live.hub.mail.queue import ask_for
from goodman_live.server_extension.catalogue.activity import LogEntry
from goodman_live.server_extension.handler import ApiHandler, TooManyRequestsError
from goodman_live.server_extension.inputs import RequestError, Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

MOST_READERS = 100
LONGEST_MESSAGE = 20_000

Reader = Annotated[str, StringConstraints(min_length=1, max_length=254)]


class Notice(Strict):
    """A letter to known users."""

    to: list[Reader] = Field(
        min_length=1, max_length=MOST_READERS, description="User names or e-mails of accounts."
    )
    subject: str = Field(min_length=1, max_length=200, description="One line.")
    message: str = Field(
        min_length=1, max_length=LONGEST_MESSAGE, description="Plain text; it is sent as it is."
    )

    @field_validator("subject")
    @classmethod
    def _one_line(cls, subject: str) -> str:
        try:
            return check_subject(subject)
        except BadLetterError as error:
            raise ValueError(str(error)) from None

    @field_validator("message")
    @classmethod
    def _text(cls, message: str) -> str:
        if "\x00" in message:
            msg = "it contains a null byte"
            raise ValueError(msg)
        return message


class NoticeTaken(Answer):
    """What became of a letter."""

    queued: int = Field(description="Letters that wait to be sent: one to each reader.")
    to: list[str] = Field(description="User names of the readers.")


class EmailHandler(ApiHandler):
    """Letters of the staff."""

    @operation(
        id="api_email_create",
        summary="Send e-mail to known users",
        tag="service",
        access=Access.STAFF,
        body=Notice,
        answer=NoticeTaken,
        status=202,
        description="Each reader gets a letter of their own and sees no other reader."
        " A reader without an active account refuses the whole request.",
    )
    async def post(self, body: Notice) -> NoticeTaken:
        """Put a letter to each reader into the queue."""
        wait_s = self.backend.mail_limiter.wait(self.viewer.username, len(set(body.to)))
        if wait_s:
            raise TooManyRequestsError(wait_s)
        return await self.backend.write(queue_notice, self.viewer, body)


def queue_notice(session: Session, viewer: Viewer, notice: Notice) -> NoticeTaken:
    """Put a letter to each reader into the queue.

    Raises
    ------
    RequestError
        If a reader has no account, or one that is switched off.
    """
    readers = {user.id: user for user in (_reader(session, name) for name in notice.to)}
    for user in readers.values():
        ask_for(session, user, Kind.NOTICE, subject=notice.subject, message=notice.message)
    names = sorted(user.username for user in readers.values())
    session.add(
        LogEntry(
            source="mail",
            message=f"{viewer.username} wrote to {', '.join(names)}: {notice.subject}",
            user_id=viewer.user_id or None,
        )
    )
    return NoticeTaken(queued=len(names), to=names)


def _reader(session: Session, name: str) -> User:
    text = name.replace("\x00", "").strip()
    known = or_(User.username == text, func.lower(User.email) == text.lower())
    user = session.scalar(select(User).where(known, User.is_active))
    if user is None:
        raise RequestError(
            f"{name[:60]!r} has no active account.",
            remedy="Letters go to known users only.",
            field="to",
        )
    return user
