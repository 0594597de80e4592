"""The bytes of a FITS file: its header cards whatever is in them, and its pixels.

Raw headers of some years hold bytes that FITS forbids, a third axis, or scaling cards left
behind by another program. Reading them here, card by card, accepts all of that without touching
the file, and costs a fifth of a general reader.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.io.fits import Header

from goodman_live.pipeline.core.errors import BadFrameError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

_BLOCK = 2880
_CARD = 80
_LARGEST_HEADER = 200 * _BLOCK
_TYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_LARGEST_AXIS = 65536
_VALUE = re.compile(
    r" *(?:'(?:[^']|'')*'|[TF]|[+-]?(?:\d+\.?\d*|\.\d+)(?:[EDed][+-]?\d+)?|)? *(?:/.*)?"
)
_TEXT = 0.9
"""Share of printable bytes that makes a block one of cards and not of pixels."""
_GZIP = b"\x1f\x8b"
_PRINTABLE = bytes(range(32, 127))
_READABLE = bytes(byte if 32 <= byte < 127 else ord("?") for byte in range(256))
_COPY_AGAIN = "Copy the file again from the telescope or the archive."


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the pixels of an image lie in its file."""

    shape: tuple[int, ...]
    """Rows before columns; empty where there is no image."""
    bitpix: int
    offset: int
    """Bytes before the first pixel."""

    @property
    def pixels(self) -> int:
        """Return the number of pixels."""
        return int(np.prod(self.shape)) if self.shape else 0

    def rows(self, start: int, stop: int) -> Extent:
        """Return where some rows of the last image plane lie; leading axes are of length one."""
        width = self.shape[-1]
        return Extent(
            (stop - start, width), self.bitpix, self.offset + start * width * abs(self.bitpix) // 8
        )

    @property
    def stop(self) -> int:
        """Return the number of bytes up to the last pixel."""
        return self.offset + self.pixels * abs(self.bitpix) // 8


def read_cards(path: Path, stream: BinaryIO) -> tuple[list[str], int]:
    """Read the cards of the header at the start of `stream`.

    Returns
    -------
    cards : list of str
        80 ASCII characters each, END left out; other bytes are replaced by ``?``.
    size : int
        Bytes of the header, padding included.

    Raises
    ------
    BadFrameError
        If the file is empty, not FITS, or ends inside its header.
    """
    block = stream.read(_BLOCK)
    if not block:
        raise BadFrameError(f"{path.name} is empty.", remedy=_COPY_AGAIN)
    if block.startswith(_GZIP):
        raise BadFrameError(
            f"{path.name} is compressed with gzip, which is not read.",
            remedy="Unpack it (gunzip), or compress it with fpack to .fits.fz.",
        )
    if not block.startswith((b"SIMPLE  =", b"XTENSION=")):
        raise BadFrameError(
            f"{path.name} is not a FITS file: it does not begin with SIMPLE.", remedy=_COPY_AGAIN
        )
    cards: list[str] = []
    size = 0
    while len(block) == _BLOCK and size < _LARGEST_HEADER:
        lines = [block[start : start + _CARD] for start in range(0, _BLOCK, _CARD)]
        if len(block.translate(None, _PRINTABLE)) > (1 - _TEXT) * _BLOCK:
            break  # pixels: the header has no END
        size += _BLOCK
        for line in lines:
            if line[:8] == b"END     " and not line[8:].strip():
                return cards, size
            cards.append(_ascii(line))
        block = stream.read(_BLOCK)
    if size == 0 or not any(card.startswith("NAXIS   =") for card in cards):
        raise BadFrameError(f"{path.name} ends inside its header.", remedy=_COPY_AGAIN)
    return cards, size


def _ascii(line: bytes) -> str:
    return line.translate(_READABLE).decode("ascii")


def legal_header(cards: list[str]) -> Header:
    """Return a header of these cards; what FITS forbids becomes a COMMENT of the same text."""
    text = []
    for card in cards:
        if _is_legal(card):
            text.append(card)
        elif card.strip():
            text.append(f"COMMENT {card[:72].rstrip()}".ljust(_CARD))
    return Header.fromstring("".join(text))


def _is_legal(card: str) -> bool:
    keyword = card[:8]
    if keyword.rstrip() in {"COMMENT", "HISTORY", "", "CONTINUE"}:
        return True
    if not re.fullmatch(r"[A-Z0-9_\-]{1,8} *", keyword):
        return False
    if card[8:10] != "= ":
        return keyword == "HIERARCH"
    return _VALUE.fullmatch(card[10:]) is not None


def find_image(path: Path, header: Header, header_size: int) -> Extent:
    """Return where the pixels of the primary image lie.

    Raises
    ------
    BadFrameError
        If BITPIX or an axis makes no sense, or the file ends before the last pixel.
    """
    axes = [header.get(f"NAXIS{axis}") for axis in range(1, _axes(path, header) + 1)]
    bitpix = header.get("BITPIX")
    sound = all(isinstance(axis, int) and 0 <= axis <= _LARGEST_AXIS for axis in axes)
    if bitpix not in _TYPES or not sound:
        raise BadFrameError(
            f"{path.name}: BITPIX {bitpix} with axes {axes} is no image.",
            remedy=_COPY_AGAIN,
            field="NAXIS",
        )
    extent = Extent(tuple(reversed(axes)), bitpix, header_size)
    size = path.stat().st_size
    if size < extent.stop:
        raise BadFrameError(
            f"{path.name} is truncated: {size} of {extent.stop} bytes.",
            remedy="It may still be arriving; if not, copy it again.",
        )
    return extent


def _axes(path: Path, header: Header) -> int:
    naxis = header.get("NAXIS")
    if not isinstance(naxis, int) or isinstance(naxis, bool) or not 0 <= naxis <= 4:
        raise BadFrameError(f"{path.name}: NAXIS is {naxis!r}.", remedy=_COPY_AGAIN, field="NAXIS")
    return naxis


def check_whole(path: Path) -> None:
    """Refuse a file that ends before the last byte that its headers promise.

    Raises
    ------
    BadFrameError
        If the file is truncated, or one of its headers is damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = 0
        while start < size:
            stream.seek(start)
            cards, header_size = read_cards(path, stream)
            stop = start + header_size + _data_size(path, legal_header(cards))
            if stop > size:
                raise BadFrameError(
                    f"{path.name} is truncated: {size} of at least {stop} bytes.",
                    remedy="It may still be arriving; if not, copy or make it again.",
                )
            start = stop + -stop % _BLOCK


def _data_size(path: Path, header: Header) -> int:
    """Return the bytes of the data of any HDU, without padding."""
    axes = [header.get(f"NAXIS{axis}") for axis in range(1, _axes(path, header) + 1)]
    counts = [header.get("BITPIX"), header.get("PCOUNT", 0), header.get("GCOUNT", 1), *axes]
    if not all(isinstance(count, int) for count in counts):
        raise BadFrameError(f"{path.name} has a damaged header.", remedy=_COPY_AGAIN)
    bitpix, parameters, groups, *_ = counts
    elements = math.prod(axes) if axes else 0
    return int(abs(bitpix) // 8 * groups * (parameters + elements))


def read_pixels(path: Path, extent: Extent, header: Header) -> NDArray[np.float32]:
    """Read an image as float32, scaled as its header says, shape as in `extent`.

    An offset of 32768 beside floating-point pixels is left over from a conversion and is not
    added a second time. Pixels equal to BLANK become NaN.
    """
    raw = np.fromfile(path, _TYPES[extent.bitpix], extent.pixels, offset=extent.offset)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: infinite, no data
        data = raw.astype(np.float32)
    if extent.bitpix > 0 and isinstance(header.get("BLANK"), int):
        data[raw == header["BLANK"]] = np.nan
    del raw
    scale, zero = _factor(header, "BSCALE", 1.0), _factor(header, "BZERO", 0.0)
    if extent.bitpix < 0 and scale == 1.0 and zero in {32768.0, 2147483648.0}:
        zero = 0.0
    if scale != 1.0:
        data *= np.float32(scale)
    if zero != 0.0:
        data += np.float32(zero)
    return data.reshape(extent.shape)


def _factor(header: Header, key: str, default: float) -> float:
    value = header.get(key, default)
    return float(value) if isinstance(value, int | float) else default
