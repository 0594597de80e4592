"""The bias level of each row of one frame, from the columns that never see light.

A row's own overscan is noisy (44 columns of 2.6 ADU give 0.4 ADU, and twice that when binned), so
rows are smoothed together by as much as their noise allows: the strengths are weighed by the error
to be expected of each, given the noise that the overscan itself shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bottleneck as bn
import numpy as np
from scipy.fft import dct, idct
from scipy.ndimage import median_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 4.5
"""Values further from their row's median than this many standard deviations are left out."""
_STRENGTHS = 10.0 ** np.arange(-2, 11.5, 0.5)
"""Penalties on curvature that are tried: from none to a straight line."""
_ORDERS = 2, 4
"""Derivatives that are penalised: what wanders without corners is told better by the fourth."""
_TEMPERATURE = 4.0
"""Expected errors that differ by this many variances of a row weigh as 1 to e."""
_LEAST_COLUMNS = 4
"""Columns needed to measure the noise."""
_NEIGHBOURS = 31
"""Rows whose running median tells a spoilt row."""


@dataclass(frozen=True, slots=True, eq=False)
class Overscan:
    """Bias level along the rows of one frame, and the noise of a pixel."""

    level: NDArray[np.float32]
    """Level of each row, ADU, shape (ny,)."""
    uncertainty: NDArray[np.float32]
    """One standard deviation of `level`, ADU, shape (ny,)."""
    noise: float | None
    """Read noise of a pixel with quantisation, ADU; None where too few columns tell."""
    spoilt_rows: int
    """Rows whose overscan was spoilt (by leaking charge) and was bridged from its neighbours."""

    @property
    def typical(self) -> float:
        """Median level, ADU."""
        return float(np.median(self.level))


def measure_overscan(strip: NDArray[Any]) -> Overscan:
    """Measure the level of each row and the read noise from overscan columns.

    Parameters
    ----------
    strip : ndarray, shape (ny, k)
        The overscan columns of a raw frame, ADU.

    Returns
    -------
    Overscan
        Level, its uncertainty, and the noise of a pixel.

    Raises
    ------
    ValueError
        If there is no column, or no row has a finite value.

    References
    ----------
    Smoothing by discrete cosines: Garcia 2010, Comput. Stat. Data Anal. 54, 1167. Unbiased risk
    of a strength: Stein 1981, Ann. Stat. 9, 1135. Weighing strengths by it, which errs less than
    to choose one: Leung & Barron 2006, IEEE Trans. Inf. Theory 52, 3396.
    """
    values = np.asarray(strip, np.float32)
    if values.shape[1] == 0 or not np.isfinite(values).any():
        raise ValueError("no overscan value to measure")
    values = values - _column_pattern(values)
    rows, count, noise = _row_levels(values)
    good = count > values.shape[1] / 2
    if not good.any():
        good = count > 0
    pixel_noise = noise or _difference_noise(rows[good]) * np.sqrt(values.shape[1])
    row_noise = pixel_noise / np.sqrt(max(float(np.median(count[good])), 1.0))
    level, error, spoilt = _smooth(rows, good, row_noise)
    return Overscan(
        level.astype(np.float32), error.astype(np.float32), noise or None, int(spoilt.sum())
    )


def _column_pattern(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the steady differences between the columns, with zero mean, shape (k,)."""
    if min(values.shape) < _LEAST_COLUMNS:
        return np.zeros(values.shape[1], np.float32)
    flattened = values - bn.nanmedian(values, axis=1)[:, None]
    spread = 1.4826 * bn.nanmedian(np.abs(flattened)) + 1.0
    flattened[~(np.abs(flattened) < CLIP * spread)] = np.nan
    pattern = np.nan_to_num(bn.nanmean(flattened, axis=0))
    return (pattern - np.median(pattern)).astype(np.float32)


def _row_levels(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.intp], float]:
    """Return the clipped mean of each row, how many values it has, and the noise of one."""
    width = values.shape[1]
    finite = np.isfinite(values)
    filled = np.where(finite, values, np.nan)
    has_any = finite.any(axis=1)
    middle = np.zeros(len(values))
    middle[has_any] = bn.nanmedian(filled[has_any], axis=1)
    offset = values - middle[:, None].astype(np.float32)
    distance = np.where(finite, np.abs(offset), np.inf)
    # half a count keeps the deviation of whole numbers from collapsing to zero
    spread = max(1.4826 * float(np.median(distance[finite])), 0.5)
    keep = distance <= CLIP * spread
    count = keep.sum(axis=1)
    total = np.where(keep, offset, 0).sum(axis=1, dtype=np.float64)
    mean = total / np.maximum(count, 1)
    if width < _LEAST_COLUMNS:
        return middle + mean, count, 0.0
    squares = np.where(keep, offset - mean[:, None], 0) ** 2
    whole = count >= 0.8 * width
    freedom = float((count[whole] - 1).sum())
    # columns lose one degree of freedom each to their own pattern
    freedom -= (width - 1) * float(freedom > 20 * width)
    noise = float(np.sqrt(squares[whole].sum() / freedom)) if freedom > 0 else 0.0
    return middle + mean, count, noise


def _difference_noise(rows: NDArray[np.float64]) -> float:
    """Return the noise of values that follow a slow curve, from their differences."""
    if len(rows) < 3:
        return 1.0
    return max(float(1.4826 * np.median(np.abs(np.diff(rows))) / np.sqrt(2)), 0.1)


def _smooth(
    rows: NDArray[np.float64], good: NDArray[np.bool_], row_noise: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Smooth the rows; return the curve, its uncertainty and which rows were left out."""
    n = len(rows)
    place = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    spoilt = ~good | _wild(rows, good, row_noise)
    if spoilt.all():
        spoilt = ~good
    line = _robust_line(place, rows, ~spoilt)
    residual = np.where(spoilt, 0.0, rows - line)
    strength = 4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2
    gains = np.concatenate(
        [1 / (1 + (np.sqrt(_STRENGTHS[:, None]) * strength) ** order) for order in _ORDERS]
    )
    curve = np.zeros(n)
    chosen = gains[-1]
    for _ in range(4 if spoilt.any() else 1):
        spectrum = dct(np.where(spoilt, curve, residual), norm="ortho")
        risk = ((1 - gains) ** 2 * spectrum**2).sum(axis=1) + 2 * row_noise**2 * gains.sum(axis=1)
        share = np.exp((risk.min() - risk) / (_TEMPERATURE * row_noise**2))
        chosen = share @ gains / share.sum()
        curve = idct(chosen * spectrum, norm="ortho")
    return line + curve, row_noise * _leverage(chosen, n), spoilt


def _wild(
    rows: NDArray[np.float64], good: NDArray[np.bool_], row_noise: float
) -> NDArray[np.bool_]:
    """Return which rows stand off the running median of their neighbours."""
    filled = np.where(good, rows, np.median(rows[good]))
    off = np.abs(filled - median_filter(filled, size=_NEIGHBOURS, mode="nearest"))
    usual = max(1.4826 * float(np.median(off)), row_noise)
    return np.asarray(off > 5 * usual)


def _robust_line(
    place: NDArray[np.float64], rows: NDArray[np.float64], good: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the straight line through the rows, wild ones left out, shape (n,)."""
    use = good.copy()
    if use.sum() < 8:
        return np.full(len(rows), float(np.median(rows[use])))
    for _ in range(5):
        design = np.vander(place[use], 2)
        slope, intercept = np.linalg.lstsq(design, rows[use], rcond=None)[0]
        off = np.abs(rows - slope * place - intercept)
        use = good & (off <= 5 * 1.4826 * np.median(off[use]) + 1e-6)
        if use.sum() < 8:
            break
    return np.asarray(slope * place + intercept)


def _leverage(gains: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the noise of the smooth curve over that of one row, shape (n,).

    The straight line's own two parameters are within the first two cosines.
    """
    squared = np.maximum(gains, np.arange(n) < 2) ** 2
    k = np.flatnonzero(squared > 1e-4)
    if k.size > 400:  # hardly smoothed: ends are like the middle
        return np.full(n, np.sqrt(squared.sum() / n))
    phase = np.cos(np.pi * np.outer(2 * np.arange(n) + 1, k) / n)
    share = squared[k] * (1 + phase) * np.where(k == 0, 0.5, 1.0)
    return np.asarray(np.sqrt(share.sum(axis=1) / n))
