"""Is a peak sharper than light through the optics can be? The test that tells hits from stars.

Light is blurred by seeing, slit and camera, so both neighbours of a peak, in any direction, hold
a known least share of it. A cosmic ray is blurred by half a pixel: across its track the
neighbours are empty. No model of the light is needed, only the least width that it can have.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Steps (rows, columns) to one neighbour; the other lies opposite."""
LEAST_FWHM = 4.0
"""Least width of light on the detector, unbinned pixels: 0.6 arcsec, or the narrowest slit."""
_MARGIN = 0.85
"""Share of the least ratio that is demanded: pixels differ, and profiles have kinks."""
_FLOOR_RADIUS = 4
"""Half side of the square whose lowest tenth tells the sky between crowded stars, pixels."""
_LOWEST_TENTH = 1.7
"""Standard deviations by which the lowest tenth of noise lies below its mean, and by chance."""
_STARS = 6
"""Stars that tell the seeing."""
_STAR_SNR = 40.0
_WIDEST = 12.0
"""Widest seeing that is taken as a limit, unbinned pixels: 1.8 arcsec."""


def excess_sigma(
    residual: NDArray[np.float32],
    noise2: NDArray[np.float32],
    pixels: tuple[NDArray[np.intp], ...],
    fwhm: tuple[float, float],
    floor: NDArray[np.float64] | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return by how many sigma pixels stand above what their neighbours allow.

    Parameters
    ----------
    residual : ndarray of float32, shape (ny, nx)
        Data less its smooth background.
    noise2 : ndarray of float32, shape (ny, nx)
        Noise squared of each pixel.
    pixels : tuple of ndarray of int, each shape (n,)
        Rows and columns of the peaks.
    fwhm : tuple of float
        Least width of light along columns and along rows (y, x), pixels.
    floor : ndarray of float64, shape (n,), optional
        What `residual` would be around each peak without it; zero by default.
    missing : ndarray of bool, shape (ny, nx), optional
        Pixels without a value: they may hold as much as the peak beside them.

    Returns
    -------
    ndarray of float64, shape (4, n)
        Significance along each of `DIRECTIONS`.
    """
    rows, columns = pixels
    ny, nx = residual.shape
    floor = np.zeros(rows.size) if floor is None else floor
    peak, own = residual[pixels] - floor, noise2[pixels].astype(float)
    found = []
    for (dy, dx), ratio in zip(DIRECTIONS, least_ratios(*fwhm), strict=True):
        total, errors = np.zeros(rows.size), np.zeros(rows.size)
        for sign in (-1, 1):
            y, x = rows + sign * dy, columns + sign * dx
            inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
            # beyond the edge the light would have gone on
            y, x = np.where(inside, y, rows - sign * dy), np.where(inside, x, columns - sign * dx)
            at = (np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1))
            absent = np.zeros(rows.size, bool) if missing is None else missing[at]
            total += np.where(absent, peak, residual[at] - floor)
            errors += np.where(absent, own, noise2[at])
        allowed = total / (2 * ratio)
        sigma = np.sqrt(own + errors / (4 * ratio**2))
        found.append((peak - np.maximum(allowed, 0)) / sigma)
    return np.array(found)


def local_floor(
    residual: NDArray[np.float32],
    noise2: NDArray[np.float32],
    pixels: tuple[NDArray[np.intp], ...],
) -> NDArray[np.float64]:
    """Return how far the sky around some pixels lies below the smooth background, shape (n,).

    Between crowded stars the background is too high, and all of a star that stands out of it is
    its sharp tip. What a tenth of the pixels nearby stay below is nearer to the truth.
    """
    ny, nx = residual.shape
    steps = np.arange(-_FLOOR_RADIUS, _FLOOR_RADIUS + 1)
    y = np.clip(pixels[0][:, None] + steps, 0, ny - 1)
    x = np.clip(pixels[1][:, None] + steps, 0, nx - 1)
    around = residual[y[:, :, None], x[:, None, :]].reshape(len(y), -1)
    tenth = around.shape[1] // 10
    low = np.partition(around, tenth, axis=1)[:, tenth]
    return np.minimum(low + _LOWEST_TENTH * np.sqrt(noise2[pixels]), 0.0).astype(float)


@lru_cache(maxsize=64)
def least_ratios(fwhm_y: float, fwhm_x: float) -> tuple[float, ...]:
    """Return the least mean of two opposite neighbours over their peak, for each direction.

    The profile is a Gaussian integrated over pixels, at the worst place of its centre.
    """
    along_y, along_x = _profile(fwhm_y), _profile(fwhm_x)
    ratio_y = (along_y[0] + along_y[2]) / (2 * along_y[1])
    ratio_x = (along_x[0] + along_x[2]) / (2 * along_x[1])
    peak = along_y[1][:, None] * along_x[1]
    same = along_y[0][:, None] * along_x[0] + along_y[2][:, None] * along_x[2]
    other = along_y[0][:, None] * along_x[2] + along_y[2][:, None] * along_x[0]
    least = (ratio_x.min(), ratio_y.min(), (same / peak).min() / 2, (other / peak).min() / 2)
    return tuple(max(_MARGIN * float(value), 0.02) for value in least)


def _profile(fwhm: float) -> NDArray[np.float64]:
    """Return shares of three pixels around the brightest, shape (3, phases)."""
    phase = np.linspace(-0.5, 0.5, 21)
    edges = (np.arange(4) - 1.5)[:, None] - phase
    return np.diff(ndtr(edges * 2.3548 / fwhm), axis=0)


def seeing(
    residual: NDArray[np.float32],
    noise2: NDArray[np.float32],
    usable: NDArray[np.bool_],
    binning: tuple[int, int],
) -> tuple[float, float]:
    """Return the least width of light (y, x) in pixels, from the stars of an image.

    Parameters
    ----------
    residual, noise2 : ndarray of float32, shape (ny, nx)
        Data less background, and noise squared.
    usable : ndarray of bool, shape (ny, nx)
        Neither saturated nor bad.
    binning : tuple of int
        Binning (y, x).
    """
    least = (LEAST_FWHM / binning[0], LEAST_FWHM / binning[1])
    inner = residual[1:-1, 1:-1]
    top = (inner > _STAR_SNR * np.sqrt(noise2[1:-1, 1:-1])) & usable[1:-1, 1:-1]
    y, x = (place + 1 for place in np.nonzero(top))
    around = [
        residual[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)
    ]
    if y.size == 0:
        return least
    highest = residual[y, x] >= np.max(around, axis=0)
    y, x = y[highest], x[highest]
    peak = residual[y, x]
    across = (residual[y, x - 1] + residual[y, x + 1]) / (2 * peak)
    along = (residual[y - 1, x] + residual[y + 1, x]) / (2 * peak)
    need = least_ratios(*least)
    # a track is narrow one way; a star is about as wide both ways
    star = (across > need[0]) & (along > need[1]) & (np.abs(across - along) < 0.25)
    if star.sum() < _STARS:
        return least
    # neighbours of a Gaussian whose centre lies anywhere in its pixel: typical, then half as wide
    ratio = float(np.clip(np.percentile(np.minimum(across, along)[star], 10), 0.02, 0.97))
    widths = np.linspace(1.0, _WIDEST, 56)
    ratios = [least_ratios(float(w), float(w))[0] / _MARGIN for w in widths]
    width = float(np.interp(ratio, ratios, widths))
    return max(width, least[0]), max(width, least[1])
