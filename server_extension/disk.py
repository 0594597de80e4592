"""The disk is watched: intake stops before it is full, and goes on when there is room again.

Work that is on its way needs space to end; a frame that is taken calls for more work. So nothing
new is taken while less than a limit is free. Files that come meanwhile wait where they are.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Gauge

from goodman_live.pipeline.core.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = structlog.get_logger(__name__)

DISK_FREE = Gauge("goodman_disk_free_bytes", "Free space for the service's account.", ["folder"])
INTAKE_PAUSED = Gauge("goodman_intake_paused", "1 while intake waits for space on the disk.")

AGAIN = 1.2
"""Intake goes on when this many times the limit is free: not for one frame and off again."""


class DiskGuard:
    """Says whether there is room for more.

    Parameters
    ----------
    folders : iterable of Path
        One in each file system that is written.
    least_free : int
        Bytes below which nothing new is taken; 0 watches without stopping anything.
    """

    def __init__(self, folders: Iterable[Path], least_free: int) -> None:
        self._folders = tuple(folders)
        self._least = least_free
        self.reason = ""
        """Why intake waits; empty while there is room."""

    @property
    def least_free(self) -> int:
        """Bytes below which nothing new is taken."""
        return self._least

    def has_room(self) -> bool:
        """Look at the disk; true while more may be taken."""
        need = self._least * (AGAIN if self.reason else 1.0)
        short = ""
        for folder in self._folders:
            free = free_bytes(folder)
            DISK_FREE.labels(str(folder)).set(free)
            if free < need:
                short = (
                    f"Intake waits: {free / 2**30:.2f} GiB are free in {folder}, and"
                    f" {need / 2**30:.2f} GiB are wanted."
                )
        if bool(short) != bool(self.reason):
            (log.error if short else log.info)("disk.short" if short else "disk.room", why=short)
        self.reason = short
        INTAKE_PAUSED.set(bool(short))
        return not short

    def must_have_room(self) -> None:
        """Refuse what a person asks to be taken.

        Raises
        ------
        DiskFullError
            While intake waits for space.
        """
        if not self.has_room():
            raise DiskFullError(self.reason, remedy="Free space; the file is taken then.")


def free_bytes(folder: Path) -> int:
    """Return what an unprivileged account may still write below `folder`, which may be missing."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
