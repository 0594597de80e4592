"""What a spectrum holds inside bands of wavelength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.resample import pixel_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.spectrum import Spectrum


@dataclass(frozen=True, slots=True, eq=False)
class Banded:
    """The mean of a spectrum over bands."""

    mean: NDArray[np.float64]
    """Flux per Angstrom averaged over each band, in the spectrum's unit, shape (n,)."""
    uncertainty: NDArray[np.float64]
    """One standard deviation of the mean, shape (n,)."""
    good: NDArray[np.float64]
    """Share of each band's width that good pixels cover, 0 to 1, shape (n,)."""


def average(spectrum: Spectrum, centre: NDArray[np.float64], width: NDArray[np.float64]) -> Banded:
    """Average a spectrum over bands, pixels that a band cuts by their share.

    Parameters
    ----------
    spectrum : Spectrum
        With wavelengths that rise; flux per pixel.
    centre, width : ndarray of float64
        Bands, Angstrom, shape (n,).

    Returns
    -------
    Banded
        NaN where no good pixel lies in a band.

    Raises
    ------
    ValueError
        If the spectrum has no wavelengths.
    """
    if spectrum.wavelength is None:
        raise ValueError("the spectrum has no wavelengths")
    edges = pixel_edges(spectrum.wavelength)
    step = np.diff(edges)
    good = ~spectrum.mask & np.isfinite(spectrum.flux) & np.isfinite(spectrum.uncertainty)
    low, high = centre - width / 2, centre + width / 2
    covered = _integral(edges, np.where(good, 1.0, 0.0), low, high)
    total = _integral(edges, np.where(good, spectrum.flux / step, 0.0), low, high)
    variance = np.where(good, spectrum.uncertainty**2 / step, 0.0)
    noise = np.sqrt(_integral(edges, variance, low, high))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(covered > 0, total / covered, np.nan)
        error = np.where(covered > 0, noise / covered, np.nan)
    return Banded(mean, error, covered / width)


def _integral(
    edges: NDArray[np.float64],
    density: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the integral of a step function between limits; nothing lies beyond the edges."""
    total = np.concatenate([[0.0], np.cumsum(density * np.diff(edges))])
    result: NDArray[np.float64] = np.interp(high, edges, total) - np.interp(low, edges, total)
    return result
