"""The simulated wavelength law: a free polynomial, with slit tilt, bow and flexure.

It is not the grating equation that the reduction fits, only numerically close to it, as the
real spectrograph is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.simulate.instrument import OPTICAL_AXIS_COLUMN, SLIT_CENTRE_ROW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.simulate.instrument import Mode

HALF_WIDTH = 2029.5
"""Unbinned columns from the axis at which a mode's blue and red limits are given."""


@dataclass(frozen=True, slots=True)
class WavelengthLaw:
    """Air wavelength of every point of the detector."""

    coefficients: tuple[float, ...]
    """Power series in u = (column - axis) / 2029.5, Angstrom, lowest order first."""
    tilt: float = -4e-3
    """Columns per row by which a line leans."""
    bow: float = 5e-6
    """Columns per squared row by which a line curves."""
    shift: float = 0.0
    """Flexure of this exposure, unbinned columns: light falls this far to the right."""

    def shifted(self, columns: float) -> WavelengthLaw:
        """Return the law of an exposure displaced by more `columns`."""
        return replace(self, shift=self.shift + columns)

    def displacement(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far right of its mid-slit place light falls at `row`, unbinned columns."""
        dy = row - SLIT_CENTRE_ROW
        return self.tilt * dy + self.bow * dy**2 + self.shift

    def wavelength(
        self, column: NDArray[np.float64], row: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the air wavelength in Angstrom at unbinned `column` and `row`."""
        u = (column - self.displacement(row) - OPTICAL_AXIS_COLUMN) / HALF_WIDTH
        return np.asarray(np.polynomial.polynomial.polyval(u, self.coefficients), float)

    def column(self, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unbinned column at mid slit, without flexure, of each wavelength.

        The law is monotonic; it is inverted by Newton steps to 1e-9 columns.
        """
        series = np.polynomial.Polynomial(self.coefficients)
        slope = series.deriv()
        u = (np.asarray(wavelength) - self.coefficients[0]) / self.coefficients[1]
        for _ in range(30):
            step = (series(u) - wavelength) / slope(u)
            u = u - np.clip(step, -0.5, 0.5)
            if np.all(np.abs(step) < 1e-13):
                break
        return u * HALF_WIDTH + OPTICAL_AXIS_COLUMN


def nominal_law(mode: Mode) -> WavelengthLaw:
    """Return the cubic through the measured limits, centre and dispersion of a mode."""
    c0, c1 = mode.centre, mode.dispersion * HALF_WIDTH
    c2 = (mode.red + mode.blue) / 2 - c0
    c3 = (mode.red - mode.blue) / 2 - c1
    return WavelengthLaw((c0, c1, c2, c3))


def random_law(mode: Mode, rng: np.random.Generator) -> WavelengthLaw:
    """Return the law of one night: displaced, stretched and bent as nights differ.

    Offsets of up to some tens of columns, scales of 0.3 % and bends of a fraction of a column
    are what reference lamps of different years show.
    """
    base = nominal_law(mode)
    offset = float(np.clip(rng.normal(0, 9), -30, 30)) * mode.dispersion
    stretch = 1 + float(np.clip(rng.normal(0, 0.002), -0.006, 0.006))
    bend = rng.normal(0, (0.15, 0.15, 0.05)) * mode.dispersion
    c0, c1, c2, c3 = base.coefficients
    return WavelengthLaw(
        (c0 + offset, c1 * stretch, c2 + bend[0], c3 + bend[1], float(bend[2])),
        tilt=float(rng.normal(-4e-3, 2e-3)),
        bow=float(rng.normal(5e-6, 1e-6)),
    )
