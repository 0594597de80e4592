"""Cosmic rays by gaps in the histogram of small boxes: the method of Pych (2004), in whole arrays.

In a box of a few hundred pixels, light is a continuous run of values; a cosmic ray lies beyond a
gap. All boxes are sorted at once, so the gap is a difference of neighbours and no box is looped
over. Nothing here comes from the author's program.

Two things differ from it. It is given the frame less its smooth model, over the noise, so that the
steps of a bright line or trace open no gap; and a hit grows into neighbours that stand above their
surroundings, not into all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from goodman_live.pipeline.core.lacosmic import grow
from goodman_live.pipeline.core.patches import surroundings

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DcrParameters:
    """The numbers of the method, under the names of the author's program."""

    thresh: float = 3.0
    """Width of the gap, in standard deviations of the box."""
    xrad: int = 9
    """Half width of a box, pixels; boxes are placed this far apart."""
    yrad: int = 9
    """Half height of a box, pixels."""
    npass: int = 5
    """Most passes over boxes that still change."""
    lrad: int = 1
    """Inner radius of the ring that replaces a pixel."""
    urad: int = 3
    """Outer radius of that ring."""
    grad: int = 1
    """Pixels by which hits may grow at the end."""


PARAMETERS = {
    ("Red", 1): DcrParameters(),
    ("Red", 2): DcrParameters(thresh=4.0, xrad=7, grad=0),
    ("Red", 3): DcrParameters(),
    ("Blue", 1): DcrParameters(xrad=8, yrad=8),
    ("Blue", 2): DcrParameters(),
    ("Blue", 3): DcrParameters(),
}
"""Parameters per camera and serial binning, as goodman_pipeline 3.1.0 distributes them."""

_GROW_SIGMA = 3.0
"""A neighbour of a hit joins it above this many standard deviations."""


def parameters_for(camera: str, xbin: int) -> DcrParameters:
    """Return the parameters of a camera at a serial binning; of 3 for coarser ones."""
    return PARAMETERS[camera, min(max(xbin, 1), 3)]


def find_dcr(
    data: NDArray[np.float32],
    parameters: DcrParameters,
    *,
    ignore: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Find the pixels that cosmic rays hit.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Frame less its model, over its noise.
    parameters : DcrParameters
        Numbers of the method.
    ignore : ndarray of bool, shape (ny, nx), optional
        Pixels that are never hits and do not enter a histogram.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where a cosmic ray was found.

    References
    ----------
    Pych 2004, PASP 116, 148.
    """
    usable = np.isfinite(data) if ignore is None else ~ignore & np.isfinite(data)
    boxes = _Boxes(data.shape, parameters.yrad, parameters.xrad)
    work = np.where(usable, data, np.nan).astype(np.float32)
    hits = np.zeros(data.shape, bool)
    todo = np.arange(boxes.number)
    for _ in range(parameters.npass):
        new = boxes.beyond_gap(work, todo, parameters.thresh)
        if not new.any():
            break
        hits |= new
        pixels = np.nonzero(new)
        around = surroundings(work, hits, pixels, parameters.urad)
        work[pixels] = np.where(around.count > 0, around.level, np.nan)
        todo = boxes.holding(new)
    if parameters.grad:
        whole = np.where(usable, data, np.float32(0))
        unit = np.ones_like(whole)
        hits = grow(hits, whole, unit, usable, threshold=_GROW_SIGMA, steps=parameters.grad)
    return hits


class _Boxes:
    """Boxes of 2 radii a side, one radius apart, that cover a frame and overhang its end."""

    def __init__(self, shape: tuple[int, ...], yrad: int, xrad: int) -> None:
        self.shape = shape
        self.yrad, self.xrad = yrad, xrad
        self.down = max(-(-shape[0] // yrad) - 1, 1)
        self.across = max(-(-shape[1] // xrad) - 1, 1)
        self.padded = ((self.down + 1) * yrad, (self.across + 1) * xrad)
        self.number = self.down * self.across

    def beyond_gap(
        self, image: NDArray[np.float32], which: NDArray[np.intp], thresh: float
    ) -> NDArray[np.bool_]:
        """Return the pixels beyond the first wide gap in any of some boxes, shape (ny, nx)."""
        full = np.full(self.padded, np.nan, np.float32)
        full[: self.shape[0], : self.shape[1]] = image
        views = sliding_window_view(full, (2 * self.yrad, 2 * self.xrad))
        found = np.zeros(self.padded, bool)
        for part in np.array_split(which, max(len(which) // 4096, 1)):
            rows, columns = np.divmod(part, self.across)
            values = views[rows * self.yrad, columns * self.xrad]
            above = values > _limits(values.reshape(len(part), -1), thresh)[:, None, None]
            any_above = above.any(axis=(1, 2))
            y0, x0 = rows[any_above] * self.yrad, columns[any_above] * self.xrad
            box, dy, dx = np.nonzero(above[any_above])
            found[y0[box] + dy, x0[box] + dx] = True
        return found[: self.shape[0], : self.shape[1]]

    def holding(self, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the boxes that hold any pixel of a mask."""
        y, x = np.nonzero(mask)
        row, column = y // self.yrad, x // self.xrad
        near = [
            (r, c)
            for r in (row - 1, row)
            for c in (column - 1, column)
        ]  # fmt: skip
        numbers = [
            r[ok] * self.across + c[ok]
            for r, c in near
            for ok in [(r >= 0) & (r < self.down) & (c >= 0) & (c < self.across)]
        ]
        return np.unique(np.concatenate(numbers))


def _limits(values: NDArray[np.float32], thresh: float) -> NDArray[np.float32]:
    """Return the value at the near side of the first wide gap above the mode, per box.

    Parameters
    ----------
    values : ndarray of float32, shape (n, m)
        Values of each box; NaN is left out.
    thresh : float
        Least width of the gap, in standard deviations of the box.

    Returns
    -------
    ndarray of float32, shape (n,)
        Infinity where there is no gap.
    """
    ordered = np.sort(values, axis=1)  # NaN goes last
    count = np.isfinite(ordered).sum(axis=1)
    each = np.arange(len(ordered))
    limits = np.full(len(ordered), np.inf, np.float32)
    sigma = _clipped_deviation(ordered)
    step = ordered[:, 1:] - ordered[:, :-1]
    with np.errstate(invalid="ignore"):
        gap = step > thresh * sigma[:, None]
        gap &= ordered[:, :-1] >= _mode(ordered)[:, None]
    first = gap.argmax(axis=1)
    has = gap[each, first] & (count > 8)
    limits[has] = ordered[each, first][has]
    return limits


def _mode(ordered: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the middle of the shortest interval with a quarter of the values, shape (n,)."""
    quarter = max(ordered.shape[1] // 4, 1)
    width = ordered[:, quarter:] - ordered[:, :-quarter]
    start = np.argmin(np.where(np.isfinite(width), width, np.inf), axis=1)
    each = np.arange(len(ordered))
    return np.asarray((ordered[each, start] + ordered[each, start + quarter]) / 2)


def _clipped_deviation(ordered: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviation of each row after clipping at 3 sigma twice, shape (n,)."""
    zero = np.nan_to_num(ordered - np.nan_to_num(ordered[:, :1]), posinf=0, neginf=0)
    use = np.isfinite(ordered)
    sigma = np.zeros(len(ordered), np.float32)
    for _ in range(3):
        count = np.maximum(use.sum(axis=1), 1)
        mean = np.where(use, zero, 0).sum(axis=1) / count
        off = zero - mean[:, None]
        sigma = np.sqrt((np.where(use, off, 0) ** 2).sum(axis=1) / np.maximum(count - 1, 1))
        use &= np.abs(off) <= 3 * sigma[:, None]
    # values that are all alike have no gap worth the name
    return np.maximum(sigma, np.float32(0.5))
