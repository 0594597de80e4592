"""A model of the night sky over the whole slit that follows tilted and bent lines.

One spectrum, a spline in the coordinate along which sky lines are upright, is fitted to bands of
rows of the unrectified frame (Kelson 2003, PASP 115, 688): nothing is resampled. It serves to
find targets, and to take the bending of lines out before each target's own background is fitted
column by column; levels are left to that local fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np
from scipy.linalg import solveh_banded

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS = 24
"""Bands of rows along the slit."""
ROWS_PER_BAND = 12
"""Rows sampled in each band for a median, about which the mean of all rows is taken."""
NEAR = 3.0
"""Standard deviations from that median within which a pixel counts."""
BRIGHT_ROW = 4.0
"""Scatters of the rows of a band beyond which a row is taken for a target's."""
CONTINUUM = 41
"""Columns over which a running median follows the continuum between lines."""
COMB = 121
"""Coefficients over which a running median finds what repeats in every column."""
LEAST_COVER = 0.5
"""Share of the columns that must have a band which is sky; else the fainter half is taken."""
REACH = 12
"""Unbinned columns by which a line may be displaced at a slit end."""


@dataclass(frozen=True, slots=True, eq=False)
class SkyModel:
    """Sky as ``illumination(y) * spectrum(x - displacement(y))``."""

    coefficients: NDArray[np.float64]
    """Cubic B-spline coefficients."""
    step: float
    """Distance between knots, binned columns."""
    displacement: tuple[float, ...]
    """Power series in (row - middle): binned columns by which lines move."""
    illumination: tuple[float, ...]
    """Power series in (row - middle): relative brightness, at most a straight change.

    A curved one would rise towards a star that it took for sky, and bring that into the
    background, whose straight line on both sides of the star cannot undo it.
    """
    middle: float
    """Row to which both series refer, binned."""
    columns: int
    """Number of columns."""

    def rows(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the sky in given binned rows, shape (len(rows), columns)."""
        y = np.asarray(rows, dtype=float) - self.middle
        shift = np.polynomial.polynomial.polyval(y, self.displacement)
        level = np.polynomial.polynomial.polyval(y, self.illumination)
        out = np.empty((y.size, self.columns), dtype=np.float32)
        # A shift is the same for a whole row, so are the spline's four weights.
        first, weights = _basis(np.asarray(-shift, float), self.step)
        stride = round(1 / self.step)
        last = self.coefficients.size - 4 - stride * (self.columns - 1)
        first = np.clip(first, 0, last)
        table = self.coefficients.astype(np.float32)
        for i in range(y.size):
            row = out[i]
            row[:] = 0
            for k in range(4):
                start = first[i] + k
                row += np.float32(level[i] * weights[k][i]) * table[start::stride][: self.columns]
        return out

    def slope(self) -> float:
        """Return the tilt of lines at the middle, binned columns per binned row."""
        return self.displacement[1] if len(self.displacement) > 1 else 0.0


def fit_sky(
    data: NDArray[np.float32], variance: NDArray[np.float32], good: NDArray[np.bool_]
) -> SkyModel:
    """Fit the sky of a whole slit.

    Parameters
    ----------
    data, variance : ndarray of float32
        Frame with its variance, shape (ny, nx).
    good : ndarray of bool
        Pixels to use, same shape.

    Returns
    -------
    SkyModel
        Flat zero where the frame holds no usable pixel.
    """
    ny, nx = data.shape
    rows, spectra, sigma = _bands(data, variance, good)
    middle = (ny - 1) / 2
    if rows.size == 0:
        return SkyModel(np.zeros(nx + 8), 1.0, (0.0,), (1.0,), middle, nx)
    y = rows - middle
    displacement = _displacement(spectra, sigma, y)
    shift = np.polynomial.polynomial.polyval(y, displacement)
    level = np.ones(y.size)
    step = 1.0 if len(displacement) == 1 else 0.5
    keep = np.isfinite(spectra)
    illumination: tuple[float, ...] = (1.0,)
    for _ in range(3):
        coefficients = _fit_spline(spectra, sigma, keep, shift, level, step)
        smooth = _evaluate(coefficients, np.arange(nx) - shift[:, None], step)
        illumination = _illumination(spectra, sigma, keep, smooth, y)
        level = np.polynomial.polynomial.polyval(y, illumination)
        residual = spectra - level[:, None] * smooth
        keep = np.isfinite(spectra) & _plausible(residual, sigma, smooth)
        if keep.any(axis=0).mean() < LEAST_COVER:
            # Targets fill so much of the slit that the mean of the bands is none of them.
            faint = bn.nanmedian(spectra, axis=1)
            keep = np.isfinite(spectra) & (faint <= bn.nanmedian(faint))[:, None]
    return SkyModel(coefficients, step, tuple(displacement), tuple(illumination), middle, nx)


def _bands(
    data: NDArray[np.float32], variance: NDArray[np.float32], good: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return centre rows, median spectra and their standard deviations of the bands."""
    lit = np.flatnonzero(good[:, :: max(data.shape[1] // 64, 1)].mean(axis=1) > 0.3)
    centres, spectra, sigmas = [], [], []
    for chunk in np.array_split(lit, min(BANDS, max(lit.size // 4, 1))):
        if chunk.size == 0:
            continue
        pick = chunk[:: max(chunk.size // ROWS_PER_BAND, 1)]
        inside = good[pick]
        part = np.where(inside, data[pick], np.float32(np.nan))
        count = inside.sum(axis=0)
        typical = np.where(inside, variance[pick], 0).sum(axis=0) / np.maximum(count, 1)
        spectrum = bn.nanmedian(part, axis=0) if pick.size > 1 else part[0]
        spectrum = np.where(count >= max(pick.size // 3, 1), spectrum, np.nan)
        error, centre = 1.57 / np.maximum(count, 1), pick.mean()
        if chunk.size > pick.size:
            spectrum, error, centre = _mean_about(spectrum, typical, data, good, chunk)
        spectra.append(spectrum)
        sigmas.append(np.sqrt(typical * error))
        centres.append(centre)
    if not centres:
        return np.empty(0), np.empty((0, 0)), np.empty((0, 0))
    return np.array(centres), np.stack(spectra).astype(float), np.stack(sigmas).astype(float)


def _mean_about(
    median: NDArray[np.float32],
    variance: NDArray[np.float32],
    data: NDArray[np.float32],
    good: NDArray[np.bool_],
    rows: NDArray[np.intp],
) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """Return the mean of all rows of a band near its median, its error and its centre row.

    The error is the variance per variance of a pixel. Rows that a target lights are left out. The
    noise of a median of few rows would be in every row of the sky, on leaning lines at another
    column in each, so that no local background could take it out again.
    """
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    off = data[part] - median
    near = np.abs(off) < np.float32(NEAR) * np.sqrt(variance)
    near &= good[part]
    off[~near] = 0
    count = np.maximum(near.sum(axis=1), 1)
    level = off.sum(axis=1) / count
    middle = np.median(level)
    scatter = 1.4826 * float(np.median(np.abs(level - middle)))
    steady = np.abs(level - middle) <= BRIGHT_ROW * scatter
    number = near[steady].sum(axis=0)
    mean = off[steady].sum(axis=0) / np.maximum(number, 1)
    centre = float(part.start + np.flatnonzero(steady).mean())
    return median + mean, 1 / np.maximum(number, 1), centre


def _displacement(
    spectra: NDArray[np.float64], sigma: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return how lines move along the slit, or no movement where no line shows it."""
    if y.size < 5:
        return (0.0,)
    lines = _lines_of(spectra)
    noise = np.median(sigma[np.isfinite(sigma)]) if np.isfinite(sigma).any() else 1.0
    reference = lines[y.size // 2 - 1 : y.size // 2 + 2].mean(axis=0)
    if noise <= 0 or np.sqrt((reference**2).sum()) < 25 * noise:
        return (0.0,)
    lags = np.arange(-REACH, REACH + 1)
    shift, weight = np.zeros(y.size), np.zeros(y.size)
    for i, row in enumerate(lines):
        score = np.array([np.dot(np.roll(reference, k), row) for k in lags])
        shift[i], weight[i] = _summit(lags, score, np.sqrt((row**2).sum() * (reference**2).sum()))
    return _robust_series(y, shift, weight)


def _lines_of(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what stands above the continuum, with unusable columns at zero, shape (k, n)."""
    with np.errstate(all="ignore"):
        typical = bn.nanmedian(spectra, axis=1)[:, None]
    filled = np.where(np.isfinite(spectra), spectra, np.nan_to_num(typical))
    half = CONTINUUM // 2
    padded = np.pad(filled, ((0, 0), (half, half)), mode="edge")
    smooth = bn.move_median(padded, CONTINUUM, axis=1)[:, 2 * half :]
    excess = filled - smooth
    excess[:, :REACH] = excess[:, -REACH:] = 0.0
    return np.asarray(excess)


def _summit(
    lags: NDArray[np.int_], score: NDArray[np.float64], full: float
) -> tuple[float, float]:
    """Return the sub-pixel lag of the best score, and its weight (0 if it is no summit)."""
    k = int(np.argmax(score))
    if k in {0, lags.size - 1} or full <= 0 or score[k] < 0.5 * full:
        return 0.0, 0.0
    left, top, right = score[k - 1 : k + 2]
    return float(lags[k] + 0.5 * (left - right) / (left - 2 * top + right)), float(score[k] / full)


def _robust_series(
    y: NDArray[np.float64], shift: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, ...]:
    """Fit a quadratic robustly; return no movement if fewer than five bands agree."""
    use = weight > 0
    for _ in range(5):
        if use.sum() < 5:
            return (0.0,)
        series = np.polynomial.polynomial.polyfit(y[use], shift[use], 2, w=weight[use])
        off = np.abs(shift - np.polynomial.polynomial.polyval(y, series))
        limit = max(3 * 1.4826 * np.median(off[use]), 0.05)
        use = (weight > 0) & (off < limit)
    return tuple(float(c) for c in series)


def _basis(
    x: NDArray[np.float64], step: float
) -> tuple[NDArray[np.int_], tuple[NDArray[np.float64], ...]]:
    """Return the first of four neighbouring coefficients, and the cubic weights of all four."""
    place = x / step + PAD / step
    first = np.floor(place).astype(int)
    t = place - first
    return first, (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )


PAD = REACH + 2
"""Columns of spline beyond either end of the frame."""


def _evaluate(
    coefficients: NDArray[np.float64], x: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    first, weights = _basis(x, step)
    first = np.clip(first, 0, coefficients.size - 4)
    total: NDArray[np.float64] = weights[0] * coefficients[first]
    for k in (1, 2, 3):
        total += weights[k] * coefficients[first + k]
    return total


def _fit_spline(
    spectra: NDArray[np.float64],
    sigma: NDArray[np.float64],
    keep: NDArray[np.bool_],
    shift: NDArray[np.float64],
    level: NDArray[np.float64],
    step: float,
) -> NDArray[np.float64]:
    """Return coefficients of the weighted least-squares spline, faintly smoothed."""
    size = int(np.ceil((spectra.shape[1] + 2 * PAD) / step)) + 5
    band, side = np.zeros((4, size)), np.zeros(size)
    row, column = np.nonzero(keep)
    first, weights = _basis(column - shift[row], step)
    first = np.clip(first, 0, size - 4)
    # The scatter between columns would bias a fit that trusts faint columns more.
    precision = (level[row] / np.maximum(sigma[keep], 1e-6)) ** 2
    value = precision * spectra[keep] / level[row]
    for a in range(4):
        side += np.bincount(first + a, weights[a] * value, size)
        part = precision * weights[a]
        for b in range(a, 4):
            band[3 - (b - a)] += np.bincount(first + b, part * weights[b], size)
    typical = float(np.median(band[3][band[3] > 0])) if (band[3] > 0).any() else 1.0
    solved = np.asarray(solveh_banded(band + _stiffness(size, 1e-3 * typical), side))
    return solved if step == 1.0 else _without_comb(solved)


def _without_comb(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coefficients two to a column without the part that repeats in every column.

    Columns are whole numbers, so a comb of one tooth a column is no change of the spectrum: on
    tilted lines it is a change along the slit, by which a star would enter the sky.
    """
    sign = np.ones(coefficients.size)
    sign[1::2] = -1.0
    half = COMB // 2
    beside = np.pad(coefficients, 1, mode="edge")
    sharp = (coefficients - (beside[:-2] + beside[2:]) / 2) / 2
    padded = np.pad(sign * sharp, half, mode="edge")
    return np.asarray(coefficients - sign * bn.move_median(padded, COMB)[2 * half :])


def _stiffness(size: int, strength: float) -> NDArray[np.float64]:
    """Return second-difference smoothing in upper banded form, plus a trace of ridge."""
    out = np.zeros((4, size))
    diagonal = np.full(size, 6.0)
    diagonal[[0, -1]], diagonal[[1, -2]] = 1.0, 5.0
    first = np.full(size, -4.0)
    first[[1, -1]] = -2.0
    out[3], out[2], out[1] = diagonal, first, 1.0
    out[2][0] = out[1][0] = out[1][1] = 0.0
    out *= strength
    out[3] += 1e-9 * strength
    return out


def _illumination(
    spectra: NDArray[np.float64],
    sigma: NDArray[np.float64],
    keep: NDArray[np.bool_],
    smooth: NDArray[np.float64],
    y: NDArray[np.float64],
) -> tuple[float, ...]:
    """Return the relative brightness of the sky along the slit, one where it is too faint."""
    precision = np.where(keep, 1 / np.maximum(sigma, 1e-6) ** 2, 0.0)
    power = (precision * smooth**2).sum(axis=1)
    if y.size < 8 or np.median(power) < 1e4:
        return (1.0,)
    ratio = (precision * np.where(keep, spectra, 0.0) * smooth).sum(axis=1)
    ratio = ratio / np.maximum(power, 1e-12)
    use = (power > 0) & (np.abs(ratio - np.median(ratio)) < 0.3)
    scale = np.abs(y).max()
    for _ in range(4):
        if use.sum() < 8:
            return (1.0,)
        series = np.polynomial.polynomial.polyfit(y[use] / scale, ratio[use], 1)
        off = np.abs(ratio - np.polynomial.polynomial.polyval(y / scale, series))
        use = (power > 0) & (off < max(3 * 1.4826 * np.median(off[use]), 1e-4))
    # The level belongs to the spectrum: only the change along the slit is kept.
    series = series / series[0]
    return tuple(float(c / scale**k) for k, c in enumerate(series))


def _plausible(
    residual: NDArray[np.float64], sigma: NDArray[np.float64], smooth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which points of the bands are sky: those under targets stand out."""
    limit = 4 * np.hypot(sigma, 0.01 * np.abs(smooth))
    with np.errstate(invalid="ignore"):
        near = np.abs(residual) < limit
        usual = np.nanmedian(residual / np.maximum(sigma, 1e-6), axis=1) < 3.0
    return np.asarray(near & usual[:, None])
