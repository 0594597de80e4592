"""Slow changes of level along the slit: uneven light and drifting zero levels, not sources."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solveh_banded

from goodman_live.pipeline.core.windows import Piece, stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

PERIOD = 28.0
"""Period of what is half removed, in widths of a point source: five times the widest source."""
COARSE = 4
"""Rows averaged before smoothing."""


def without_baseline(blocks: Blocks, seeing: float) -> Blocks:
    """Return the blocks less what changes slowly along the slit in the whole spectrum.

    One part follows the sky's continuum (illumination), one is the same in all columns (zero
    level). Sources stand out upwards and are left out of both.

    Parameters
    ----------
    blocks : Blocks
        The frame in blocks.
    seeing : float
        Width of a point source, rows.
    """
    count = blocks.columns.size
    signal, lines = blocks.signal, blocks.lines
    for template in ("sky", "flat"):
        piece = Piece(0, count, 0.0, template, whole=True)
        profile, weight = stack(replace(blocks, signal=signal), [piece], photons=False)
        level = slow_part(profile[0], weight[0], PERIOD * seeing)
        spectrum = blocks.sky / blocks.sky.mean() if template == "sky" else np.ones(count)
        share = (spectrum[:, None] * level).astype(np.float32) * blocks.weight
        signal, lines = signal - share, lines - share
    return replace(blocks, signal=signal, lines=lines)


def slow_part(
    profile: NDArray[np.float64], weight: NDArray[np.float64], period: float
) -> NDArray[np.float64]:
    """Return the slow part of a profile, shape (n,); sources count little, upward ones least.

    A smoothing spline on evenly spaced points (Whittaker 1923) with weights that fall with the
    residual.
    """
    n = profile.size
    starts = np.arange(0, n, COARSE)
    power = np.add.reduceat(weight, starts)
    some = power > 0
    if some.sum() < 8:
        return np.zeros(n)
    value = np.add.reduceat(weight * profile, starts) / np.where(some, power, 1.0)
    sigma = 1 / np.sqrt(np.median(power[some]))
    stiffness = (period / COARSE / (2 * np.pi)) ** 4
    step = np.abs(np.diff(value[some]))
    scatter = max(float(np.median(step)) * 1.05, float(sigma))
    trust = some.astype(float)
    smooth = np.zeros(starts.size)
    for _ in range(8):
        smooth = solveh_banded(_banded(trust, stiffness), trust * value)
        off = (value - smooth) / scatter
        off = np.where(off > 0, off / 2, off / 4)
        trust = np.where(some, 1 / (1 + off**4), 0.0)
    centres = starts + (np.minimum(COARSE, n - starts) - 1) / 2
    return np.asarray(np.interp(np.arange(n), centres, smooth))


def _banded(diagonal: NDArray[np.float64], stiffness: float) -> NDArray[np.float64]:
    """Return weights plus second-difference smoothing, in upper banded form."""
    size = diagonal.size
    band = np.zeros((3, size))
    curve = np.full(size, 6.0)
    curve[[0, -1]], curve[[1, -2]] = 1.0, 5.0
    beside = np.full(size, -4.0)
    beside[[1, -1]] = -2.0
    band[2] = diagonal + stiffness * curve + 1e-9
    band[1, 1:] = stiffness * beside[1:]
    band[0, 2:] = stiffness
    return band
