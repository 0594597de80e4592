"""Files onto the wire in pieces: byte ranges of one file, and several files as one archive.

Nothing here knows tornado; a gigabyte passes through a buffer of a megabyte.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PIECE = 2**20
"""Bytes read and sent at once."""
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeError(GoodmanError):
    """A byte range that the file does not have."""

    status = 416
    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes.", field="Range")
        self.headers = {"Content-Range": f"bytes */{size}"}


class MissingFileError(GoodmanError):
    """A file that the catalogue knows and the disk does not have."""

    status = 410
    code = "file_missing"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file, the last one excluded."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.stop - self.start


def parse_range(text: str, size: int) -> Span | None:
    """Return the range of a ``Range`` header, None to send the whole file.

    Several ranges, and what is no byte range, are answered with the whole file (RFC 9110, 14.2).

    Raises
    ------
    RangeError
        If the range begins past the end.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
        if int(last) == 0:
            raise RangeError(size)
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeError(size)
    return Span(start, stop)


def open_file(path: Path) -> BinaryIO:
    """Open a file of the catalogue.

    Raises
    ------
    MissingFileError
        If it is not there.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise MissingFileError(
            f"{path.name} is in the catalogue but cannot be read: {error.strerror}.",
            remedy="Tell the operator.",
        ) from error


def pieces_of(stream: BinaryIO, span: Span) -> Iterator[bytes]:
    """Yield the bytes of `span`, and close `stream`."""
    with stream:
        stream.seek(span.start)
        left = span.size
        while left > 0:
            piece = stream.read(min(PIECE, left))
            if not piece:
                # The length has been promised: better a broken answer than a wrong one.
                msg = f"{left} bytes are missing at the end"
                raise OSError(msg)
            left -= len(piece)
            yield piece


class _Sink:
    """Collects what `zipfile` writes until it is taken away; it cannot be sought."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def archive_of(files: Sequence[tuple[str, Path]]) -> Iterator[bytes]:
    """Yield a ZIP archive of `files` (name in the archive, path), stored and not packed.

    FITS frames are noise: packing them costs a second each and saves little.

    Raises
    ------
    MissingFileError
        If one is not there.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]
        for name, path in files:
            with open_file(path) as stream:
                entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
                with archive.open(entry, "w", force_zip64=True) as target:
                    while piece := stream.read(PIECE):
                        target.write(piece)
                        yield sink.take()
    yield sink.take()


def distinct_names(names: Sequence[tuple[int, str]]) -> list[str]:
    """Return a name in the archive for each (id, file name): no folder, none twice."""
    taken: set[str] = set()
    found = []
    for number, name in names:
        plain = name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".") or f"{number}.fits"
        if plain in taken:
            plain = f"{number}_{plain}"
        taken.add(plain)
        found.append(plain)
    return found
