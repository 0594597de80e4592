"""Right ascension and declination as the telescope writes them."""

from __future__ import annotations

import re

_SEXAGESIMAL = re.compile(r"([+-]?)\s*(\d{1,3})[:\s](\d{1,2})[:\s](\d{1,2}(?:\.\d*)?)")
_NORMAL = re.compile(r"[+-]?\d\d:[0-5]\d:[0-5]\d(?:\.\d*)?")
_MILLI = 1000


def parse(text: str) -> float | None:
    """Return ``[+-]d:m:s`` in units of its first field, sign of ``-00`` kept; None if it is none.

    Seconds or minutes of 60 are carried.
    """
    match = _SEXAGESIMAL.fullmatch(text.strip())
    if not match:
        return None
    sign, first, minutes, seconds = match.groups()
    if int(minutes) > 60 or float(seconds) > 60:
        return None
    value = int(first) + int(minutes) / 60 + float(seconds) / 3600
    return -value if sign == "-" else value


def is_normal(text: str) -> bool:
    """Return whether a position is written in two digits a field, none of them carried over."""
    return _NORMAL.fullmatch(text.strip()) is not None


def ra_degrees(text: str) -> float | None:
    """Return a right ascension in hours, minutes and seconds as degrees in [0, 360)."""
    hours = parse(text)
    if hours is None or not 0 <= hours <= 24:
        return None
    return hours * 15.0 % 360.0


def dec_degrees(text: str) -> float | None:
    """Return a declination as degrees."""
    degrees = parse(text)
    return degrees if degrees is not None and abs(degrees) <= 90 else None


def format_ra(degrees: float) -> str:
    """Return degrees as ``hh:mm:ss.sss``."""
    return _format(degrees % 360.0 / 15.0, wrap=24)


def format_dec(degrees: float) -> str:
    """Return degrees as ``[-]dd:mm:ss.sss``."""
    return ("-" if degrees < 0 else "") + _format(abs(degrees))


def _format(value: float, wrap: int | None = None) -> str:
    thousandths = round(value * 3600 * _MILLI)
    if wrap:
        thousandths %= wrap * 3600 * _MILLI
    seconds, fraction = divmod(thousandths, _MILLI)
    minutes, second = divmod(seconds, 60)
    first, minute = divmod(minutes, 60)
    return f"{first:02d}:{minute:02d}:{second:02d}.{fraction:03d}"
