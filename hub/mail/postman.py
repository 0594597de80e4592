"""The one who empties the queue: takes a letter, writes it, sends it, remembers how it went."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.links import Purpose
from goodman_live.hub.accounts.models import User
from goodman_live.hub.accounts.proposals import member_soar_ids
from goodman_live.hub.mail.letters import (
    BadLetterError,
    Kind,
    NotWantedError,
    make_message,
    write_letter,
)
from goodman_live.hub.mail.queue import claim, note_failure, note_sent, wants
from goodman_live.hub.mail.transport import MailError
from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from email.message import EmailMessage

    from sqlalchemy.orm import Session

    from goodman_live.hub.accounts.models import OutgoingMail
    from goodman_live.hub.mail.settings import MailSettings
    from goodman_live.hub.mail.transport import Mailer

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Letters of one round."""
PURPOSES = {Kind.INVITATION: Purpose.INVITATION, Kind.RESET: Purpose.RESET}
"""Letters with a one-time link."""


class Postman:
    """Sends what is due.

    Parameters
    ----------
    mailer : Mailer
        How messages leave.
    settings : MailSettings
        Sender and public address.
    sessions : callable
        Makes database sessions that may write.
    report : callable, optional
        Told of each letter that was not sent, with the reason, inside the transaction.
    tell : callable, optional
        Says what a gathered letter tells its reader now; None if there is nothing left to tell.
    """

    def __init__(
        self,
        mailer: Mailer,
        settings: MailSettings,
        sessions: Callable[[], AbstractContextManager[Session]],
        report: Callable[[Session, OutgoingMail, str], None] | None = None,
        tell: Callable[[Session, OutgoingMail, User], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.tell = tell
        self.report = report
        self.mailer = mailer
        self.settings = settings
        self.sessions = sessions

    def deliver_due(self) -> int:
        """Send up to `AT_ONCE` letters that are due; return how many left."""
        sent = 0
        for _ in range(AT_ONCE):
            with self.sessions() as session:
                letter = claim(session)
                if letter is None:
                    break
                sent += self._deliver(session, letter)
        return sent

    def _deliver(self, session: Session, letter: OutgoingMail) -> bool:
        number, kind = letter.id, letter.kind
        try:
            message = self._write(session, letter)
            # No transaction is open while the mail server takes its time.
            session.commit()
            self.mailer.send(message)
        except NotWantedError as error:
            log.info("Letter %s (%s) is not sent: %s", number, kind, error)
            note_failure(session, letter, str(error), lasting=True)
            return False
        except GoodmanError as error:
            lasting = isinstance(error, BadLetterError) or (
                isinstance(error, MailError) and error.lasting
            )
            log.warning("Letter %s (%s) was not sent: %s", number, kind, error)
            self._note(session, letter, str(error), lasting=lasting)
            return False
        except Exception as error:
            # One letter that cannot be sent must not keep back the others.
            log.exception("Letter %s (%s) was not sent", number, kind)
            session.rollback()
            self._note(session, letter, f"{type(error).__name__}: {error}", lasting=False)
            return False
        note_sent(session, letter)
        return True

    def _note(self, session: Session, letter: OutgoingMail, reason: str, *, lasting: bool) -> None:
        if self.report is not None:
            self.report(session, letter, reason)
        note_failure(session, letter, reason, lasting=lasting)

    def _write(self, session: Session, letter: OutgoingMail) -> EmailMessage:
        user = session.get(User, letter.user_id)
        kind = Kind(letter.kind)
        if user is None or not wants(user, kind):
            raise NotWantedError("Its reader is switched off or does not want it any more.")
        values = self._values(session, letter, user, kind)
        name = f"{user.first_name} {user.last_name}".strip()
        written = write_letter(kind, name, values, self._link(session, user, kind))
        return make_message(
            written,
            sender=self.settings.sender,
            recipient=user.email,
            number=f"{letter.id}-{letter.created:%Y%m%d%H%M%S%f}",
        )

    def _values(
        self, session: Session, letter: OutgoingMail, user: User, kind: Kind
    ) -> Mapping[str, Any]:
        """Return what the letter may say to its reader now, who may have lost access since."""
        soar_id = letter.data.get("proposal", "")
        member = not soar_id or soar_id in member_soar_ids(session, user)
        if kind is Kind.INVITATION:
            return {**letter.data, "proposal": soar_id if member else ""}
        if kind in {Kind.PRODUCT, Kind.FAILED}:
            told = self.tell(session, letter, user) if member and self.tell else None
            if told is None:
                raise NotWantedError("There is nothing left that its reader may see.")
            return told
        if not member:
            raise NotWantedError(f"Its reader is no longer a member of {soar_id}.")
        return letter.data

    def _link(self, session: Session, user: User, kind: Kind) -> str:
        purpose = PURPOSES.get(kind)
        if purpose is None:
            return "" if kind is Kind.NOTICE else f"{self.settings.public_url}/hub/"
        token = links.issue(session, user, purpose)
        return f"{self.settings.public_url}/hub/set-password?token={quote(token)}"
