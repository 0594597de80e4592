"""The simulated instrument: cameras, readout modes, optical modes and windows.

Written from the instrument's public facts and kept apart from the reduction code, so that an
error in one is not hidden by the same error in the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, radians, sin

SLIT_CENTRE_ROW = 2095
"""Unbinned parallel row at the middle of the long slit."""
SLIT_ROWS = 1566
"""Unbinned rows lit through the long slit (3.9 arcmin at 0.15 arcsec)."""
ARCSEC_PER_PIXEL = 0.15
"""Scale of an unbinned pixel on the sky."""
OPTICAL_AXIS_COLUMN = 2079.5
"""Unbinned serial column (prescan counted) to which the modes' central wavelengths refer."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What a camera's frames have in common."""

    name: str
    prescan: int
    """Columns clocked before the light, counted from serial column 0."""
    active: int = 4096
    """Columns that see light."""
    serial_length: int = 4142
    """Columns in a full unbinned row: prescan, active and, on Blue, virtual postscan."""


CAMERAS = {"Red": Camera("Red", prescan=50), "Blue": Camera("Blue", prescan=16)}


@dataclass(frozen=True, slots=True)
class Readout:
    """One readout speed and attenuation."""

    khz: int
    attenuation: int
    gain: float
    """Electrons per ADU."""
    rdnoise: float
    """Electrons."""
    clip_adu: float
    """Level at which a pixel stops: the converter or the full well, whichever is first."""


READOUTS = {
    ("Red", 100, 3): Readout(100, 3, 1.54, 3.45, 65535),
    ("Red", 100, 2): Readout(100, 2, 3.48, 5.88, 58908),
    ("Red", 344, 3): Readout(344, 3, 1.48, 3.89, 65535),
    ("Red", 344, 0): Readout(344, 0, 3.87, 7.05, 52972),
    ("Red", 750, 2): Readout(750, 2, 1.47, 5.27, 65535),
    ("Red", 750, 0): Readout(750, 0, 3.77, 8.99, 54376),
    ("Blue", 50, 0): Readout(50, 0, 0.25, 3.33, 65535),
    ("Blue", 50, 2): Readout(50, 2, 0.47, 3.35, 65535),
    ("Blue", 50, 3): Readout(50, 3, 0.91, 3.41, 65535),
    ("Blue", 100, 0): Readout(100, 0, 0.56, 3.69, 65535),
    ("Blue", 100, 2): Readout(100, 2, 1.06, 3.72, 65535),
    ("Blue", 100, 3): Readout(100, 3, 2.06, 3.99, 65535),
    ("Blue", 200, 0): Readout(200, 0, 1.40, 4.74, 65535),
    ("Blue", 200, 2): Readout(200, 2, 2.67, 5.12, 52358),
    ("Blue", 400, 0): Readout(400, 0, 5.67, 8.62, 24656),
}
"""Gain, noise and clip level per camera, speed and attenuation (SOAR readout tables)."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A grating setting, with the wavelengths its detector was measured to cover."""

    name: str
    lines_mm: int
    cam_targ: float
    grt_targ: float
    filter2: str
    blue: float
    """Wavelength 2029.5 columns left of the axis, Angstrom."""
    centre: float
    """Wavelength on the axis, Angstrom."""
    red: float
    """Wavelength 2029.5 columns right of the axis, Angstrom."""
    dispersion: float
    """Angstrom per unbinned column on the axis."""


_MODES = (
    ("400_M1", 400, 11.6, 5.8, "NO_FILTER", 3023.421, 5044.597, 7049.253, 0.99485),
    ("400_M2", 400, 16.1, 7.5, "GG455", 4943.684, 6957.654, 8947.367, 0.98938),
    ("600_UV", 600, 15.25, 7.0, "NO_FILTER", 3033.486, 4364.480, 5680.441, 0.65407),
    ("600_BLUE", 600, 17.0, 7.0, "NO_FILTER", 3532.730, 4858.787, 6166.637, 0.65084),
    ("600_MID", 600, 20.0, 10.0, "GG385", 4395.218, 5721.279, 7029.135, 0.65084),
    ("600_RED", 600, 27.0, 12.0, "GG495", 6352.625, 7658.089, 8936.614, 0.63850),
    ("930_M1", 930, 20.6, 10.3, "NO_FILTER", 2948.663, 3807.004, 4653.111, 0.42118),
    ("930_M2", 930, 25.2, 12.6, "NO_FILTER", 3789.160, 4642.408, 5480.742, 0.41800),
    ("930_M3", 930, 29.9, 15.0, "GG385", 4648.157, 5496.744, 6327.625, 0.41502),
    ("930_M4", 930, 34.6, 18.3, "GG495", 5479.176, 6323.319, 7148.238, 0.41244),
    ("930_M5", 930, 39.4, 19.7, "GG495", 6338.057, 7169.482, 7977.748, 0.40519),
    ("930_M6", 930, 44.2, 22.1, "OG570", 7181.696, 7998.476, 8789.661, 0.39734),
    ("1200_M0", 1200, 26.0, 16.3, "NO_FILTER", 3044.441, 3717.414, 4380.948, 0.33030),
    ("1200_M1", 1200, 29.5, 16.3, "NO_FILTER", 3547.297, 4209.256, 4858.994, 0.32414),
    ("1200_M2", 1200, 34.4, 18.7, "NO_FILTER", 4229.201, 4885.060, 5526.467, 0.32057),
    ("1200_M3", 1200, 39.4, 20.2, "NO_FILTER", 4927.468, 5572.917, 6200.768, 0.31465),
    ("1200_M4", 1200, 44.4, 22.2, "GG455", 5611.723, 6246.845, 6861.711, 0.30889),
    ("1200_M5", 1200, 49.6, 24.8, "GG455", 6310.418, 6935.315, 7537.692, 0.30328),
    ("1200_M6", 1200, 54.8, 27.4, "GG495", 6994.838, 7607.802, 8196.074, 0.29684),
    ("1200_M7", 1200, 60.2, 30.1, "OG570", 7692.845, 8292.284, 8864.793, 0.28961),
    ("1200_CANIR", 1200, 60.2, 30.1, "OG570", 7674.304, 8271.657, 8842.473, 0.28866),
    ("2100_650", 2100, 86.08, 43.04, "GG455", 6134.734, 6429.506, 6703.764, 0.14061),
    ("2100_3900A", 2100, 48.3469, 24.1734, "NO_FILTER", 3494.153, 3852.798, 4199.018, 0.17420),
)
MODES = {row[0]: Mode(*row) for row in _MODES}
"""Named modes: public angles and the coverage measured on reference lamps (1200_M0: predicted)."""

GRATING_NAMES = {
    400: "400_SYZY",
    600: "600_SYZY_OLD",
    930: "930_SYZY",
    1200: "1200_RALC_BLUE",
    1800: "1800_SYZY",
    2100: "2100_SYZY",
    2400: "2400_SYZY",
}


def custom_mode(lines_mm: int, cam_targ: float, grt_targ: float, filter2: str) -> Mode:
    """Return a mode for angles that have no name.

    The coverage comes from a series in the offset from the axis (nominal focal length 376 mm),
    good to some tens of columns, as is the instrument.
    """
    alpha, beta = radians(grt_targ), radians(cam_targ - grt_targ)
    scale, step = 1e7 / lines_mm, 0.015 / 376.0
    half = 2029.5

    def at(column: float) -> float:
        offset = column * step - (column * step) ** 3 / 3
        series = (
            sin(beta)
            + cos(beta) * offset
            - sin(beta) * offset**2 / 2
            - cos(beta) * offset**3 / 6
            + sin(beta) * offset**4 / 24
        )
        return scale * (sin(alpha) + series)

    return Mode(
        "CUSTOM", lines_mm, cam_targ, grt_targ, filter2,
        at(-half), at(0.0), at(half), scale * cos(beta) * step,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Region:
    """A readout window: origin in unbinned readout coordinates, size in binned pixels."""

    name: str
    x0: int
    y0: int
    nx: int
    ny: int


def spectroscopic(xbin: int, ybin: int) -> Region:
    """Return the long-slit region of interest at a binning."""
    name = f"Spectroscopic {xbin}x{ybin}" if xbin == ybin else "user-defined"
    return Region(name, 0, 1100, 4142 // xbin, 1896 // ybin)


def imaging(xbin: int, ybin: int) -> Region:
    """Return the imaging region of interest at a binning."""
    return Region(f"Imaging {xbin}x{ybin}", 530, 388, 3096 // xbin, 3096 // ybin)


@dataclass(frozen=True, slots=True)
class Setup:
    """One configuration of the instrument, from camera to window."""

    camera: Camera
    readout: Readout
    mode: Mode | None
    """Grating setting; None for direct imaging."""
    region: Region
    xbin: int = 2
    ybin: int = 2
    slit_arcsec: float | None = 1.0
    """Long-slit width; None without a slit."""
    filter1: str = "NO_FILTER"
    aeon: bool = True
    """Header spelling: AEON (since 2019) or legacy."""
    detector_seed: int = 0
    """Which specimen of the detector: bad columns, pixel response, fixed pattern."""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (rows, columns) of a frame."""
        return self.region.ny, self.region.nx

    def with_(self, **changes: object) -> Setup:
        """Return a copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def setup(
    camera: str = "Red",
    mode: str | Mode | None = "400_M1",
    *,
    binning: tuple[int, int] = (2, 2),
    speed: tuple[int, int] | None = None,
    slit_arcsec: float | None = 1.0,
    region: Region | None = None,
    filter1: str = "NO_FILTER",
    aeon: bool = True,
    detector_seed: int = 0,
) -> Setup:
    """Return a `Setup` from the few things that usually vary.

    Parameters
    ----------
    camera : {"Red", "Blue"}
        Camera.
    mode : str, Mode or None
        Named mode, a mode from `custom_mode`, or None for direct imaging.
    binning : tuple of int
        Serial and parallel binning.
    speed : tuple of int, optional
        Readout speed in kHz and attenuation; the usual science choice by default.
    slit_arcsec : float or None
        Width of the long slit in arcsec; ignored for imaging.
    region : Region, optional
        Readout window; the standard one of the technique by default.
    filter1 : str
        Filter in the first wheel.
    aeon : bool
        Header spelling.
    detector_seed : int
        Specimen of the detector.
    """
    cam = CAMERAS[camera]
    key = (camera, *(speed or ((344, 3) if camera == "Red" else (200, 0))))
    chosen = MODES[mode] if isinstance(mode, str) else mode
    xbin, ybin = binning
    standard = imaging(xbin, ybin) if chosen is None else spectroscopic(xbin, ybin)
    return Setup(
        camera=cam,
        readout=READOUTS[key],
        mode=chosen,
        region=region or standard,
        xbin=xbin,
        ybin=ybin,
        slit_arcsec=slit_arcsec if chosen is not None else None,
        filter1=filter1,
        aeon=aeon,
        detector_seed=detector_seed,
    )
