"""What letters say: a kind and a few values into a subject, plain text and HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SUBJECT = 200
"""Characters of a subject."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_ADDRESS = re.compile(r"([^\s@<>\"(),:;\\\[\]]{1,64})@([^\s@<>\"(),:;\\\[\]]{1,255})")


class BadLetterError(GoodmanError):
    """A letter that cannot be written as asked."""

    status = 400
    code = "bad_letter"


class Kind(StrEnum):
    """What a letter is about."""

    INVITATION = "invitation"
    """A new user chooses a name and a password."""
    RESET = "reset"
    """A forgotten password is set anew."""
    ADDED = "added"
    """A user became a collaborator of a proposal."""
    NOTICE = "notice"
    """Words of the staff."""
    FAILED = "failed"
    """Jobs of the user's proposals that failed, gathered."""
    PRODUCT = "product"
    """New products of the user's proposals, gathered."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject and paragraphs, before they are a message."""

    subject: str
    paragraphs: tuple[str, ...]
    link: str = ""
    """Address to open, on a line of its own."""


def write_letter(kind: Kind, name: str, values: Mapping[str, Any], link: str = "") -> Letter:
    """Return what a letter of `kind` says.

    Parameters
    ----------
    kind : Kind
        What it is about.
    name : str
        How the reader is addressed.
    values : mapping
        ``proposal`` for an invitation and an addition; ``subject`` and ``message`` for a notice;
        ``count``, ``summary`` and ``lines`` for what is gathered.
    link : str
        One-time link or page.
    """
    words = {key: str(value) for key, value in values.items()}
    proposal = words.get("proposal", "")
    hello = f"Hello {name}," if name else "Hello,"
    if kind is Kind.INVITATION:
        reason = f" to see the frames of {proposal}" if proposal else ""
        body = (
            f"You are invited to Goodman Live{reason}.",
            "Choose your user name and password with this link; it works once, for 14 days.",
        )
        return Letter("Your account at Goodman Live", (hello, *body), link)
    if kind is Kind.RESET:
        body = (
            "Set a new password with this link; it works once, for two hours.",
            "If you did not ask for it, leave it be: nothing changes.",
        )
        return Letter("Set a new password at Goodman Live", (hello, *body), link)
    if kind is Kind.ADDED:
        role = "the principal investigator" if words.get("role") == "pi" else "a collaborator"
        text = f"You are now {role} of {proposal} and see its frames."
        return Letter(f"You were added to {proposal}", (hello, text), link)
    if kind is Kind.NOTICE:
        paragraphs = tuple(re.split(r"\n\s*\n", words.get("message", "").strip()))
        return Letter(words.get("subject", ""), paragraphs, link)
    return _gathered(kind, hello, values, link)


def _gathered(kind: Kind, hello: str, values: Mapping[str, Any], link: str) -> Letter:
    """Return what a letter about several products or failures says."""
    count, proposal = values.get("count", 0), values.get("proposal", "")
    lines = "\n".join(_one_line(line) for line in values.get("lines", ()))
    one = count == 1
    if kind is Kind.FAILED:
        subject = f"{count} {'job' if one else 'jobs'} of {proposal} failed"
        first = f"{'This job' if one else 'These jobs'} of {proposal} failed:"
    else:
        subject = f"{count} new {'product' if one else 'products'} of {proposal}"
        first = f"New in {proposal}: {values.get('summary', '')}."
    choose = "You get this letter because you chose it; the page Account changes that."
    return Letter(subject, (hello, first, lines, choose), link)


def _one_line(text: object) -> str:
    return _CONTROL.sub(" ", str(text))[:300]


def check_subject(subject: str) -> str:
    """Return a subject that is one line.

    Raises
    ------
    BadLetterError
        If it is empty, too long, or has a line break or another control character, with which
        headers of the letter could be forged.
    """
    subject = subject.strip(" ")
    if not subject or len(subject) > LONGEST_SUBJECT or _CONTROL.search(subject):
        raise BadLetterError(
            f"A subject is one line of 1 to {LONGEST_SUBJECT} characters.", field="subject"
        )
    return subject


class NotWantedError(BadLetterError):
    """A letter whose reader is gone, lost access or changed their mind: no fault of anybody's."""

    code = "not_wanted"


def make_message(letter: Letter, *, sender: str, recipient: str, number: str = "") -> EmailMessage:
    """Return the letter as a message with plain text and HTML.

    With a `number` the message has the same id however often it is sent: a mail server that took
    it before we could note it, and gets it again, tells its reader once.

    Raises
    ------
    BadLetterError
        If an address or the subject cannot stand in a header.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender, "Goodman Live")
    message["To"] = _address(recipient)
    message["Subject"] = check_subject(letter.subject)
    message["Date"] = formatdate(localtime=False)
    domain = sender.rpartition("@")[2]
    message["Message-ID"] = f"<goodman-{number}@{domain}>" if number else make_msgid(domain=domain)
    # Answering machines keep quiet.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_plain(letter))
    message.add_alternative(_html(letter), subtype="html")
    return message


def _address(text: str, name: str = "") -> Address:
    found = _ADDRESS.fullmatch(text)
    if found is None or _CONTROL.search(text):
        raise BadLetterError(f"{text[:60]!r} is no e-mail address.", field="email")
    return Address(display_name=name, username=found[1], domain=found[2])


def _plain(letter: Letter) -> str:
    parts = (*letter.paragraphs, letter.link) if letter.link else letter.paragraphs
    return "\n\n".join(parts) + "\n"


def _html(letter: Letter) -> str:
    body = "".join(
        f"<p>{escape(part).replace(chr(10), '<br>')}</p>\n" for part in letter.paragraphs
    )
    if letter.link:
        address = escape(letter.link, quote=True)
        body += f'<p><a href="{address}">{address}</a></p>\n'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"></head>\n'
        f'<body style="font-family: sans-serif">\n{body}</body></html>\n'
    )
