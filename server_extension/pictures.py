"""Pictures that were drawn, kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

CACHE_BYTES = 128 * 2**20
"""Memory for pictures."""


class PictureCache:
    """Answers by their key, the longest unused dropped first."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    @property
    def held_bytes(self) -> int:
        """How much is kept."""
        return self._size

    def get(self, key: str) -> bytes | None:
        """Return what was kept under `key`."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keep `value`, and forget what no longer fits."""
        with self._lock:
            self._size += len(value) - len(self._kept.pop(key, b""))
            self._kept[key] = value
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])
