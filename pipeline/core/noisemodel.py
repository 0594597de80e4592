"""The variance of a pixel that holds a given light, learnt from the sky of the same frame.

The variance that a frame states is made of its counts: a pixel that fluctuates low claims to be
better than it is, and a cosmic ray claims the photons it did not bring. So the weights of a fit
come from the model of the light, as Horne (1986, PASP 98, 609) has them: the sky's own variance
in each column, and photons for what the model holds beyond the sky.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np
from scipy.ndimage import median_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame

SAMPLE = 80
"""Rows, and columns, from which medians are taken."""
SMOOTH = 31
"""Columns over which the response is smoothed."""
LEAST = 0.25
"""No pixel is better than this share of the sky's variance: some of it is read noise."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel:
    """Variance as ``row * (variance + slope * (light - counts))``."""

    variance: NDArray[np.float64]
    """Variance of the sky in each column, shape (nx,)."""
    counts: NDArray[np.float64]
    """Counts to which `variance` belongs, shape (nx,)."""
    slope: NDArray[np.float64]
    """Variance per unit of light in each column, shape (nx,)."""
    row: NDArray[np.float64]
    """Factor for each row, shape (ny,): rows that the flat has raised are noisier."""

    def at(self, light: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the variance of pixels that hold `light`.

        Parameters
        ----------
        light : ndarray of float64
            Everything in the pixels, sky included, shape (m, nx).
        rows : ndarray of int
            Row of each pixel; beyond the frame the nearest row counts, shape (m, nx).
        """
        total = self.variance + self.slope * (light - self.counts)
        factor = self.row[np.clip(rows, 0, self.row.size - 1)]
        return np.asarray(np.maximum(total, LEAST * self.variance) * factor)


def learn_noise(
    frame: Frame,
    data: NDArray[np.float32],
    variance: NDArray[np.float32],
    good: NDArray[np.bool_],
) -> NoiseModel:
    """Learn the noise model of a reduced frame from its own uncertainties.

    Parameters
    ----------
    frame : Frame
        For its header: gain and read noise.
    data, variance : ndarray of float32
        Pixels and their stated variance, shape (ny, nx).
    good : ndarray of bool
        Usable pixels, same shape.
    """
    ny, nx = data.shape
    lit = np.flatnonzero(good[:, :: max(nx // 64, 1)].any(axis=1))
    pick = lit[:: max(lit.size // SAMPLE, 1)] if lit.size else np.arange(ny)
    inside = good[pick]
    stated = _medians(variance[pick], inside, 0)
    counts = _medians(data[pick], inside, 0)
    known = np.isfinite(stated) & (stated > 0)
    typical = float(np.median(stated[known])) if known.any() else 1.0
    stated = np.where(known, stated, typical)
    counts = np.where(known, counts, 0.0)
    slope = _slope(frame, data, variance, good, stated, counts)
    columns = slice(None, None, max(nx // SAMPLE, 1))
    expected = stated[columns] + slope[columns] * (data[:, columns] - counts[columns])
    expected = np.maximum(expected, LEAST * stated[columns])
    ratio = _medians(variance[:, columns] / expected, good[:, columns], 1)
    row = np.clip(np.where(np.isfinite(ratio), ratio, 1.0), 0.2, 5.0)
    return NoiseModel(stated, counts, slope, row)


def _medians(
    values: NDArray[np.floating], good: NDArray[np.bool_], axis: int
) -> NDArray[np.float64]:
    return np.asarray(bn.nanmedian(np.where(good, values, np.nan), axis=axis), dtype=float)


def _slope(
    frame: Frame,
    data: NDArray[np.float32],
    variance: NDArray[np.float32],
    good: NDArray[np.bool_],
    stated: NDArray[np.float64],
    counts: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return variance per unit of light in each column.

    It is one over the gain, times what the flat has multiplied the column by: that follows from
    the sky's variance, which is ``response^2 * read noise^2 + response * counts / gain``.
    """
    gain = _positive(frame, "GAIN") if frame.unit == "adu" else 1.0
    noise = _positive(frame, "GSP_RNOI") or _positive(frame, "RDNOISE")
    if gain is None:
        return np.full(stated.size, _measured_slope(data, variance, good))
    if noise is None:
        return np.full(stated.size, 1 / gain)
    read, photons = (noise / gain) ** 2, np.maximum(counts, 0) / gain
    response = (np.sqrt(photons**2 + 4 * read * stated) - photons) / (2 * read)
    smooth = median_filter(np.clip(response, 0.2, 5.0), SMOOTH, mode="nearest")
    return np.asarray(smooth / gain)


def _positive(frame: Frame, keyword: str) -> float | None:
    value = frame.header.get(keyword)
    if isinstance(value, int | float) and np.isfinite(value) and value > 0:
        return float(value)
    return None


def _measured_slope(
    data: NDArray[np.float32], variance: NDArray[np.float32], good: NDArray[np.bool_]
) -> float:
    """Return the slope of variance against counts where no gain is known."""
    pick = good & (data > 0)
    if pick.sum() < 1000:
        return 0.0
    step = max(int(pick.sum()) // 100_000, 1)
    x, y = data[pick][::step].astype(float), variance[pick][::step].astype(float)
    edges = np.quantile(x, (0.1, 0.99))
    low, high = x <= edges[0], x >= edges[1]
    rise = np.median(x[high]) - np.median(x[low])
    return float(max((np.median(y[high]) - np.median(y[low])) / rise, 0.0)) if rise > 0 else 0.0
