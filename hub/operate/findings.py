"""What an examination finds: how bad it is, what it is, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    level: Level
    what: str
    mend: str = ""
    """What to do about it."""


def fine(area: str, what: str) -> Finding:
    """Return what is as it should be."""
    return Finding(area, Level.OK, what)


def doubtful(area: str, what: str, mend: str) -> Finding:
    """Return what works and should be looked at."""
    return Finding(area, Level.WARNING, what, mend)


def wrong(area: str, what: str, mend: str) -> Finding:
    """Return what does not work, or is not safe."""
    return Finding(area, Level.ERROR, what, mend)
