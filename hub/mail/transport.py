"""How a message leaves: to an SMTP server, or into a folder."""

from __future__ import annotations

import logging
import os
import smtplib
import ssl
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from typing import TYPE_CHECKING, Protocol

from goodman_live.hub.mail.settings import MailSettingError, MailSettings, Security
from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

log = logging.getLogger(__name__)

TIMEOUT_S = 15.0
"""Longest silence of a mail server, seconds."""


class MailError(GoodmanError):
    """A message that did not leave."""

    code = "mail_not_sent"
    status = 502

    lasting = False
    """True where another try will end alike."""


class RefusedError(MailError):
    """The server refused this message for good."""

    lasting = True


class Mailer(Protocol):
    """What sends messages."""

    def send(self, message: EmailMessage) -> None:
        """Send one message, or raise a `MailError`."""


def make_mailer(settings: MailSettings) -> Mailer:
    """Return the mailer that `settings` ask for."""
    return SmtpMailer(settings) if settings.host else FolderMailer(settings.folder)


class FolderMailer:
    """Writes each message into a folder, readable by its owner only.

    Parameters
    ----------
    folder : Path
        Made if it is absent. Mail may hold one-time links: nobody else may read it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, message: EmailMessage) -> None:
        """Write one message, whole or not at all, and say so in the log."""
        name = f"{parseaddr(message['Message-ID'])[1].partition('@')[0] or 'letter'}.eml"
        target, part = self.folder / name, self.folder / f".{name}.part"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)  # of a sender that died
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(message.as_bytes())
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise MailError(f"The letter could not be written: {error.strerror}.") from error
        log.info("Mail to %s, %r: written to %s", message["To"], message["Subject"], target)


class SmtpMailer:
    """Sends each message over a connection of its own.

    Parameters
    ----------
    settings : MailSettings
        With a host.
    timeout_s : float
        Longest silence of the server, seconds.
    """

    def __init__(self, settings: MailSettings, timeout_s: float = TIMEOUT_S) -> None:
        self.settings = settings
        self.timeout_s = timeout_s

    def send(self, message: EmailMessage) -> None:
        """Send one message.

        Raises
        ------
        RefusedError
            If the server will not take this message, now or later (5xx).
        MailError
            If the server cannot be reached, is busy (4xx) or did not prove who it is.
        """
        at = f"{self.settings.host}:{self.settings.port}"
        try:
            with self._connection() as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            kind = RefusedError if all(code >= 500 for code in codes) else MailError
            raise kind(f"{at} refused the recipient (status {codes[0]}).") from error
        except smtplib.SMTPAuthenticationError as error:
            # An operator mends this: the letters wait.
            raise MailError(f"{at} did not accept our name and password.") from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailError(f"{at} lacks what was asked of it: {error}.") from error
        except smtplib.SMTPResponseException as error:
            refused = error.smtp_code >= 500 and isinstance(
                error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused
            )
            kind = RefusedError if refused else MailError
            raise kind(f"{at} answered with status {error.smtp_code}.") from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"{at} could not be used: {error}.") from error
        log.info("Mail to %s, %r: sent by %s", message["To"], message["Subject"], at)

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        settings, timeout = self.settings, self.timeout_s
        if settings.security is Security.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=timeout, context=self._trust()
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=timeout)
        with server:
            if settings.security is Security.STARTTLS:
                server.starttls(context=self._trust())
            if settings.user:
                server.login(settings.user, self._password())
            yield server

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.settings.ca_file is not None:
            context.load_verify_locations(self.settings.ca_file)
        return context

    def _password(self) -> str:
        path = self.settings.password_file
        if path is None:
            raise MailSettingError("There is no password file.")
        return path.read_text(encoding="utf-8").strip()
