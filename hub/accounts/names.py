"""User names and e-mail addresses: what may be one."""

from __future__ import annotations

import re

from goodman_live.hub.accounts.errors import AccountError

MAX_USERNAME = 24
"""Longest user name: with the prefix ``goodman-`` it is still a valid system account (32)."""

MAX_NAME = 150
"""Longest first or last name."""

_USERNAME = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
# A local part and a domain with a dot; quoted local parts are not worth their trouble.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")

_RESERVED = """
root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats
nobody systemd messagebus sshd postgres postfix mysql redis docker sudo adm wheel staff users
operator admin administrator superuser hub jupyter jupyterhub goodman goodman-live service
services api login logout signin signout static public calibrate soar support help info
webmaster hostmaster postmaster abuse security anonymous guest self me new none null undefined
pages live culler instrument hooks proxy-api shutdown shared calibration
"""

RESERVED = frozenset(_RESERVED.split())
"""Names that are somebody's or something's already: system accounts, routes, shared groups."""


def check_username(username: str) -> str:
    """Return the user name, or raise.

    A name becomes a system account, a folder and a part of addresses: lower case letters,
    digits, and single ``. _ -`` between them, beginning with a letter.

    Raises
    ------
    AccountError
        Saying which rule is broken.
    """
    if len(username) > MAX_USERNAME or not _USERNAME.fullmatch(username):
        raise AccountError(
            f"{username[:40]!r} cannot be a user name.",
            remedy=f"Use 1 to {MAX_USERNAME} lower case letters and digits, beginning with a "
            "letter, with single dots, hyphens or underscores between them.",
            field="username",
        )
    if username in RESERVED:
        raise AccountError(
            f"The user name {username!r} is reserved.",
            remedy="Choose another one.",
            field="username",
        )
    return username


def check_email(email: str) -> str:
    """Return the address stripped and in lower case, or raise.

    Raises
    ------
    AccountError
        If it cannot be an e-mail address.
    """
    email = email.strip()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise AccountError(
            f"{email[:60]!r} is not an e-mail address.",
            remedy="Write it as name@institution.edu.",
            field="email",
        )
    return email.lower()


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters, and those that are invisible or turn the direction of writing."""


def check_name(name: str, field: str) -> str:
    """Return a person's first or last name on one line, or raise.

    Raises
    ------
    AccountError
        If it is too long or holds what is no text of one line.
    """
    name = name.strip()
    if len(name) > MAX_NAME or _UNPRINTABLE.search(name):
        raise AccountError(
            f"{name[:40]!r} cannot be a name.",
            remedy=f"One line of at most {MAX_NAME} characters.",
            field=field,
        )
    return name
