"""When the shutter was open: the software clock, and the GPS times where they are believable."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.info import Repair

if TYPE_CHECKING:
    from goodman_live.pipeline.core.cards import Cards

_DATE_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d?):(\d\d?):(\d\d?(?:\.\d*)?)Z?)?")
_TIME = re.compile(r"(\d\d?):(\d\d?):(\d\d?(?:\.\d*)?)")

BELIEVABLE_S = 120.0
"""Largest difference of GPS and software clock; real headers differ by -5 to +29 s."""

_LOCAL_NOON = timedelta(hours=16)
"""UT of noon at 70.7 degrees west, where one night folder ends and the next begins."""


def parse_datetime(text: str) -> datetime | None:
    """Return an ISO date, with or without time of day, as UTC; None if it is none."""
    match = _DATE_TIME.fullmatch(text.strip())
    if not match:
        return None
    year, month, day, hour, minute, second = match.groups()
    if not 1990 <= int(year) <= 2200:
        return None
    try:
        date = datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError:
        return None
    offset = parse_time(f"{hour}:{minute}:{second}") if hour else timedelta(0)
    return None if offset is None else date + offset


def parse_time(text: str) -> timedelta | None:
    """Return ``hh:mm:ss.sss`` as the time since midnight, 60 s carried; None if it is none."""
    match = _TIME.match(text.strip())
    if not match:
        return None
    hour, minute, second = int(match[1]), int(match[2]), float(match[3])
    if hour > 24 or minute > 60 or second > 61:
        return None
    return timedelta(hours=hour, minutes=minute, seconds=second)


def night_of(start: datetime) -> str:
    """Return the local-evening date of the night, ``YYYYMMDD``, from noon to noon."""
    return (start - _LOCAL_NOON).strftime("%Y%m%d")


def shutter(
    cards: Cards, exptime_s: float | None, repairs: list[Repair]
) -> tuple[datetime, datetime] | None:
    """Return opening and middle of the exposure, UTC; None if the header has no date.

    OPENTIME and CLOSETIM hold a GPS time of day without a usable date (OPENDATE can be a year
    wrong), so each is put on the day nearest to DATE-OBS; beyond 120 s the GPS is not believed.
    """
    software = _software_clock(cards, repairs)
    if software is None:
        return None
    opened = _on_nearest_day(cards.text("OPENTIME"), software)
    closed = _on_nearest_day(cards.text("CLOSETIM"), software)
    length = timedelta(seconds=exptime_s or 0.0)
    if opened is None:
        return software, software + length / 2
    difference = (opened - software).total_seconds()
    if abs(difference) > BELIEVABLE_S:
        repairs.append(
            Repair(
                "OPENTIME",
                cards.text("OPENTIME"),
                software.time().isoformat("milliseconds"),
                f"GPS and software clock differ by {difference:+.0f} s; DATE-OBS is used.",
            )
        )
        return software, software + length / 2
    _check_opendate(cards, opened, repairs)
    open_for = _duration(opened, closed)
    if open_for is not None and (exptime_s is None or _agree(open_for, length)):
        length = open_for
    return opened, opened + length / 2


def open_seconds(cards: Cards) -> float | None:
    """Return the exposure time from the GPS times of opening and closing, s."""
    opened, closed = (parse_time(cards.text(key)) for key in ("OPENTIME", "CLOSETIM"))
    if opened is None or closed is None:
        return None
    return (closed - opened).total_seconds() % 86400.0


def _software_clock(cards: Cards, repairs: list[Repair]) -> datetime | None:
    start = parse_datetime(cards.text("DATE-OBS"))
    if start is not None and "T" in cards.text("DATE-OBS"):
        return start
    date = start or parse_datetime(cards.text("DATE"))
    for key in ("OPENTIME", "TIME", "UT"):
        time = parse_time(cards.text(key))
        if date is not None and time is not None:
            midnight = date.replace(hour=0, minute=0, second=0, microsecond=0)
            used = midnight + time
            reason = f"Put together from DATE{'-OBS' if start else ''} and {key}."
            found = cards.text("DATE-OBS")
            repairs.append(Repair("DATE-OBS", found, used.isoformat(), reason))
            return used
    return None


def _on_nearest_day(text: str, reference: datetime) -> datetime | None:
    time = parse_time(text)
    if time is None:
        return None
    midnight = reference.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight + timedelta(days=day) + time for day in (-1, 0, 1)]
    return min(days, key=lambda moment: abs(moment - reference))


def _duration(opened: datetime, closed: datetime | None) -> timedelta | None:
    """Return how long the shutter was open; a closing before the opening is the next day's."""
    if closed is None:
        return None
    length = (closed - opened).total_seconds() % 86400.0
    return timedelta(seconds=length)


def _agree(measured: timedelta, commanded: timedelta) -> bool:
    slack = max(2.0, 0.05 * commanded.total_seconds())
    return abs((measured - commanded).total_seconds()) <= slack


def _check_opendate(cards: Cards, opened: datetime, repairs: list[Repair]) -> None:
    found = cards.text("OPENDATE")
    used = opened.date().isoformat()
    if found and found != used:
        repairs.append(Repair("OPENDATE", found, used, "The date contradicts DATE-OBS."))
