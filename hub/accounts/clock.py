"""The wall clock that rows and files are dated by.

It may jump: an operator sets it, a time server steps it. Nothing waits by it (that is what
`time.monotonic` is for), and tests put their own in its place.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_read: Callable[[], float] = time.time


def wall_time() -> float:
    """Return the current time in seconds since 1970, UTC."""
    return _read()


def set_clock(read: Callable[[], float] = time.time) -> None:
    """Take the time from `read` instead, in this process."""
    global _read  # noqa: PLW0603 (there is one clock)
    _read = read
