"""The slant of the slit's image, seen in a flat: how far each row's lamp spectrum is displaced.

Every row shows the lamp's spectrum moved along the dispersion by tilt and bow of the slit image.
Where the lamp is steep, one spectrum for all rows would leave its slope in the flat: 1.5 per cent
across the slit at the blue end of 400_M1 (simulated). The light along the slit is the same at all
wavelengths, a displacement shows where the lamp is steep, so that the two are told apart.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 48
"""Groups of rows that are measured."""
LEAST_BINS = 8
"""Groups without which no curve is fitted to them."""
LARGEST = 25.0
"""Displacement that no slit image has, unbinned pixels."""
SURE = 5.0
"""Standard deviations from which a displacement is believed."""
_SMOOTH = 15
"""Columns over which the slope of the lamp is taken."""
_FAINT = 0.02
"""Share of the brightest column below which a column is not used."""
_CLIP = 4.0
_ROUNDS = 3


def displaced(lamp: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the lamp's spectrum in rows that are displaced, shape (ny, nx).

    Parameters
    ----------
    lamp : ndarray of float64, shape (nx,)
        Spectrum of the lamp.
    shift : ndarray of float64, shape (ny,)
        Displacement of each row, binned pixels.
    """
    column = np.arange(lamp.size)
    out = np.empty((shift.size, lamp.size), np.float32)
    for row, by in enumerate(shift):
        out[row] = np.interp(column - by, column, lamp)
    return out


def measure_shift(
    flat: NDArray[np.float32],
    good: NDArray[np.bool_],
    lamp: NDArray[np.float64],
    *,
    xbin: int,
) -> NDArray[np.float64]:
    """Measure how far the lamp's spectrum is displaced in each row.

    Parameters
    ----------
    flat : ndarray of float32, shape (ny, nx)
        Counts above bias.
    good : ndarray of bool, shape (ny, nx)
        Pixels with signal.
    lamp : ndarray of float64, shape (nx,)
        Spectrum of the lamp in the middle rows, positive.
    xbin : int
        Binning along the dispersion.

    Returns
    -------
    ndarray of float64, shape (ny,)
        Binned pixels: a parabola along the slit, zero where the lamp tells none.
    """
    ny = len(flat)
    groups = np.array_split(np.flatnonzero(good.any(axis=1)), BINS)
    found = []
    for rows in groups:
        if rows.size == 0:
            continue
        spectrum = _middle(np.where(good[rows], flat[rows], np.float32(np.nan)))
        measured = _one_shift(spectrum, lamp)
        if measured is not None:
            found.append((float(rows.mean()), *measured))
    if len(found) < LEAST_BINS:
        return np.zeros(ny)
    place, shift, error = np.array(found).T
    u = 2 * place / ny - 1
    weight = 1 / np.hypot(error, 0.02)
    keep = np.ones(len(u), bool)
    curve = np.zeros(3)
    for _ in range(_ROUNDS):
        curve = np.polynomial.polynomial.polyfit(u[keep], shift[keep], 2, w=weight[keep])
        off = np.abs(shift - np.polynomial.polynomial.polyval(u, curve)) * weight
        keep = off <= _CLIP * max(1.4826 * float(np.median(off)), 1.0)
    along = np.polynomial.polynomial.polyval(2 * np.arange(ny) / ny - 1, curve)
    largest = float(np.abs(np.polynomial.polynomial.polyval(u, curve)).max())
    if largest > LARGEST / xbin or largest < SURE * float(np.median(error)):
        return np.zeros(ny)
    return np.asarray(along)


def _middle(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median of some rows in each column; NaN where none tells, shape (nx,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(bn.nanmedian(np.ascontiguousarray(rows.T), axis=1), dtype=float)


def _one_shift(
    spectrum: NDArray[np.float64], lamp: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Return by how much a spectrum is displaced against the lamp, and its error, pixels."""
    column = np.arange(lamp.size)
    kernel = np.ones(_SMOOTH) / _SMOOTH
    slope = np.convolve(np.gradient(np.log(np.maximum(lamp, 1e-6))), kernel, mode="same")
    use = np.isfinite(spectrum) & (spectrum > 0) & (lamp > _FAINT * lamp.max())
    use[:_SMOOTH] = use[-_SMOOTH:] = False
    shift, error = 0.0, np.inf
    for _ in range(_ROUNDS):
        if use.sum() < 10 * _SMOOTH:
            return None
        expected = np.interp(column - shift, column, lamp)
        ratio = np.where(use, spectrum / expected, np.nan)
        ratio /= np.nanmedian(ratio)
        steep = np.interp(column - shift, column, slope)
        mean = steep[use].mean()
        lever = steep[use] - mean
        total = float(lever @ lever)
        if total <= 0:
            return None
        value = ratio[use]
        by = -float(lever @ (value - value.mean())) / total
        off = np.abs(value - value.mean() + by * lever)
        scatter = max(1.4826 * float(np.median(off)), 1e-5)
        shift, error = shift + by, scatter / np.sqrt(total)
        use[np.flatnonzero(use)[off > _CLIP * scatter]] = False
    return shift, error
