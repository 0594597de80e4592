"""Where the pixels of a frame lie on the detector.

The controller writes the window it read out into its own cards; these are the only reliable
geometry of a user-defined region. Layouts differ between the cameras and the years.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.info import Repair

if TYPE_CHECKING:
    from goodman_live.pipeline.core.cards import Cards

_MOST_COLUMNS = 4200
_MOST_ROWS = 4200
_LARGEST_BINNING = 8
_NOMINAL_SLACK = 3
"""Binned pixels by which a named region may differ from its nominal size."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Keywords under which a controller writes the window it read out."""

    camera: str
    x0: str
    nx: str
    xbin: str
    y0: str
    ny: str
    ybin: str


LAYOUTS = (
    Layout("Red", "PG5_11", "PG5_10", "PG5_9", "PG5_6", "PG5_5", "PG5_4"),
    Layout("Blue", "PG3_0", "PG3_1", "PG3_2", "PG3_4", "PG3_5", "PG3_6"),
    Layout("", "PARAM16", "PARAM17", "PARAM18", "PARAM20", "PARAM21", "PARAM22"),
)
"""Red, Blue, and either camera in 2016."""

_REGIONS = (
    ("SLIT IMAGING", 1850, 1100, 400, 1896),
    ("SPECTROSCOPIC", 0, 1100, 4142, 1896),
    ("IMAGING", 530, 388, 3096, 3096),
)
"""Named regions: origin and unbinned size, both (serial, parallel)."""

_CUSTOM = re.compile(r"CUST_(\d+)_(\d+)_(\d+)_(\d+)_(\d+)X(\d+)")
_SECTION = re.compile(r"\[\s*(-?\d+)\s*:\s*(-?\d+)\s*,\s*(-?\d+)\s*:\s*(-?\d+)\s*\]")


def place(
    cards: Cards, camera: str, shape: tuple[int, ...]
) -> tuple[Window, str, tuple[Repair, ...]]:
    """Find the window of a frame on the detector.

    Parameters
    ----------
    cards : Cards
        Header.
    camera : str
        ``Red`` or ``Blue``.
    shape : tuple of int
        Shape of the data array, rows before columns; leading axes of length one are dropped.

    Returns
    -------
    window : Window
        Where the header says the pixels lie. Its shape differs from `shape` where the two
        contradict each other; that is then among the repairs.
    roi : str
        Name of the region, inferred where the header has none.
    repairs : tuple of Repair
        What was mended.
    """
    ny, nx = (1, *shape)[-2:]
    repairs: list[Repair] = []
    window = _of_product(cards, ny, nx)
    if window is not None:
        return window, cards.text("ROI") or _name(window), ()
    binning = _ccdsum(cards)
    window = _of_controller(cards, camera)
    if window is None:
        window = _of_region(cards, binning, ny, nx, repairs)
    elif binning not in (None, (window.xbin, window.ybin)):
        repairs.append(
            Repair(
                "CCDSUM",
                cards.text("CCDSUM"),
                f"{window.xbin} {window.ybin}",
                "The controller cards state the binning that was used.",
            )
        )
    if binning is None and not cards.text("CCDSUM"):
        repairs.append(
            Repair("CCDSUM", "", f"{window.xbin} {window.ybin}", "The card is missing.")
        )
    roi = cards.text("ROI")
    if not roi:
        roi = _name(window)
        repairs.append(Repair("ROI", "", roi, "The card is missing; named from the window."))
    repairs += _check_size(window, ny, nx)
    repairs += _check_trimsec(cards, window.ny, window.nx)
    return window, roi, tuple(repairs)


def _of_product(cards: Cards, ny: int, nx: int) -> Window | None:
    """Return the window that we ourselves wrote into a product."""
    values = [cards.integer(key) for key in ("GSP_WX0", "GSP_WY0", "GSP_XBIN", "GSP_YBIN")]
    x0, y0, xbin, ybin = values
    if x0 is None or y0 is None or not xbin or not ybin:
        return None
    return Window(x0, y0, nx, ny, xbin, ybin)


def _of_controller(cards: Cards, camera: str) -> Window | None:
    for layout in sorted(LAYOUTS, key=lambda layout: layout.camera != camera):
        comment = cards.comment(layout.x0).lower()
        if comment and "serial origin" not in comment:
            continue
        keys = (layout.x0, layout.y0, layout.nx, layout.ny, layout.xbin, layout.ybin)
        numbers = [cards.integer(key) for key in keys]
        if None in numbers:
            continue
        window = Window(*[number for number in numbers if number is not None])
        if _possible(window):
            return window
    return None


def _possible(window: Window) -> bool:
    fits_x = 0 <= window.x0 <= window.x0 + window.nx * window.xbin <= _MOST_COLUMNS
    fits_y = 0 <= window.y0 <= window.y0 + window.ny * window.ybin <= _MOST_ROWS
    binned = all(1 <= binning <= _LARGEST_BINNING for binning in (window.xbin, window.ybin))
    return fits_x and fits_y and binned and window.nx > 0 and window.ny > 0


def _of_region(
    cards: Cards, binning: tuple[int, int] | None, ny: int, nx: int, repairs: list[Repair]
) -> Window:
    """Place a frame by the name of its region, or else by its size."""
    roi = cards.text("ROI").upper().replace("-", " ")
    custom = _CUSTOM.search(roi.replace(" ", "_"))
    if custom:
        x0, width, y0, height, xbin, ybin = map(int, custom.groups())
        return Window(x0, y0, width, height, xbin, ybin)
    xbin, ybin = binning or _binning_of(roi) or _binning_by_size(ny, nx)
    for name, x0, y0, width, height in _REGIONS:
        nominal = Window(x0, y0, width // xbin, height // ybin, xbin, ybin)
        near = abs(nominal.nx - nx) <= _NOMINAL_SLACK and abs(nominal.ny - ny) <= _NOMINAL_SLACK
        if near:
            return replace(nominal, nx=nx, ny=ny)
        if roi.startswith(name):
            return nominal
    x0 = 0 if nx * xbin > _MOST_COLUMNS - 200 else max((4142 - nx * xbin) // 2, 0)
    repairs.append(
        Repair(
            "ROI",
            cards.text("ROI"),
            f"serial origin {x0}, parallel origin 0",
            "The header does not say where this region lies; calibrations of the same size "
            "are taken to share its place.",
        )
    )
    return Window(x0, 0, nx, ny, xbin, ybin)


def _binning_of(roi: str) -> tuple[int, int] | None:
    match = re.search(r"([1-8])X([1-8])\b", roi)
    return (int(match[1]), int(match[2])) if match else None


def _binning_by_size(ny: int, nx: int) -> tuple[int, int]:
    binning = max(1, round(4142 / nx)) if nx * 3 >= 4142 - 60 else 1
    return binning, binning if ny * binning <= 1896 + binning else 1


def _ccdsum(cards: Cards) -> tuple[int, int] | None:
    match = re.fullmatch(r"\s*([1-8])\s*[ x,]\s*([1-8])\s*", cards.text("CCDSUM"), re.IGNORECASE)
    return (int(match[1]), int(match[2])) if match else None


def _name(window: Window) -> str:
    for name, label in (
        ("SPECTROSCOPIC", f"Spectroscopic {window.xbin}x{window.ybin}"),
        ("IMAGING", f"Imaging {window.xbin}x{window.ybin}"),
        ("SLIT IMAGING", "Slit Imaging/Alignment"),
    ):
        _, x0, y0, width, height = next(region for region in _REGIONS if region[0] == name)
        same_origin = (window.x0, window.y0) == (x0, y0)
        near_x = abs(window.nx - width // window.xbin) <= _NOMINAL_SLACK
        near_y = abs(window.ny - height // window.ybin) <= _NOMINAL_SLACK
        if same_origin and near_x and near_y:
            return label
    return "user-defined"


def _check_size(window: Window, ny: int, nx: int) -> list[Repair]:
    if (ny, nx) == window.shape:
        return []
    return [
        Repair(
            "NAXIS1,NAXIS2",
            f"{nx} x {ny}",
            f"{window.nx} x {window.ny}",
            "The array does not have the size of the window that was read out.",
        )
    ]


def _check_trimsec(cards: Cards, ny: int, nx: int) -> list[Repair]:
    match = _SECTION.fullmatch(cards.text("TRIMSEC"))
    if not match:
        return []
    x1, x2, y1, y2 = map(int, match.groups())
    if 1 <= x1 <= x2 <= nx and 1 <= y1 <= y2 <= ny:
        return []
    columns, rows = _clip(x1, x2, nx), _clip(y1, y2, ny)
    used = f"[{columns},{rows}]"
    reason = f"The section reaches outside the {nx} x {ny} window; the window is used instead."
    return [Repair("TRIMSEC", cards.text("TRIMSEC"), used, reason)]


def _clip(first: int, last: int, size: int) -> str:
    low, high = max(first, 1), min(last, size)
    return f"{low}:{high}" if low <= high else f"1:{size}"
