"""Neighbourhoods of scattered pixels, without filtering the whole frame for their sake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What the good neighbours of some pixels say."""

    level: NDArray[np.float32]
    """Median of the good neighbours, shape (n,); zero where there are none."""
    scatter: NDArray[np.float32]
    """Standard deviation of the good neighbours, shape (n,); zero for fewer than three."""
    typical: NDArray[np.float32]
    """Median departure of the good neighbours from `level`, times 1.4826: a standard deviation
    to which a few wild ones among them add nothing, shape (n,); zero for fewer than three."""
    count: NDArray[np.intp]
    """Number of good neighbours, shape (n,)."""


def surroundings(
    image: NDArray[np.float32],
    bad: NDArray[np.bool_],
    pixels: tuple[NDArray[np.intp], ...],
    radius: int = 2,
) -> Surroundings:
    """Measure the good pixels in the square around each of some pixels.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Values.
    bad : ndarray of bool, shape (ny, nx)
        Pixels that are not to be used; the central pixel is never used.
    pixels : tuple of ndarray of int, each shape (n,)
        Rows and columns.
    radius : int
        Half side of the square.
    """
    rows, columns = pixels
    steps = np.arange(-radius, radius + 1)
    dy, dx = (offsets.ravel() for offsets in np.meshgrid(steps, steps, indexing="ij"))
    aside = (dy != 0) | (dx != 0)
    y, x = rows[:, None] + dy[aside], columns[:, None] + dx[aside]
    inside = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
    np.clip(y, 0, image.shape[0] - 1, out=y)
    np.clip(x, 0, image.shape[1] - 1, out=x)
    values = image[y, x]
    good = inside & ~bad[y, x] & np.isfinite(values)
    count = good.sum(axis=1)
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    level = np.where(count > 0, _middle(ordered, count), 0).astype(np.float32)
    off = np.where(good, values - level[:, None], 0)
    scatter = np.sqrt((off**2).sum(axis=1) / np.maximum(count - 1, 1))
    away = np.sort(np.where(good, np.abs(off), np.inf), axis=1)
    enough = count > 2
    return Surroundings(
        level,
        np.where(enough, scatter, 0).astype(np.float32),
        np.where(enough, 1.4826 * _middle(away, count), 0).astype(np.float32),
        count,
    )


def _middle(ordered: NDArray[np.float32], count: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the median of the first `count` values of each ordered row."""
    usable, each = np.maximum(count, 1), np.arange(len(ordered))
    return (ordered[each, (usable - 1) // 2] + ordered[each, usable // 2]) / 2
