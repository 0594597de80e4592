"""The ``GSP_*`` record in the header of every product, begun as the public service writes it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from astropy.io.fits import Header
from astropy.io.fits.card import Undefined

from goodman_live import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from goodman_live.pipeline.core.frame import Window
    from goodman_live.pipeline.core.info import FrameInfo

_STRUCTURE = frozenset(
    (
        *("SIMPLE", "BITPIX", "NAXIS", "EXTEND", "XTENSION", "PCOUNT", "GCOUNT", "GROUPS"),
        *("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "EXTNAME", "TFIELDS", "END"),
        *("ZIMAGE", "ZSIMPLE", "ZBITPIX", "ZNAXIS", "ZCMPTYPE", "ZQUANTIZ", "ZBLANK"),
        *("ZDITHER0", "ZEXTEND", "ZHECKSUM", "ZDATASUM"),
    )
)
_STRUCTURE_NUMBERED = ("NAXIS", "ZNAXIS", "ZTILE", "ZNAME", "ZVAL", "TTYPE", "TFORM", "TUNIT")

_STEPS = (
    ("GSP_OVER", "overscan section"),
    ("GSP_TRIM", "trim section"),
    ("GSP_SLIT", "slit trim section"),
    ("GSP_BIAS", "master bias"),
    ("GSP_FLAT", "master flat"),
    ("GSP_NORM", "normalisation of the flat"),
    ("GSP_COSM", "cosmic-ray rejection"),
    ("GSP_TMOD", "model of the trace"),
    ("GSP_EXTR", "extraction zone, first column, 0-based"),
    ("GSP_BKG1", "first background zone"),
    ("GSP_BKG2", "second background zone"),
    ("GSP_WRMS", "rms of the wavelength solution, Angstrom"),
    ("GSP_WPOI", "lines used by the wavelength solution"),
    ("GSP_WREJ", "lines rejected by the wavelength solution"),
)


def begin(header: Header, path: Path, info: FrameInfo) -> Header:
    """Return a raw header without its structure cards and with the record begun.

    Parameters
    ----------
    header : Header
        Header of the raw frame; it is not changed.
    path : Path
        The raw file.
    info : FrameInfo
        What the header doctor found.
    """
    record = strip(header)
    first = "GSP_ONAM" not in record
    put(record, "BUNIT", "adu", "unit of the pixels")
    put(record, "GSP_VERS", f"goodman-live {__version__}", "software that made this file")
    if first:
        put(record, "GSP_ONAM", name_card(path.name), "file name of the raw frame")
        put(record, "GSP_PNAM", name_card(path.name), "file name of the parent")
        put(record, "GSP_FNAM", name_card(path.name), "file name")
        put(record, "GSP_PATH", name_card(str(path.parent)), "folder")
        put(record, "GSP_TECH", str(info.technique), "technique")
        put(record, "GSP_DATE", datetime.now(UTC).date().isoformat(), "date of processing")
        for key, comment in _STEPS:
            put(record, key, "none", comment)
        for number, repair in enumerate(info.repairs, 1):
            text = f"GSP mended {repair.keyword}: {repair.found!r} -> {repair.used!r}. "
            record.add_history(_ascii(f"{number:02d} {text}{repair.reason}"))
    return record


def _ascii(text: str) -> str:
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)


def name_card(text: str) -> str:
    """Return a file's name or folder as the value of a card; a long one is continued on others.

    Names of masters with a window and a version have more than the 68 characters of one card, and
    a name that is cut names no file (``CONTINUE``: FITS standard 4.0, section 4.2.1.2).
    """
    return _ascii(text).replace("'", "_")


def strip(header: Header) -> Header:
    """Return a copy without the cards that describe the structure of its file."""
    kept = Header()
    for card in header.cards:
        keyword = card.keyword
        numbered = keyword.startswith(_STRUCTURE_NUMBERED) and keyword[-1:].isdigit()
        if keyword not in _STRUCTURE and not numbered:
            kept.append(card, end=True)
    return kept


def place(header: Header, window: Window) -> None:
    """Write the place on the detector into a header of a product."""
    put(header, "GSP_WX0", window.x0, "first unbinned column of the window, 0-based")
    put(header, "GSP_WY0", window.y0, "first unbinned row of the window, 0-based")
    put(header, "GSP_XBIN", window.xbin, "serial binning")
    put(header, "GSP_YBIN", window.ybin, "parallel binning")


def name(header: Header, path: Path, data_type: int, parent: str | None) -> None:
    """Write name, parent and level of a product into its header.

    Without `parent` it is the file that the header was read from.
    """
    if parent is None:
        parent = str(header.get("GSP_FNAM", path.name))
    put(header, "GSP_PNAM", name_card(parent), "file name of the parent")
    put(header, "GSP_FNAM", name_card(path.name), "file name")
    put(header, "GSP_PATH", name_card(str(path.parent)), "folder")
    put(header, "GSP_TYPE", data_type, "1 master 2 reduced 3 extracted 4 wavelength 5 flux")
    if "RLEVEL" in header:
        header["RLEVEL"] = 60 + data_type


def put(header: Header, key: str, value: object, comment: str = "") -> None:
    """Set a card so that FITS can hold it.

    NaN and infinity become undefined, other than printable ASCII becomes ``?``, and a comment
    is cut to the room that the value leaves.
    """
    if isinstance(value, float) and not math.isfinite(value):
        value = Undefined()
    if isinstance(value, str):
        value = _ascii(value)
    header[key] = (value, comment[: room_for_comment(value)])


def room_for_comment(value: object) -> int:
    """Return the number of characters that a value leaves for the comment of its card."""
    width = 20
    if isinstance(value, str):
        width = max(width, len(value.replace("'", "''")) + 2)
    return max(80 - 10 - width - 3, 0)


def fit_comments(header: Header) -> None:
    """Cut the comments of the record to the room on their cards."""
    for card in header.cards:
        if card.keyword.startswith("GSP_"):
            card.comment = card.comment[: room_for_comment(card.value)]
