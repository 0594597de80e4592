"""Which paths are candidates: inside a raw root, with the name of a FITS file, not hidden."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.night.files import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1000
"""Characters of a path that the catalogue can hold."""

NETWORK_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs", "glusterfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "vboxsf", "virtiofs"}
)
"""File systems on which the kernel does not tell what other hosts write."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Size and time of a file: what a change is told by."""

    size: int
    mtime_ns: int


def is_candidate(path: Path, roots: tuple[Path, ...], excluded: Path | None = None) -> bool:
    """Tell whether a path has the name of a frame and lies, by name, where frames may come.

    Parameters
    ----------
    roots : tuple of Path
        Absolute raw roots.
    excluded : Path, optional
        Folder inside a root that is not looked at: the products.
    """
    if not path.name.lower().endswith(ENDINGS):
        return False
    if excluded is not None and path.is_relative_to(excluded):
        return False
    for root in roots:
        if path.is_relative_to(root):
            return not any(part.startswith(".") for part in path.relative_to(root).parts)
    return False


def check_place(path: Path, roots: tuple[Path, ...]) -> None:
    """Refuse a path that leaves the raw roots, by ``..`` or by a symbolic link, or has no text.

    Raises
    ------
    BadFrameError
        If the file that the path leads to is outside every root, or its name is too long, or
        cannot be written in a list or in the header of a download.
    """
    if not str(path).isprintable():
        raise BadFrameError(
            f"{shown(path.name)} has characters in its path that cannot be printed.",
            remedy="Rename the file or its folder.",
            field="path",
        )
    if len(str(path)) > LONGEST:
        raise BadFrameError(
            f"{path.name} lies in folders whose names have more than {LONGEST} characters.",
            remedy="Move it to a folder with a shorter name.",
            field="path",
        )
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise BadFrameError(
            f"{path.name} leads out of the raw folders.",
            remedy="Copy the file itself into a raw folder; links that leave it are not followed.",
            field="path",
        )


def shown(text: str) -> str:
    """Return a path as text that can be shown and stored: what is not printable is escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def listed(path: Path) -> str:
    """Return a path as the list of arrivals names it; any path there can be has a name there."""
    return shown(str(path))[-LONGEST:]


def look(path: Path) -> Stat | None:
    """Return size and time of a regular file; None if it is gone or something else."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stat(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def walk(
    folder: Path, roots: tuple[Path, ...], excluded: Path | None = None
) -> Iterator[tuple[Path, Stat]]:
    """Yield every candidate below a folder, nights in the order of their names.

    Links to folders are not followed: they could lead anywhere, or in circles.
    """
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(where)
        if excluded is not None and here.is_relative_to(excluded):
            folders.clear()
            continue
        for name in sorted(names):
            path = here / name
            if is_candidate(path, roots, excluded) and (found := look(path)) is not None:
                yield path, found


def needs_polling(root: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Tell whether a folder is on a file system where changes must be looked for."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return True  # not Linux: looking always works
    best, system = -1, ""
    for line in lines:
        _, where, kind, *_ = line.split(" ")
        point = Path(where.replace("\\040", " "))
        if root.is_relative_to(point) and len(point.parts) >= best:
            best, system = len(point.parts), kind
    return system in NETWORK_SYSTEMS
