"""The frame in blocks of columns: short pieces of spectrum in which a trace stands still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

from goodman_live.pipeline.core.specks import remains_of_hits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.working import Working

BLOCK = 32
"""Unbinned columns in a block."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Weighted sums over blocks; sums add up, so blocks combine into any window."""

    signal: NDArray[np.float32]
    """Sum of weight times sky-subtracted signal, shape (blocks, rows)."""
    weight: NDArray[np.float32]
    """Sum of weights, same shape; the weight is one over the sky's variance."""
    noise: NDArray[np.float32]
    """Sum of squared weight times variance, same shape."""
    lines: NDArray[np.float32]
    """As `signal`, with each pixel's share limited so that one pixel cannot make a source."""
    columns: NDArray[np.float64]
    """Mean column of each block (binned, 0-based), shape (blocks,)."""
    sky: NDArray[np.float64]
    """Continuum of the sky in each block, at least a little above zero, shape (blocks,)."""
    width: int
    """Columns summed into one block (after folding)."""
    fold: int
    """Rows of the frame summed into one row here."""

    def to_frame(self, row: float) -> float:
        """Return a row of the blocks as a row of the frame."""
        return row * self.fold + (self.fold - 1) / 2

    def from_frame(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows of the frame as rows of the blocks."""
        return (row - (self.fold - 1) / 2) / self.fold


def make_blocks(work: Working) -> Blocks:
    """Collapse a frame into blocks of columns, sky subtracted and weighted.

    Unbinned rows and columns are first summed in pairs: sources are wider than that.
    """
    ny = work.shape[0]
    fold_y, fold_x = max(2 // work.window.ybin, 1), max(2 // work.window.xbin, 1)
    rest = work.data - work.sky_image
    rest *= work.good
    binning = (work.window.ybin, work.window.xbin)
    good = work.good & ~remains_of_hits(rest, work.variance, work.good, work.flags, binning)
    rest *= good
    rest, variance, good = _fold(rest, work.variance, good, fold_y, fold_x)
    width = max(BLOCK // (work.window.xbin * fold_x), 4)
    count = max(rest.shape[1] // width, 1)
    width = min(width, rest.shape[1])
    used = count * width
    rest, variance, good = rest[:, :used], variance[:, :used], good[:, :used]
    weight = _column_weights(rest, variance, good)
    solid = (rest.shape[0], count, width)
    r3, v3, g3 = rest.reshape(solid), variance.reshape(solid), good.reshape(solid)
    w3 = weight.reshape(count, width)
    sigma = np.sqrt(v3)
    level = bn.nanmedian(np.where(g3, r3, np.float32(np.nan)), axis=2)
    level = np.nan_to_num(level, nan=0.0)[:, :, None]
    slack = 5 * sigma + np.float32(0.3) * np.abs(level)
    steady = np.clip(r3, level - slack, level + slack) * g3
    bounded = np.clip(r3, -4 * sigma, 4 * sigma) * g3
    columns = (np.arange(used) + 0.5) * fold_x - 0.5
    sky = work.sky_image[ny // 2][: used * fold_x]
    continuum = np.median(sky.reshape(count, -1), axis=1).astype(float)
    return Blocks(
        signal=np.einsum("ykx,kx->ky", steady, w3, optimize=True),
        weight=np.einsum("ykx,kx->ky", g3.astype(np.float32), w3, optimize=True),
        noise=np.einsum("ykx,kx->ky", v3 * g3, w3**2, optimize=True),
        lines=np.einsum("ykx,kx->ky", bounded, w3, optimize=True),
        columns=columns.reshape(count, width).mean(axis=1),
        sky=np.maximum(continuum, 0.02 * max(float(continuum.max()), 1e-6)),
        width=width,
        fold=fold_y,
    )


def _fold(
    rest: NDArray[np.float32],
    variance: NDArray[np.float32],
    good: NDArray[np.bool_],
    fold_y: int,
    fold_x: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Sum pixels in pairs; a sum with a missing part is scaled up, with none left it is bad."""
    if fold_y == fold_x == 1 or min(rest.shape) < 2 * max(fold_y, fold_x):
        return rest, variance, good
    ny, nx = rest.shape[0] // fold_y, rest.shape[1] // fold_x

    def folded(a: NDArray[np.float32]) -> NDArray[np.float32]:
        a = a[: ny * fold_y, : nx * fold_x]
        parts = [a[i::fold_y, j::fold_x] for i in range(fold_y) for j in range(fold_x)]
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        return total

    share = folded(good.astype(np.float32)) / np.float32(fold_y * fold_x)
    scale = 1 / np.maximum(share, np.float32(0.01))
    return (
        folded(rest) * scale,
        folded(variance * good) * scale**2,
        np.asarray(share > 0.4),
    )


def _column_weights(
    rest: NDArray[np.float32], variance: NDArray[np.float32], good: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return one over the variance of the sky in each column, propagated or seen, shape (nx,).

    One weight for all rows of a column keeps the profile's shape true; where residuals of sky
    lines scatter by more than the photons explain, the scatter counts.
    """
    pick = slice(None, None, max(rest.shape[0] // 100, 1))
    part = np.where(good[pick], rest[pick], np.float32(np.nan))
    stated = bn.nanmedian(np.where(good[pick], variance[pick], np.float32(np.nan)), axis=0)
    centre = bn.nanmedian(part, axis=0)
    scatter = 1.4826 * bn.nanmedian(np.abs(part - centre), axis=0)
    total = np.fmax(stated, scatter**2)
    usable = np.isfinite(total) & (total > 0)
    return np.where(usable, 1 / np.where(usable, total, 1), 0).astype(np.float32)
