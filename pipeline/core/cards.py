"""Header values as plain Python values, whatever the card looks like."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from astropy.io.fits.card import Undefined
from astropy.io.fits.verify import VerifyError

if TYPE_CHECKING:
    from astropy.io.fits import Header

_BLANK = frozenset({"", "NONE", "NULL", "N/A", "NAN", "UNDEFINED"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")


class Cards:
    """A reader of header values to which nothing is fatal.

    Parameters
    ----------
    header : Header
        It is only read, each card once.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._values: dict[str, Any] = {}

    def has(self, key: str) -> bool:
        """Return whether the card is there, with or without a value."""
        return key in self._header

    def value(self, key: str) -> Any:
        """Return the value, or None where the card is missing, undefined or unreadable."""
        if key not in self._values:
            self._values[key] = self._parse(key)
        return self._values[key]

    def _parse(self, key: str) -> Any:
        try:
            found = self._header.get(key)
        except (VerifyError, ValueError):
            return None
        return None if isinstance(found, Undefined) else found

    def comment(self, key: str) -> str:
        """Return the comment of a card, empty where there is none."""
        try:
            return str(self._header.comments[key]) if key in self._header else ""
        except (VerifyError, ValueError):
            return ""

    def text(self, key: str) -> str:
        """Return the value as printable text without blanks around it, empty where none."""
        found = self.value(key)
        if found is None:
            return ""
        text = "".join(sign if sign.isprintable() else " " for sign in str(found)).strip()
        return "" if text.upper() in _BLANK else text

    def number(self, key: str) -> float | None:
        """Return the value as a finite number, also where it was written as a string."""
        found = self.value(key)
        if isinstance(found, bool):
            return None
        if isinstance(found, str):
            match = _NUMBER.fullmatch(found.strip())
            found = float(match[0].upper().replace("D", "E")) if match else None
        if not isinstance(found, int | float) or not math.isfinite(found):
            return None
        return float(found)

    def integer(self, key: str) -> int | None:
        """Return the value as an integer, exact to 64 bits, also from a string."""
        found = self.value(key)
        if isinstance(found, bool):
            return None
        if isinstance(found, str):
            found = int(found) if re.fullmatch(r"\s*[+-]?\d{1,18}\s*", found) else None
        if isinstance(found, float):
            found = int(found) if found.is_integer() else None
        return found if isinstance(found, int) and abs(found) < 2**63 else None

    def switch(self, key: str) -> bool | None:
        """Return a lamp switch, written ``TRUE``, ``FALSE`` or a FITS logical."""
        found = self.value(key)
        if isinstance(found, bool):
            return found
        word = str(found).strip().upper() if found is not None else ""
        return {"TRUE": True, "T": True, "ON": True, "FALSE": False, "F": False, "OFF": False}.get(
            word
        )
