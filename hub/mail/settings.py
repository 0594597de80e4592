"""Where mail goes, from the environment: an SMTP server, or a folder where none is named."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.hub.accounts.database import data_root
from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = (
    "GOODMAN_MAIL_FROM",
    "GOODMAN_MAIL_GATHER_S",
    "GOODMAN_PUBLIC_URL",
    "GOODMAN_SMTP_CA_FILE",
    "GOODMAN_SMTP_HOST",
    "GOODMAN_SMTP_PASSWORD_FILE",
    "GOODMAN_SMTP_PORT",
    "GOODMAN_SMTP_SECURITY",
    "GOODMAN_SMTP_USER",
)
"""Every variable that is read here."""
GATHER_S = 600.0
FROM = "goodman-live@localhost"
"""Sender where none is set."""


class MailSettingError(GoodmanError):
    """A setting of the mail that cannot work or is not safe."""

    code = "bad_mail_setting"


class Security(StrEnum):
    """How the line to the SMTP server is protected."""

    STARTTLS = "starttls"
    """Plain at first, encrypted before anything is said; port 587."""
    TLS = "tls"
    """Encrypted from the first byte; port 465."""
    NONE = "none"
    """Not at all: for a relay on this very machine."""


PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
"""Usual port of each."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mail goes."""

    folder: Path
    """Where letters are written if there is no server."""
    sender: str = FROM
    """Address that letters come from."""
    public_url: str = ""
    """Address of the Hub in a browser, without a slash at the end."""
    host: str = ""
    """SMTP server; empty for the folder."""
    port: int = 587
    security: Security = Security.STARTTLS
    user: str = ""
    """Name at the SMTP server; empty for no authentication."""
    password_file: Path | None = None
    """File with the password; a file can be kept from other accounts, a variable cannot."""
    gather_s: float = GATHER_S
    """Seconds for which letters about products and failures wait for more of the same."""
    ca_file: Path | None = None
    """Certificates to trust besides the system's."""


def mail_settings(environ: Mapping[str, str] | None = None) -> MailSettings:
    """Return the settings of the environment.

    Raises
    ------
    MailSettingError
        If one is no port, no known security, or would send a password in the clear.
    """
    environ = os.environ if environ is None else environ
    host = environ.get("GOODMAN_SMTP_HOST", "").strip()
    security = _security(environ.get("GOODMAN_SMTP_SECURITY", "").strip().lower() or "starttls")
    user = environ.get("GOODMAN_SMTP_USER", "").strip()
    password_file = environ.get("GOODMAN_SMTP_PASSWORD_FILE", "")
    if user and not password_file:
        raise MailSettingError(
            "GOODMAN_SMTP_USER is set without GOODMAN_SMTP_PASSWORD_FILE.",
            remedy="Name the file that holds the password.",
            field="GOODMAN_SMTP_PASSWORD_FILE",
        )
    if user and security is Security.NONE:
        raise MailSettingError(
            "A password would be sent to the mail server in the clear.",
            remedy="Set GOODMAN_SMTP_SECURITY to starttls or tls.",
            field="GOODMAN_SMTP_SECURITY",
        )
    ca_file = environ.get("GOODMAN_SMTP_CA_FILE", "")
    return MailSettings(
        folder=data_root(environ) / "mail",
        sender=environ.get("GOODMAN_MAIL_FROM", "").strip() or FROM,
        public_url=environ.get("GOODMAN_PUBLIC_URL", "").strip().rstrip("/"),
        host=host,
        port=_port(environ.get("GOODMAN_SMTP_PORT", ""), security),
        security=security,
        user=user,
        password_file=Path(password_file) if password_file else None,
        gather_s=_seconds(environ.get("GOODMAN_MAIL_GATHER_S", "")),
        ca_file=Path(ca_file) if ca_file else None,
    )


def _security(text: str) -> Security:
    try:
        return Security(text)
    except ValueError:
        raise MailSettingError(
            f"GOODMAN_SMTP_SECURITY={text!r} is not known.",
            remedy=f"One of {', '.join(Security)}.",
            field="GOODMAN_SMTP_SECURITY",
        ) from None


def _seconds(text: str) -> float:
    if not text:
        return GATHER_S
    if not text.isascii() or not text.isdigit() or int(text) > 86_400:
        raise MailSettingError(
            f"GOODMAN_MAIL_GATHER_S={text!r} is no number of seconds up to a day.",
            field="GOODMAN_MAIL_GATHER_S",
        )
    return float(text)


def _port(text: str, security: Security) -> int:
    if not text:
        return PORTS[security]
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise MailSettingError(
            f"GOODMAN_SMTP_PORT={text!r} is not a port.", field="GOODMAN_SMTP_PORT"
        )
    return int(text)
