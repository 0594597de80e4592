"""Passwords: argon2id hashes, and the four documented rules for a new one."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import cache
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from goodman_live.hub.accounts.common import COMMON_STEMS, LEET
from goodman_live.hub.accounts.errors import WeakPasswordError

if TYPE_CHECKING:
    from collections.abc import Iterable

TOO_SIMILAR = "Your password can't be too similar to your other personal information."
TOO_SHORT = "Your password must contain at least 8 characters."
TOO_COMMON = "Your password can't be a commonly used password."
ALL_NUMERIC = "Your password can't be entirely numeric."

MIN_LENGTH = 8
"""Fewest characters of a password."""
MAX_LENGTH = 1024
"""Longest password that is hashed at all: a longer one would be an attack on the processor."""
MAX_SIMILARITY = 0.7
"""Largest share of characters in common with a piece of personal information."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)
"""Argon2id with 46 MiB, two passes and one lane.

OWASP's password storage sheet asks for at least 46 MiB with one pass, or 19 MiB with two, one lane
each, and counts these as equal. Ours is above both: twice the work of the first, 2.4 times the
memory of the second, which is what a card that guesses is short of. More (RFC 9106's 64 MiB with
three passes and four lanes) would cost each of those who sign in at once twice the wait: two are
checked at a time, on the cores that reduce frames. A hash made with less is made anew at the next
sign-in (`needs_rehash`).
"""


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, salt and parameters included.

    Takes about 100 ms of one core by design: call it in an executor from an event loop.
    """
    return _HASHER.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Say whether `password` is the one that was hashed.

    An empty or foreign hash (an account that never set a password) costs the same time as a
    real one and matches nothing, so that the time of an answer tells nothing about the account.
    """
    if len(password) > MAX_LENGTH:
        password = password[:1]
        password_hash = ""
    try:
        return _HASHER.verify(password_hash or _no_password(), password) and bool(password_hash)
    except VerificationError:
        return False
    except InvalidHashError:
        verify_password("", password)
        return False


def needs_rehash(password_hash: str) -> bool:
    """Say whether a hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)


@cache
def _no_password() -> str:
    """Return a hash that stands in for the one of an unknown user."""
    return _HASHER.hash("no password at all")


def check_password(password: str, personal: Iterable[str] = ()) -> None:
    """Raise unless the password keeps all four rules.

    Parameters
    ----------
    password : str
        The new password.
    personal : iterable of str
        User name, first and last name, e-mail.

    Raises
    ------
    WeakPasswordError
        Naming every rule that is broken.
    """
    broken = []
    if _similar(password, personal):
        broken.append(TOO_SIMILAR)
    if len(password) < MIN_LENGTH:
        broken.append(TOO_SHORT)
    if is_common(password):
        broken.append(TOO_COMMON)
    if password.isdigit():
        broken.append(ALL_NUMERIC)
    if len(password) > MAX_LENGTH:
        broken.append(f"Your password can't be longer than {MAX_LENGTH} characters.")
    if broken:
        raise WeakPasswordError(*broken)


def _similar(password: str, personal: Iterable[str]) -> bool:
    """Compare with each piece and its words, as `difflib` measures likeness."""
    lowered = password.lower()
    for piece in personal:
        # An e-mail counts as a whole, as its name and as its domain.
        for part in {piece.lower(), *re.split(r"\W+", piece.lower())}:
            if len(part) < 3 or len(lowered) > 10 * len(part):
                continue
            padded = len(part) >= 4 and part in lowered and len(lowered) - len(part) <= 4
            if padded or SequenceMatcher(a=lowered, b=part).quick_ratio() >= MAX_SIMILARITY:
                return True
    return False


def is_common(password: str) -> bool:
    """Say whether a password is among those that are guessed first.

    A list of common stems is compared with the password stripped of what people add to satisfy
    rules: capitals, digits and signs at either end, letters written as digits. Repetitions of a
    few characters and walks along the keyboard or the alphabet are common too.
    """
    lowered = password.lower()
    bare = re.sub(r"^[\W_]+|[\W_]+$", "", lowered)
    word = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", lowered)
    forms = {lowered, bare, word, re.sub(r"[\W\d_]+", "", lowered)}
    forms |= {form.translate(LEET) for form in forms}
    forms |= {re.sub(r"^[\W\d_]+|[\W\d_]+$", "", form) for form in forms}
    return bool(forms & COMMON_STEMS) or _monotonous(lowered)


_WALKS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "qwertyuiopasdfghjklzxcvbnm",
    "zaqxswcdevfrbgtnhymjukilop",
    "azertyuiopqsdfghjklmwxcvbn",
    "!@#$%^&*()_+",
)


def _monotonous(lowered: str) -> bool:
    if len(set(lowered)) <= 2 or re.fullmatch(r"(.{1,4}?)\1+.?", lowered):
        return True
    # A walk with a short tail ("qwertyui1") is still a walk.
    core = re.sub(r"\d{1,2}$|[!?.#$*]$", "", lowered)
    return len(core) >= 6 and any(core in walk or core in walk[::-1] for walk in _WALKS)
