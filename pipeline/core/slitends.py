"""Rows beyond the ends of the slit, seen in the sky of a frame that was not cut to its slit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np
from scipy.ndimage import median_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEND = 24.0
"""Unbinned rows left out at an end: it bends and blurs, and light there has no sky beyond it."""
WINDOW = 40
"""Unbinned rows averaged on both sides of a step."""
SIGNIFICANT = 6.0
"""Standard deviations of the noise that a step must have."""
UNUSUAL = 3.0
"""Times the usual change of level, robust standard deviations, that a step must have."""


def dark_rows(
    data: NDArray[np.float32], variance: NDArray[np.float32], good: NDArray[np.bool_], ybin: int
) -> NDArray[np.bool_]:
    """Return rows beyond the ends of the slit, shape (ny,).

    The sky's level steps there, and the step would pass for a source. It must be sharp and
    last: a star rises and falls again, and uneven light or a drifting zero level is slow.

    Parameters
    ----------
    data, variance : ndarray of float32
        Pixels and their variance, shape (ny, nx).
    good : ndarray of bool
        Usable pixels, same shape.
    ybin : int
        Binning along the slit.
    """
    ny = data.shape[0]
    dark = np.zeros(ny, dtype=bool)
    size = WINDOW // ybin
    if ny < 8 * size:
        return dark
    columns = slice(None, None, max(data.shape[1] // 512, 1))
    inside = good[:, columns]
    level = bn.nanmedian(np.where(inside, data[:, columns], np.float32(np.nan)), axis=1)
    lit = np.isfinite(level)
    if lit.sum() < 0.5 * ny:
        return dark
    level = np.interp(np.arange(ny), np.flatnonzero(lit), level[lit])
    count = np.maximum(inside.sum(axis=1), 1)
    noise = 1.25 * np.sqrt(np.where(inside, variance[:, columns], 0).sum(axis=1)) / count
    sigma = float(np.median(noise[lit])) * np.sqrt(2 / size)
    margin = math.ceil(BEND / ybin)
    first = _step_up(level, size, sigma)
    if first is not None:
        dark[: first + margin] = True
    last = _step_up(level[::-1], size, sigma)
    if last is not None:
        dark[ny - last - margin :] = True
    return dark


def _step_up(level: NDArray[np.float64], size: int, sigma: float) -> int | None:
    """Return the row at which the light begins in the lower part of the slit."""
    ny = level.size
    typical = median_filter(level, size, mode="nearest")

    def beside(chunk: int) -> NDArray[np.float64]:
        return np.asarray(typical[np.clip(rows + chunk * size // 2, 0, ny - 1)])

    rows = np.arange(size // 4, ny - size)
    step = beside(1) - beside(-1)
    beyond = np.stack([beside(k) for k in (3, 5, 7)]) - np.max(
        [beside(k) for k in (-1, -3, -5)], axis=0
    )
    lasting = (beyond.min(axis=0) > 0.5 * step) & (beyond.max(axis=0) < 1.7 * step)
    usual = 1.4826 * float(np.median(np.abs(step - np.median(step))))
    sought = (rows < 0.45 * ny) & lasting
    if not sought.any():
        return None
    best = int(np.argmax(np.where(sought, step, -np.inf)))
    # Medians see the step as far as half their size on both sides alike.
    same = np.flatnonzero(sought & (step > 0.9 * step[best]) & (np.abs(rows - rows[best]) < size))
    row = int(rows[same].mean())
    return row if step[best] > max(SIGNIFICANT * sigma, UNUSUAL * usual) else None
