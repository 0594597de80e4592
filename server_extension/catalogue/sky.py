"""A place on the sky: how it is written, and which frames lie near it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func

from goodman_live.server_extension.catalogue.frames import Frame

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement

_DEGREES = re.compile(r"[+-]?\d{1,3}(\.\d{0,12})?")
_SEXAGESIMAL = re.compile(
    r"([+-]?)(\d{1,3})[: hd]\s?(\d{1,2})[: m']\s?(\d{1,2}(?:\.\d{0,9})?)[s\"]?"
)


@dataclass(frozen=True, slots=True)
class Cone:
    """All that lies within a radius of a position."""

    ra_deg: float
    dec_deg: float
    radius_arcmin: float

    def clause(self) -> ColumnElement[bool]:
        """Return the condition on frames: the haversine, behind a strip of declination."""
        half = math.radians(1) / 2
        d_dec = func.sin((Frame.dec_deg - self.dec_deg) * half)
        d_ra = func.sin((Frame.ra_deg - self.ra_deg) * half)
        cosines = math.cos(math.radians(self.dec_deg)) * func.cos(Frame.dec_deg * 2 * half)
        reach = math.sin(self.radius_arcmin / 60 * half) ** 2
        return and_(self.strip(), d_dec * d_dec + cosines * d_ra * d_ra <= reach)

    def strip(self) -> ColumnElement[bool]:
        """Return the condition on frames to lie in the strip of declination that it touches."""
        radius = self.radius_arcmin / 60
        return Frame.dec_deg.between(self.dec_deg - radius, self.dec_deg + radius)


def parse_ra(text: str) -> float:
    """Return a right ascension, written in degrees or as ``hh:mm:ss``, in degrees.

    Raises
    ------
    ValueError
        If it is neither.
    """
    value = _parse(text)
    value = value * 15 if _SEXAGESIMAL.fullmatch(text.strip()) else value
    if not 0 <= value < 360:
        raise ValueError(f"{text!r} is no right ascension: degrees, or hh:mm:ss")
    return value


def parse_dec(text: str) -> float:
    """Return a declination, written in degrees or as ``dd:mm:ss``, in degrees.

    Raises
    ------
    ValueError
        If it is neither.
    """
    value = _parse(text)
    if not -90 <= value <= 90:
        raise ValueError(f"{text!r} is no declination: degrees, or dd:mm:ss")
    return value


def _parse(text: str) -> float:
    if _DEGREES.fullmatch(text.strip()):
        return float(text)
    found = _SEXAGESIMAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is neither degrees nor sexagesimal")
    sign, whole, minutes, seconds = found.groups()
    if int(minutes) > 59 or float(seconds) >= 60:
        raise ValueError(f"{text!r} has more than 59 minutes or seconds")
    value = int(whole) + int(minutes) / 60 + float(seconds) / 3600
    return -value if sign == "-" else value
