"""Where light of each wavelength falls: the grating equation with a two-parameter camera.

lambda(x) = (1e7 / G) [sin(alpha) + sin(beta + dbeta + atan((x - x0) p / f))], first order, with
alpha = GRT_ANG and beta = CAM_ANG - GRT_ANG; f is the focal length of the camera and dbeta the
error of its angle. Both differ from night to night and are fitted; the constants kept here are
where to begin.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.errors import BadHeaderError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.info import FrameInfo

PIXEL_MM = 0.015
"""Unbinned pixel of both cameras, mm."""
AXIS_COLUMN = 2079.5
"""Unbinned readout column on the camera's axis."""
HALF_SPAN = 2048.0
"""Unbinned columns from the axis that scale to 1 in the polynomials of the fit."""


@dataclass(frozen=True, slots=True)
class Dispersion:
    """The grating equation for one setting of grating and camera."""

    lines_mm: float
    """Lines per mm, or the effective value that goes with the other constants."""
    alpha_deg: float
    """Angle of incidence: the grating angle."""
    beta_deg: float
    """Angle of diffraction on the axis as commanded: camera angle less grating angle."""
    f_mm: float
    """Focal length of the camera."""
    dbeta_deg: float
    """Error of the camera angle."""
    scatter_px: float = 20.0
    """How far off the prediction may be: one standard deviation, unbinned columns."""

    def wavelength(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return the air wavelength in Angstrom at unbinned readout columns."""
        x = (np.asarray(column, dtype=float) - AXIS_COLUMN) * PIXEL_MM / self.f_mm
        angle = math.radians(self.beta_deg + self.dbeta_deg) + np.arctan(x)
        return 1e7 / self.lines_mm * (math.sin(math.radians(self.alpha_deg)) + np.sin(angle))

    def column(self, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Return the unbinned readout column of wavelengths in Angstrom; NaN where none."""
        sine = np.asarray(wavelength, dtype=float) * self.lines_mm / 1e7
        sine = sine - math.sin(math.radians(self.alpha_deg))
        with np.errstate(invalid="ignore"):
            angle = np.arcsin(sine) - math.radians(self.beta_deg + self.dbeta_deg)
        angle = np.where(np.abs(angle) < 0.5, angle, np.nan)
        return AXIS_COLUMN + np.tan(angle) * self.f_mm / PIXEL_MM

    def scale(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return the dispersion in Angstrom per unbinned column."""
        x = (np.asarray(column, dtype=float) - AXIS_COLUMN) * PIXEL_MM / self.f_mm
        angle = math.radians(self.beta_deg + self.dbeta_deg) + np.arctan(x)
        return 1e7 / self.lines_mm * np.cos(angle) / (1 + x**2) * PIXEL_MM / self.f_mm

    def moved(self, shift_px: float, stretch: float) -> Dispersion:
        """Return this setting with its light moved by columns and stretched about the axis."""
        f_mm = self.f_mm * (1 + stretch)
        return replace(
            self,
            f_mm=f_mm,
            dbeta_deg=self.dbeta_deg - math.degrees(math.atan(shift_px * PIXEL_MM / f_mm)),
        )


@dataclass(frozen=True, slots=True)
class _Constants:
    lines_mm: int
    mode: str
    g_eff: float
    f_mm: float
    dbeta_deg: float
    scatter_px: float


@cache
def _constants() -> tuple[_Constants, ...]:
    source = resources.files("goodman_live.pipeline") / "data" / "dispersion.csv"
    text = source.read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in text if not line.startswith("#"))
    return tuple(
        _Constants(
            int(row["lines_mm"]),
            row["mode"],
            float(row["g_eff"]),
            float(row["f_mm"]),
            float(row["dbeta_deg"]),
            float(row["scatter_px"]),
        )
        for row in rows
    )


def known_gratings() -> tuple[int, ...]:
    """Return the gratings (lines per mm) for which constants are kept."""
    return tuple(sorted({row.lines_mm for row in _constants()}))


def predict(lines_mm: int, cam_ang: float, grt_ang: float, wavmode: str = "") -> Dispersion:
    """Return the best prediction for a grating and its angles.

    Parameters
    ----------
    lines_mm : int
        Lines per mm of the grating.
    cam_ang, grt_ang : float
        Camera and grating angle in degrees.
    wavmode : str, optional
        Canonical mode; a named one that was measured is predicted better.

    Raises
    ------
    BadHeaderError
        If the grating is not known or the angles diffract no light into the camera.
    """
    rows = [row for row in _constants() if row.lines_mm == lines_mm]
    if not rows:
        raise BadHeaderError(
            f"No dispersion is known for a grating of {lines_mm} lines per mm.",
            remedy=f"GRATING must be one of {known_gratings()} lines per mm.",
            field="GRATING",
        )
    _check_angles(cam_ang, grt_ang)
    named = [row for row in rows if row.mode and row.mode == wavmode.upper()]
    row = named[0] if named else next(row for row in rows if not row.mode)
    found = Dispersion(
        row.g_eff, grt_ang, cam_ang - grt_ang, row.f_mm, row.dbeta_deg, row.scatter_px
    )
    if not (1000.0 < float(found.wavelength(AXIS_COLUMN)) < 20000.0):
        raise BadHeaderError(
            f"GRT_ANG {grt_ang:g} and CAM_ANG {cam_ang:g} put no visible light of a "
            f"{lines_mm} l/mm grating on the detector.",
            remedy="Correct the angles.",
            field="CAM_ANG",
        )
    return found


def _check_angles(cam_ang: float, grt_ang: float) -> None:
    for name, angle in (("CAM_ANG", cam_ang), ("GRT_ANG", grt_ang)):
        if not math.isfinite(angle) or not -10 <= angle <= 120:
            raise BadHeaderError(
                f"{name} is {angle:g} degrees, which is no angle of the spectrograph.",
                remedy=f"Correct {name}.",
                field=name,
            )


def predict_for(info: FrameInfo) -> Dispersion:
    """Return the prediction for a frame, from its measured angles where they are believable.

    A measured angle more than 0.5 degrees from the commanded one is taken for a broken encoder
    and the commanded one is used.

    Raises
    ------
    BadHeaderError
        If there is no grating, or the angles make no sense.
    """
    if info.lines_mm <= 0:
        raise BadHeaderError(
            f"{info.file_name} was taken without a grating.",
            remedy="Only spectra can be calibrated in wavelength.",
            field="GRATING",
        )
    cam = _believable(info.cam_ang, info.cam_targ)
    grt = _believable(info.grt_ang, info.grt_targ)
    return predict(info.lines_mm, cam, grt, info.wavmode)


def _believable(measured: float, commanded: float) -> float:
    if math.isfinite(commanded) and commanded != 0 and not abs(measured - commanded) <= 0.5:
        return commanded
    return measured
