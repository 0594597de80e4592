"""The one who empties the queue: takes a letter, writes it, sends it, remembers how it went."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.links import Purpose
from goodman_live.hub.accounts.models import User
from goodman_live.hub.mail.letters import BadLetterError, Kind, make_message, write_letter
from goodman_live.hub.mail.queue import claim, note_failure, note_sent, wants
from goodman_live.hub.mail.transport import MailError
from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Callable
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
    """

    def __init__(
        self,
        mailer: Mailer,
        settings: MailSettings,
        sessions: Callable[[], AbstractContextManager[Session]],
        report: Callable[[Session, OutgoingMail, str], None] | None = None,
    ) -> None:
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
            raise BadLetterError("Its reader is switched off or does not want it any more.")
        name = f"{user.first_name} {user.last_name}".strip()
        written = write_letter(kind, name, letter.data, self._link(session, user, kind))
        return make_message(written, sender=self.settings.sender, recipient=user.email)

    def _link(self, session: Session, user: User, kind: Kind) -> str:
        purpose = PURPOSES.get(kind)
        if purpose is None:
            return "" if kind is Kind.NOTICE else f"{self.settings.public_url}/hub/"
        token = links.issue(session, user, purpose)
        return f"{self.settings.public_url}/hub/set-password?token={quote(token)}"
