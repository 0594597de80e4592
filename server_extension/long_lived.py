"""Memory of a process that lives for weeks: garbage collection, and the C library's heaps.

A full collection looks at every object there is, with all threads stopped: with the modules that a
service imports, Dask's and Jupyter's among them, that was 250 to 300 ms, in which every request
waited. What is there after the start stays until the end, so there is nothing to find in it.
"""

from __future__ import annotations

import ctypes
import gc
import logging

log = logging.getLogger(__name__)

ARENAS = 2
"""Heaps of the C library. Left to itself it gives each thread one of its own, up to eight for each
processor, and what one thread let go stays there: pictures and rows of every size."""
_M_ARENA_MAX = -8
"""What ``mallopt`` of the GNU C library calls it (malloc.h)."""


def set_aside() -> None:
    """Let collections pass over what exists now; what is made later is collected as ever."""
    gc.collect()
    gc.freeze()
    log.debug("%d objects set aside from garbage collection", gc.get_freeze_count())


def share_heaps() -> None:
    """Let threads share heaps; before any is started. Does nothing without the GNU C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
