"""The simulated light path: focus along the dispersion, the slit, the field of direct images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from goodman_live.pipeline.simulate.instrument import (
    ARCSEC_PER_PIXEL,
    OPTICAL_AXIS_COLUMN,
    SLIT_CENTRE_ROW,
    SLIT_ROWS,
)
from goodman_live.pipeline.simulate.law import HALF_WIDTH
from goodman_live.pipeline.simulate.render import column_centres, unbinned_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.simulate.instrument import Setup


@dataclass(frozen=True, slots=True)
class Optics:
    """Image quality along the dispersion."""

    fwhm_blue: float = 2.6
    """Blur beyond the slit's image at the blue end, unbinned columns FWHM."""
    fwhm_red: float = 3.4
    """The same at the red end."""

    def sigma(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Gaussian blur at unbinned columns, in columns."""
        share = np.clip(column / 4142, 0, 1)
        return (self.fwhm_blue + (self.fwhm_red - self.fwhm_blue) * share**2) / 2.3548


def slit_columns(setup: Setup) -> float:
    """Return the width of the slit's image, unbinned columns."""
    return (setup.slit_arcsec or 0.45) / ARCSEC_PER_PIXEL


def slit_edges(column: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper edge of the slit in unbinned rows at unbinned columns."""
    u = (column - OPTICAL_AXIS_COLUMN) / HALF_WIDTH
    bend = 2.0 * u + 1.5 * u**2
    return SLIT_CENTRE_ROW - SLIT_ROWS / 2 + bend, SLIT_CENTRE_ROW + SLIT_ROWS / 2 + bend


def slit_illumination(setup: Setup) -> NDArray[np.float64]:
    """Return how much light the slit lets through, unbinned rows by binned columns.

    A gentle slope and two specks of dust on the jaws, with edges one pixel soft.
    """
    rows, columns = unbinned_rows(setup), column_centres(setup)
    y = rows - SLIT_CENTRE_ROW
    along = 1 + 0.02 * y / 800 - 0.03 * (y / 800) ** 2
    for place, depth in ((-310.0, 0.04), (455.0, 0.06)):
        along -= depth * np.exp(-(((y - place) / 9) ** 2) / 2)
    lower, upper = slit_edges(columns)
    inside = np.clip(rows[:, None] - lower + 0.5, 0, 1) * np.clip(
        upper - rows[:, None] + 0.5, 0, 1
    )
    return along[:, None] * inside


@dataclass(frozen=True, slots=True)
class SlitPlace:
    """A slit in direct light."""

    arcsec: float = 1.0
    """Its width."""
    column: float = 2065.0
    """Unbinned column of its middle at the middle row of the slit."""
    lean: float = -0.005
    """Columns by row."""
    sigma: float = 0.8
    """Blur of the jaws' image, unbinned columns."""


def slit_stop(setup: Setup, slit: SlitPlace) -> NDArray[np.float64]:
    """Return the share of direct light that a slit lets through, shape (ny, nx)."""
    rows = setup.region.y0 + setup.ybin * np.arange(setup.shape[0]) + (setup.ybin - 1) / 2
    away = column_centres(setup)[None, :] - slit.column
    away = away - slit.lean * (rows - SLIT_CENTRE_ROW)[:, None]
    half = slit.arcsec / ARCSEC_PER_PIXEL / 2
    steps = (np.arange(setup.xbin) - (setup.xbin - 1) / 2)[:, None, None]
    passed = ndtr((away + steps + half) / slit.sigma) - ndtr((away + steps - half) / slit.sigma)
    return np.asarray(passed.mean(axis=0))


def vignetting(setup: Setup) -> NDArray[np.float64]:
    """Return the unvignetted circle of direct images, shape (ny, nx)."""
    ny, nx = setup.shape
    y, x = np.mgrid[:ny, :nx]
    radius = np.hypot((x - nx / 2) * setup.xbin, (y - ny / 2) * setup.ybin)
    return np.clip((1560 - radius) / 20, 0, 1) * (1 - 0.05 * (radius / 1550) ** 2)
