"""Put a spectrum on a linear wavelength axis: flux is conserved, its error propagated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.frame import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.spectrum import Spectrum


def pixel_edges(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the wavelengths of pixel edges from those of pixel centres, shape (n + 1,)."""
    centre = np.asarray(wavelength, dtype=float)
    inner = (centre[:-1] + centre[1:]) / 2
    # second differences correct the midpoint for the curvature of the axis
    bend = np.zeros_like(inner)
    if len(centre) >= 4:
        second = np.diff(centre, 2)
        bend = -np.concatenate([second[:1], (second[:-1] + second[1:]) / 2, second[-1:]]) / 8
    inner = inner + bend
    return np.concatenate([[2 * centre[0] - inner[0]], inner, [2 * centre[-1] - inner[-1]]])


def linear_grid(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the linear axis with as many pixels between the same ends."""
    return np.linspace(wavelength[0], wavelength[-1], len(wavelength))


def resample(spectrum: Spectrum, grid: NDArray[np.float64]) -> Spectrum:
    """Return a spectrum on another axis, each output pixel the integral over its width.

    A pixel is taken as evenly filled, so every count goes to the output pixels it overlaps in
    proportion. Neighbouring output pixels share input pixels and are correlated; the stated
    uncertainty is that of each pixel alone.

    Parameters
    ----------
    spectrum : Spectrum
        With wavelengths that rise.
    grid : ndarray of float64
        Centres of the output pixels, Angstrom, rising, shape (m,).

    Returns
    -------
    Spectrum
        Flux per output pixel; pixels not wholly inside the input are flagged ``NO_DATA``.

    Raises
    ------
    ValueError
        If the spectrum has no wavelengths or an axis does not rise.
    """
    if spectrum.wavelength is None:
        raise ValueError("the spectrum has no wavelengths")
    if np.any(np.diff(spectrum.wavelength) <= 0) or np.any(np.diff(grid) <= 0):
        raise ValueError("wavelengths must rise")
    share = _overlap(pixel_edges(spectrum.wavelength), pixel_edges(grid))
    finite = np.isfinite(spectrum.flux) & np.isfinite(spectrum.uncertainty)
    mean = _mean_over(share)
    return replace(
        spectrum,
        flux=share.sum_of(np.where(finite, spectrum.flux, 0.0)),
        uncertainty=np.sqrt(share.sum_of(np.where(finite, spectrum.uncertainty, 0.0) ** 2, 2)),
        flags=share.flags_of(spectrum.flags, finite),
        sky=share.sum_of(np.where(np.isfinite(spectrum.sky), spectrum.sky, 0.0)),
        column=mean(spectrum.column),
        trace=mean(spectrum.trace),
        wavelength=np.asarray(grid, dtype=float).copy(),
        wavelength_uncertainty=(
            None
            if spectrum.wavelength_uncertainty is None
            else np.interp(grid, spectrum.wavelength, spectrum.wavelength_uncertainty)
        ),
    )


class _Share:
    """Which share of each input pixel falls in which output pixel."""

    def __init__(
        self,
        output: NDArray[np.intp],
        source: NDArray[np.intp],
        share: NDArray[np.float64],
        filled: NDArray[np.float64],
    ) -> None:
        self.output, self.source, self.share, self.filled = output, source, share, filled

    def sum_of(self, values: NDArray[np.float64], power: int = 1) -> NDArray[np.float64]:
        weight = self.share**power * values[self.source]
        total: NDArray[np.float64] = np.bincount(self.output, weight, len(self.filled)).astype(
            float
        )
        return total

    def flags_of(self, flags: NDArray[np.uint8], finite: NDArray[np.bool_]) -> NDArray[np.uint8]:
        bits = np.where(finite, flags, flags | np.uint8(Flag.NO_DATA)).astype(np.uint8)
        out = np.zeros(len(self.filled), dtype=np.uint8)
        # a sliver of a bad pixel spoils nothing
        matters = self.share > 0.01
        np.bitwise_or.at(out, self.output[matters], bits[self.source[matters]])
        out[self.filled < 0.999] |= np.uint8(Flag.NO_DATA)
        return out


def _overlap(source: NDArray[np.float64], output: NDArray[np.float64]) -> _Share:
    cuts = np.union1d(source, output)
    middle = (cuts[:-1] + cuts[1:]) / 2
    from_pixel = np.searchsorted(source, middle) - 1
    to_pixel = np.searchsorted(output, middle) - 1
    inside = (
        (from_pixel >= 0)
        & (from_pixel < len(source) - 1)
        & (to_pixel >= 0)
        & (to_pixel < len(output) - 1)
    )
    width = np.diff(cuts)[inside]
    a, b = from_pixel[inside], to_pixel[inside]
    count = len(output) - 1
    filled = np.bincount(b, width, minlength=count) / np.diff(output)
    return _Share(b, a, width / np.diff(source)[a], filled)


def _mean_over(share: _Share) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    total = np.maximum(share.sum_of(np.ones(int(share.source.max(initial=0)) + 1)), 1e-12)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        good = np.where(np.isfinite(values), values, 0.0)
        result: NDArray[np.float64] = share.sum_of(good) / total
        return result

    return mean
