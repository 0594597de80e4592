"""What the two cameras, their readout modes and the named spectroscopic modes are.

All columns and rows are those of `Window`: unbinned, 0-based, counted from the first one clocked.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodman_live.pipeline.core.frame import Window

ADC_MAXIMUM = 65535
"""Largest value that the 16-bit converter gives, ADU."""

PIXEL_MM = 0.015
"""Edge of an unbinned pixel of either detector, mm."""

PIXEL_ARCSEC = 0.15
"""Edge of an unbinned pixel on the sky, arcsec."""

ANGLE_TOLERANCE_DEG = 0.01
"""Commanded angles closer than this are the same setting."""

_LIGHT_COLUMNS = (50, 4110)
"""Columns kept of a spectrum, the trim section of the public service (1-based 51 to 4110)."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One of the two cameras."""

    name: str
    """``Red`` or ``Blue``."""
    prescan: int
    """Number of serial columns before the first one that sees light."""
    overscan: tuple[int, int]
    """First and last-plus-one column whose level is the bias level alone.

    On Red the first four columns glow after a bright row (up to 540 ADU, measured), and the last
    one before the light is left out.
    """
    columns: int
    """Number of columns that can be clocked, virtual ones included."""
    postscan: tuple[int, int]
    """First and last-plus-one virtual column after the light; the first ones trail its charge."""
    rows: int
    """Number of rows of the detector."""
    half_well_e: float
    """Half of the full well in electrons: the product of gain and saturation in the table."""


RED = Camera(
    "Red",
    prescan=50,
    overscan=(4, 49),
    columns=4146,
    postscan=(4146, 4146),
    rows=4112,
    half_well_e=102_500.0,
)
"""e2v CCD231-84, SI 1110 controller."""

BLUE = Camera(
    "Blue",
    prescan=16,
    overscan=(0, 16),
    columns=4142,
    postscan=(4116, 4142),
    rows=4112,
    half_well_e=69_900.0,
)
"""Fairchild CCD 486, SI 600 controller."""

CAMERAS = {camera.name: camera for camera in (RED, BLUE)}
"""Cameras by the value of INSTCONF."""


@dataclass(frozen=True, slots=True)
class Readout:
    """One readout mode."""

    camera: str
    khz: int
    """Pixel rate."""
    attenuation: int
    """Analog attenuation setting of the controller."""
    gain: float
    """Electrons per ADU."""
    rdnoise: float
    """Electrons."""
    saturation: float
    """ADU at half of the full well, as published; may exceed what the converter gives."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A named spectroscopic mode."""

    name: str
    """Canonical name such as ``400_M1``."""
    lines_mm: int
    cam_targ: float
    """Camera angle, degrees."""
    grt_targ: float
    """Grating angle, degrees."""
    filter2: str
    """Usual order blocker."""


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("goodman_live.pipeline").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@cache
def readouts() -> tuple[Readout, ...]:
    """Return the known readout modes."""
    return tuple(
        Readout(
            camera=row["camera"],
            khz=int(row["khz"]),
            attenuation=int(row["attenuation"]),
            gain=float(row["gain"]),
            rdnoise=float(row["rdnoise"]),
            saturation=float(row["saturation"]),
        )
        for row in _rows("readout.csv")
    )


@cache
def modes() -> tuple[Mode, ...]:
    """Return the named spectroscopic modes."""
    return tuple(
        Mode(
            name=row["wavmode"],
            lines_mm=int(row["lines_mm"]),
            cam_targ=float(row["cam_targ"]),
            grt_targ=float(row["grt_targ"]),
            filter2=row["filter2"],
        )
        for row in _rows("modes.csv")
    )


def find_readout(gain: float, rdnoise: float, camera: str | None = None) -> Readout | None:
    """Return the readout mode with this gain and read noise, or None if it is not known."""
    for mode in readouts():
        same = abs(mode.gain - gain) < 0.005 and abs(mode.rdnoise - rdnoise) < 0.005
        if same and camera in (None, mode.camera):
            return mode
    return None


def saturation_adu(camera: str, gain: float, rdnoise: float) -> float:
    """Return the published saturation value of a readout mode in ADU.

    A pair of gain and read noise that is not in the table gets half of the full well of the
    camera, in electrons, over its gain: the rule that every row of the table follows.
    """
    known = find_readout(gain, rdnoise, camera)
    return known.saturation if known else CAMERAS[camera].half_well_e / gain


def clip_adu(saturation: float) -> float:
    """Return the raw ADU at and above which a pixel is saturated: well or converter."""
    return min(saturation, float(ADC_MAXIMUM))


def find_mode(lines_mm: int, cam_targ: float, grt_targ: float, grating: str = "") -> Mode | None:
    """Return the named mode at these commanded angles (degrees), or None."""
    found = [
        mode
        for mode in modes()
        if mode.lines_mm == lines_mm
        and abs(mode.cam_targ - cam_targ) <= ANGLE_TOLERANCE_DEG
        and abs(mode.grt_targ - grt_targ) <= ANGLE_TOLERANCE_DEG
    ]
    # 1200_M7 and 1200_CANIR share their angles; the grating tells them apart
    canir = "CANIR" in grating.upper()
    found.sort(key=lambda mode: mode.name.endswith("CANIR") != canir)
    return found[0] if found else None


def _inside(first: int, stop: int, origin: int, binning: int, length: int) -> slice:
    """Return the binned pixels whose every unbinned one lies in [first, stop)."""
    low = max(math.ceil((first - origin) / binning), 0)
    high = min((stop - origin) // binning, length)
    return slice(low, max(high, low))


def overscan_columns(camera: str, window: Window) -> slice | None:
    """Return the binned columns of `window` that hold the bias level alone.

    Returns
    -------
    slice or None
        Columns of the array; None where the window starts past the prescan.
    """
    columns = _inside(*CAMERAS[camera].overscan, window.x0, window.xbin, window.nx)
    return columns if columns.stop > columns.start else None


def postscan_columns(camera: str, window: Window) -> slice | None:
    """Return the binned columns of `window` clocked after the last one that sees light.

    Whether they hold the bias level alone must be seen in the frame (`core.zerolevel`).

    Returns
    -------
    slice or None
        Columns of the array; None where the window ends before them.
    """
    columns = _inside(*CAMERAS[camera].postscan, window.x0, window.xbin, window.nx)
    return columns if columns.stop > columns.start else None


def light_window(window: Window, *, spectrum: bool = True) -> Window:
    """Return the part of a raw window that is kept after the image trim.

    A spectrum keeps columns 51 to 4110 (1-based, unbinned) and drops its first row, as the
    public service does; an image keeps everything but a prescan that its window may hold.

    Raises
    ------
    ValueError
        If nothing of the window sees light.
    """
    columns = _inside(*_LIGHT_COLUMNS, window.x0, window.xbin, window.nx)
    first_row = 1 if spectrum and window.ny > 1 else 0
    kept = window.sub(columns, slice(first_row, window.ny))
    if kept.nx == 0 or kept.ny == 0:
        message = f"nothing of the window {window} sees light"
        raise ValueError(message)
    return kept


def section(window: Window, outer: Window) -> str:
    """Return the FITS section (1-based, inclusive) of `window` in the array of `outer`."""
    rows, columns = window.slices_in(outer)
    return f"[{columns.start + 1}:{columns.stop},{rows.start + 1}:{rows.stop}]"


def full_window(window: Window) -> Window:
    """Return `window` unbinned, covering the same pixels of the detector."""
    return replace(window, nx=window.nx * window.xbin, ny=window.ny * window.ybin, xbin=1, ybin=1)
