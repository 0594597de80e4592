"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from goodman_live.pipeline.core.errors import DiskFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK = 1 << 20


class Writer:
    """A stream that says plainly that the disk is full.

    Writers of arrays bypass `write` on real files, and then lose the number of the error on the
    way; this one has no file descriptor to bypass it with.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write bytes.

        Raises
        ------
        DiskFullError
            If disk or quota is full.
        """
        try:
            return self._stream.write(data)
        except OSError as error:
            _raise_if_full(error, self._name)
            raise

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()

    def flush(self) -> None:
        """Leave flushing to the end."""


def _raise_if_full(error: OSError, name: str) -> None:
    if error.errno in _FULL:
        raise DiskFullError(
            f"No space to write {name}: {error.strerror}.",
            remedy="Free space or raise the quota, then run the step again.",
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Writer]:
    """Open a file for writing that gets its name only once it is whole and on the disk.

    The bytes go to a hidden file in the same folder, which is synchronised and renamed at the
    end; on any failure it is removed and an older file of that name stays as it was.

    Parameters
    ----------
    path : Path
        Final name.

    Yields
    ------
    Writer
        The open file.

    Raises
    ------
    DiskFullError
        If disk or quota is full.
    """
    token = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    part = path.with_name(f".{path.name[:160]}.{token}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb", buffering=_CHUNK) as stream:
            yield Writer(stream, path.name)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        _raise_if_full(error, path.name)
        raise
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> list[Path]:
    """Remove what killed processes of this host left half written in a folder.

    Returns
    -------
    list of Path
        What was removed.
    """
    removed = []
    for part in folder.glob(".*.part"):
        host, _, rest = part.suffixes[-2].removeprefix(".").partition("-")
        pid = rest.partition("-")[0]
        if host == _host() and pid.isdigit() and not _runs(int(pid)):
            part.unlink(missing_ok=True)
            removed.append(part)
    return removed


def _host() -> str:
    """Return this host's name in letters and digits."""
    return "".join(sign for sign in os.uname().nodename if sign.isalnum())[:40] or "host"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
