"""Keep Python's garbage collector away from what lives as long as the service.

A full collection looks at every object there is, with all threads stopped: with the modules that a
service imports, Dask's and Jupyter's among them, that was 250 to 300 ms, in which every request
waited. What is there after the start stays until the end, so there is nothing to find in it.
"""

from __future__ import annotations

import gc
import logging

log = logging.getLogger(__name__)


def set_aside() -> None:
    """Let collections pass over what exists now; what is made later is collected as ever."""
    gc.collect()
    gc.freeze()
    log.debug("%d objects set aside from garbage collection", gc.get_freeze_count())
