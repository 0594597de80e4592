"""From spectra to photons on pixels: line profiles, tilted rows, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gamma, ndtr

from goodman_live.pipeline.simulate.instrument import SLIT_CENTRE_ROW

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from goodman_live.pipeline.simulate.instrument import Setup
    from goodman_live.pipeline.simulate.law import WavelengthLaw

OVERSAMPLING = 8
"""Samples per unbinned column on which cumulative spectra are tabulated."""
PAD = 120
"""Unbinned columns tabulated beyond either side of the detector."""


def column_edges(setup: Setup) -> NDArray[np.float64]:
    """Return the left and right edges of the binned columns, unbinned readout columns.

    Column *i* covers unbinned columns b*i to b*i + b - 1, so its edges are at b*i - 1/2 and
    b*(i + 1) - 1/2. Shape (nx + 1,).
    """
    return setup.region.x0 + setup.xbin * np.arange(setup.region.nx + 1, dtype=float) - 0.5


def column_centres(setup: Setup) -> NDArray[np.float64]:
    """Return the centres of the binned columns, unbinned readout columns, shape (nx,)."""
    edges = column_edges(setup)
    return (edges[:-1] + edges[1:]) / 2


def unbinned_rows(setup: Setup) -> NDArray[np.float64]:
    """Return the unbinned readout rows of the window, shape (ny * ybin,)."""
    return setup.region.y0 + np.arange(setup.region.ny * setup.ybin, dtype=float)


def fine_columns() -> NDArray[np.float64]:
    """Return the columns on which cumulative spectra are tabulated."""
    return np.arange(-PAD, 4142 + PAD, 1 / OVERSAMPLING)


def _g(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral of the normal cumulative distribution."""
    return z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def cumulative_lines(
    centre: NDArray[np.float64],
    flux: NDArray[np.float64],
    slit_columns: float,
    focus_sigma: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the cumulative flux of lines: the slit's box blurred by the focus.

    Parameters
    ----------
    centre : ndarray of float
        Line centres, unbinned columns, shape (n,).
    flux : ndarray of float
        Electrons in each line per unbinned row, shape (n,).
    slit_columns : float
        Width of the slit's image, unbinned columns.
    focus_sigma : callable
        Gaussian blur in unbinned columns at given columns.

    Returns
    -------
    ndarray of float64
        Electrons to the left of each of `fine_columns`.
    """
    grid = fine_columns()
    total = np.zeros(grid.size)
    sigmas = focus_sigma(centre)
    for x0, amount, sigma in zip(centre, flux, sigmas, strict=True):
        reach = slit_columns / 2 + 9 * sigma
        first, last = np.searchsorted(grid, (x0 - reach, x0 + reach))
        if first >= grid.size or last == 0:
            total += amount if last == 0 else 0.0
            continue
        z = grid[first:last]
        half = slit_columns / 2
        total[first:last] += (
            amount * sigma / slit_columns
            * (_g((z - x0 + half) / sigma) - _g((z - x0 - half) / sigma))
        )  # fmt: skip
        total[last:] += amount
    return total


def cumulative_continuum(
    law: WavelengthLaw, photons: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the cumulative electrons of a continuum, per unbinned row.

    `photons` gives electrons per Angstrom at a wavelength in Angstrom.
    """
    grid = fine_columns()
    at_rest = law.shifted(-law.shift)
    wave = at_rest.wavelength(grid, np.full(grid.shape, float(SLIT_CENTRE_ROW)))
    density = photons(wave) * np.gradient(wave, grid)
    steps = (density[1:] + density[:-1]) / 2 / OVERSAMPLING
    return np.concatenate(([0.0], np.cumsum(steps)))


def spread_rows(
    setup: Setup, law: WavelengthLaw, cumulative: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return electrons per binned column in each unbinned row of a fully lit slit.

    Every row sees the same spectrum displaced by tilt, bow and flexure. Shape
    (ny * ybin, nx).
    """
    grid, edges = fine_columns(), column_edges(setup)
    rows = unbinned_rows(setup)
    displaced = law.displacement(rows)
    out = np.empty((rows.size, setup.region.nx))
    for i, shift in enumerate(displaced):
        out[i] = np.diff(np.interp(edges - shift, grid, cumulative))
    return out


def bin_rows(setup: Setup, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum unbinned rows into binned ones: (ny * ybin, nx) to (ny, nx)."""
    ny, nx = setup.shape
    return image.reshape(ny, setup.ybin, nx).sum(axis=1)


def moffat_fraction(
    offset: NDArray[np.float64], fwhm: NDArray[np.float64] | float, beta: float
) -> NDArray[np.float64]:
    """Return the share of a line-spread Moffat within one pixel centred at `offset`.

    The one-dimensional Moffat (1 + (x/a)^2)^-beta is sampled at five points a pixel, normalised
    analytically.
    """
    a = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    norm = gamma(beta) / (np.sqrt(np.pi) * gamma(beta - 0.5)) / a
    nodes = (np.arange(5) - 2) / 5
    values = sum((1 + ((offset + node) / a) ** 2) ** -beta for node in nodes) / 5
    return norm * values
