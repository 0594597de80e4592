"""Repeated exposures of one target combined into one spectrum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.resample import resample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.spectrum import Spectrum

_SMOOTH = 51
"""Pixels over which the variance is smoothed: weights that follow the noise bias the sum."""
_OUTLIER = 5.0
"""A pixel this many sigma from the others is left out, where there are three or more."""
_MODEL_ERROR = 0.05
"""Share of the flux by which exposures may differ (seeing, slit losses with colour)."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The combined spectrum and what went into it."""

    spectrum: Spectrum
    """On the axis of the first exposure, at the level of their mean."""
    scale: NDArray[np.float64]
    """Level of each exposure relative to the stack, shape (k,)."""
    rejected: NDArray[np.int64]
    """Pixels of each exposure that were left out as outliers, shape (k,)."""
    count: NDArray[np.int64]
    """Exposures in each pixel, shape (n,)."""


def stack_spectra(spectra: Sequence[Spectrum]) -> Stack:
    """Combine exposures of one target in one set-up.

    Each is put on the axis of the first and scaled to a common level by a robust ratio; they are
    summed with the weights of least noise (inverse variance, the scale included), smoothed along
    the spectrum. Where three or more exposures overlap, what lies far from their median (a
    cosmic ray that was missed) is left out.

    Parameters
    ----------
    spectra : sequence of Spectrum
        With wavelengths and the same unit.

    Returns
    -------
    Stack

    Raises
    ------
    ValueError
        If there are none, one has no wavelengths, or units differ.
    """
    if not spectra:
        raise ValueError("there is nothing to stack")
    if any(spectrum.wavelength is None for spectrum in spectra):
        raise ValueError("a spectrum without wavelengths cannot be stacked")
    if len({spectrum.unit for spectrum in spectra}) > 1:
        raise ValueError("spectra of different units cannot be stacked")
    first = spectra[0]
    grid = np.asarray(first.wavelength)
    aligned = [first, *(_aligned(spectrum, grid) for spectrum in spectra[1:])]
    flux = np.array([spectrum.flux for spectrum in aligned])
    error = np.array([spectrum.uncertainty for spectrum in aligned])
    sky = np.array([spectrum.sky for spectrum in aligned])
    good = np.array([~spectrum.mask for spectrum in aligned])
    good &= np.isfinite(flux) & np.isfinite(error) & (error > 0)
    scale = _levels(flux, error, good)
    kept = good & ~_outliers(flux, error, good, scale)
    variance = np.array([_smooth(one**2, mask) for one, mask in zip(error, good, strict=True)])
    share = np.where(kept, scale[:, None] / variance, 0.0)
    total = np.sum(share * scale[:, None], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        combined = np.sum(np.where(kept, share * flux, 0.0), axis=0) / total
        noise = np.sqrt(np.sum(np.where(kept, (share * error) ** 2, 0.0), axis=0)) / total
        light = np.sum(np.where(kept, share * sky, 0.0), axis=0) / total
    empty = total <= 0
    together = np.bitwise_and.reduce(np.array([spectrum.flags for spectrum in aligned]), axis=0)
    flags = np.where(empty, together | np.uint8(Flag.NO_DATA), together)
    flags = np.where(empty, flags, flags & np.uint8(Flag.EXTRAPOLATED)).astype(np.uint8)
    spectrum = replace(
        first,
        flux=np.where(empty, 0.0, combined),
        uncertainty=np.where(empty, np.inf, noise),
        sky=np.where(empty, 0.0, light),
        flags=flags,
    )
    return Stack(spectrum, scale, (good & ~kept).sum(axis=1), kept.sum(axis=0))


def signal_to_noise(spectrum: Spectrum, resolution_px: float) -> float:
    """Return the median signal to noise per resolution element.

    Parameters
    ----------
    spectrum : Spectrum
        Any with uncertainty.
    resolution_px : float
        Pixels in a resolution element.
    """
    good = ~spectrum.mask & np.isfinite(spectrum.flux) & np.isfinite(spectrum.uncertainty)
    if not good.any():
        return 0.0
    ratio = np.median(spectrum.flux[good] / spectrum.uncertainty[good])
    return float(ratio * np.sqrt(max(resolution_px, 1.0)))


def exposures_to_reach(wanted: float, reached: float, exposures: int) -> int | None:
    """Return how many more exposures like these reach a signal to noise; None if it is hopeless.

    Noise is taken to fall as the root of their number.
    """
    if reached <= 0:
        return None
    return max(0, int(np.ceil(exposures * (wanted / reached) ** 2 - 1e-9)) - exposures)


def _aligned(spectrum: Spectrum, grid: NDArray[np.float64]) -> Spectrum:
    same = spectrum.wavelength is not None and len(spectrum.wavelength) == len(grid)
    if same and np.allclose(np.asarray(spectrum.wavelength), grid, rtol=0, atol=1e-3):
        return spectrum
    return resample(spectrum, grid)


def _levels(
    flux: NDArray[np.float64], error: NDArray[np.float64], good: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the level of each exposure relative to their mean, shape (k,)."""
    everywhere = good.all(axis=0)
    if len(flux) == 1 or everywhere.sum() < 10:
        return np.ones(len(flux))
    weight = 1 / np.median(error[:, everywhere] ** 2, axis=1)
    scale = np.ones(len(flux))
    for _ in range(3):  # towards the best common spectrum
        mean = np.sum((weight * scale)[:, None] * flux, axis=0) / np.sum(weight * scale**2)
        model = median_filter(np.where(everywhere, mean, 0.0), 5)[everywhere]
        power = np.sum(model**2 / np.median(error[:, everywhere], axis=0) ** 2)
        if power < 100:  # too faint to tell levels apart
            return np.ones(len(flux))
        slope = np.array([_slope(one[everywhere], model) for one in flux])
        if not np.all(slope > 0.05):
            return np.ones(len(flux))
        scale = slope / slope.mean()
    return scale


def _slope(value: NDArray[np.float64], model: NDArray[np.float64]) -> float:
    """Return the robust factor from model to value."""
    weight = np.ones_like(model)
    slope = 1.0
    for _ in range(5):
        slope = float(np.sum(weight * model * value) / np.sum(weight * model**2))
        residual = value - slope * model
        spread = 1.4826 * np.median(np.abs(residual)) + 1e-30
        weight = 1 / np.maximum(1.0, np.abs(residual) / (2 * spread))
    return slope


def _outliers(
    flux: NDArray[np.float64],
    error: NDArray[np.float64],
    good: NDArray[np.bool_],
    scale: NDArray[np.float64],
) -> NDArray[np.bool_]:
    if len(flux) < 3:
        return np.zeros(flux.shape, dtype=bool)
    level = np.where(good, flux / scale[:, None], np.nan)
    every = good.sum(axis=0) >= 3
    middle = np.full(flux.shape[1], np.nan)
    middle[every] = np.nanmedian(level[:, every], axis=0)
    allowed = np.hypot(error / scale[:, None], _MODEL_ERROR * np.abs(middle))
    return np.asarray(good & every & (np.abs(level - middle) > _OUTLIER * allowed))


def _smooth(variance: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not good.any():
        return np.ones_like(variance)
    pixel = np.arange(len(variance))
    filled = np.interp(pixel, pixel[good], variance[good])
    smoothed: NDArray[np.float64] = median_filter(filled, _SMOOTH, mode="nearest")
    return smoothed
