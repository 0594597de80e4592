"""Tables of focus runs, as FITS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.focus import Focus, Width
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import whole_file
from goodman_live.pipeline.products.rawbytes import check_whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_FAULTS = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, BadFrameError)


@dataclass(frozen=True, slots=True, eq=False)
class FocusRun:
    """Settings and widths of a run, and what they tell."""

    card: str
    """Header card that was varied."""
    files: tuple[str, ...]
    """Names of the raw frames, the newest first."""
    setting: NDArray[np.float64]
    """Value of the card, shape (n,)."""
    widths: tuple[Width, ...]
    focus: Focus


def write_focus(path: Path, run: FocusRun, header: fits.Header) -> None:
    """Write a focus run whole.

    Parameters
    ----------
    path : Path
        Where.
    run : FocusRun
        What was measured.
    header : Header
        Of its newest frame; its cards go into the primary HDU.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    primary = record.strip(header)
    record.name(primary, path, 2, run.files[0])
    found = run.focus
    for key, value, comment in (
        ("GSP_FCRD", run.card, "card that the run varies"),
        ("GSP_FBST", found.best, "sharpest setting"),
        ("GSP_FERR", found.error, "its error"),
        ("GSP_FFWH", found.fwhm_px, "FWHM there, unbinned px"),
        ("GSP_FBRK", found.bracketed, "the run brackets it"),
        ("GSP_FTXT", found.reason.replace("±", "+-"), ""),  # FITS cards are ASCII
        ("GSP_FCEN", found.centre, "setting from which the curve counts"),
        *(
            (f"GSP_FC{power:02d}", value, "FWHM squared: coefficient")
            for power, value in enumerate(found.curve or ())
        ),
    ):
        record.put(primary, key, value, comment)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("file", "80A", array=[name[:80] for name in run.files]),
            fits.Column("setting", "D", array=run.setting),
            fits.Column("fwhm", "D", "pix", array=[one.fwhm_px for one in run.widths]),
            fits.Column("fwhm_error", "D", "pix", array=[one.error_px for one in run.widths]),
            fits.Column("count", "J", array=[one.count for one in run.widths]),
            fits.Column("measured_on", "8A", array=[one.what for one in run.widths]),
            fits.Column("used", "L", array=found.used),
        ],
        name="FOCUS",
    )
    hdus = fits.HDUList([fits.PrimaryHDU(header=primary), table])
    record.fit_comments(hdus[0].header)
    with whole_file(path) as stream:
        hdus.writeto(stream, checksum=True)


def read_focus(path: Path) -> FocusRun:
    """Read what `write_focus` wrote.

    Raises
    ------
    BadFrameError
        If the file is no focus run of this software, or damaged.
    """
    try:
        check_whole(path)
        with fits.open(path, memmap=False) as hdus:
            return _run(hdus[0].header, hdus["FOCUS"].data)
    except _FAULTS as error:
        raise BadFrameError(
            f"{path.name} is not a whole focus run: {error}.", remedy="Measure it again."
        ) from error


def _run(header: fits.Header, rows: Any) -> FocusRun:
    def number(key: str) -> float:
        value = header.get(key)
        return float(value) if isinstance(value, int | float) else float("nan")

    curve = tuple(number(f"GSP_FC{power:02d}") for power in range(3))
    return FocusRun(
        card=str(header["GSP_FCRD"]),
        files=tuple(str(name) for name in rows["file"]),
        setting=np.array(rows["setting"], dtype=float),
        widths=tuple(
            Width(float(a), float(b), int(n), str(what))
            for a, b, n, what in zip(
                rows["fwhm"], rows["fwhm_error"], rows["count"], rows["measured_on"], strict=True
            )
        ),
        focus=Focus(
            best=number("GSP_FBST"),
            error=number("GSP_FERR"),
            fwhm_px=number("GSP_FFWH"),
            bracketed=bool(header["GSP_FBRK"]),
            reason=str(header["GSP_FTXT"]).replace("+-", "±"),
            curve=(curve[0], curve[1], curve[2]) if np.all(np.isfinite(curve)) else None,
            centre=number("GSP_FCEN"),
            used=np.array(rows["used"], dtype=bool),
        ),
    )
