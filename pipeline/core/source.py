"""The model of one source on the detector: its path, its width, and the shape of its profile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.profile import Shape
    from goodman_live.pipeline.core.series import Series
    from goodman_live.pipeline.core.working import Working

STEP = 0.02
"""Spacing of the table of a profile, pixels."""
CORE = 3.2
"""Half height of the strip in which flux is measured, in FWHM."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A source: where it is and how its light spreads; rows and columns are binned, 0-based."""

    path: Series
    """Row against scaled column."""
    width: Series
    """Natural logarithm of the width relative to the shape's own, against scaled column."""
    shape: Shape
    """Analytic profile."""
    own_width: bool
    """Whether the width was measured on this source."""
    snr: float
    """Significance with which it was found."""
    correction: NDArray[np.float64] | None = None
    """What the data add to the analytic table, shape (nodes along the trace, table)."""
    manual: bool = False
    """Whether a user placed it."""

    @property
    def reach(self) -> float:
        """Half height of the table, pixels."""
        return float(np.clip(16 * self.shape.fwhm, 30.0, 3000.0))

    def fwhm(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the width at scaled columns, pixels."""
        return self.shape.fwhm * np.exp(self.width(u))

    def table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return offsets and the profile there, shape (nodes, table); nodes is 1 or more."""
        grid = table_grid(self.reach)
        base = self.shape(grid)[None, :]
        return grid, base if self.correction is None else base + self.correction

    def profile(self, offset: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of light in pixels at `offset` rows from the path.

        Parameters
        ----------
        offset : ndarray of float64
            Rows from the path, shape (m, n).
        u : ndarray of float64
            Scaled columns, shape (n,).

        Returns
        -------
        ndarray of float64
            Shares, shape (m, n); each column sums to one over all rows.
        """
        scale = np.exp(-self.width(u))
        grid, tables = self.table()
        place, k = _places(offset * scale, grid)
        last = tables.shape[0] - 1
        node = (u + 1) / 2 * last
        share: NDArray[np.float64] = np.zeros(offset.shape)
        for number, table in enumerate(tables):
            weight = np.clip(1 - np.abs(node - number), 0, 1) if last else np.ones_like(u)
            near = _span(weight)  # a node tells of the columns about it alone
            share[:, near] += weight[near] * _read(table, place[:, near], k[:, near])
        return share * scale

    def moved(self, path: Series) -> Source:
        """Return the source on another path."""
        return replace(self, path=path)


def table_grid(reach: float) -> NDArray[np.float64]:
    """Return the offsets at which profiles are tabulated, symmetric about zero."""
    half = int(np.ceil(reach / STEP))
    return STEP * np.arange(-half, half + 1, dtype=float)


def _places(
    z: NDArray[np.float64], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return where finite `z` lie in steps from the beginning of the grid, and the step below.

    The step is -1 outside.
    """
    place = (z - grid[0]) / STEP
    k = np.floor(np.clip(place, -1, grid.size - 1)).astype(np.intp)
    k[k == grid.size - 1] = -1
    return place, k


def _read(
    table: NDArray[np.float64], place: NDArray[np.float64], k: NDArray[np.intp]
) -> NDArray[np.float64]:
    # One more of zeros at the end is what -1 finds.
    low = np.append(table[:-1], 0.0)
    slope = np.append(np.diff(table), 0.0)
    return np.asarray(low[k] + (place - k) * slope[k])


def _span(weight: NDArray[np.float64]) -> slice:
    """Return the columns from the first to the last that have weight."""
    there = np.flatnonzero(weight)
    return slice(int(there[0]), int(there[-1]) + 1) if there.size else slice(0)


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Pixels around a path, gathered into an array in which the path is nearly level."""

    rows: NDArray[np.intp]
    """Row of the frame of each pixel (may lie outside), shape (m, n)."""
    offset: NDArray[np.float64]
    """Rows from the path, shape (m, n)."""
    data: NDArray[np.float64]
    """Signal less the sky of the whole slit, shape (m, n)."""
    sky: NDArray[np.float64]
    """The sky of the whole slit, shape (m, n)."""
    variance: NDArray[np.float64]
    """Variance as stated by the frame, shape (m, n)."""
    good: NDArray[np.bool_]
    """Usable pixels, shape (m, n)."""


def columns_scaled(count: int) -> NDArray[np.float64]:
    """Return the columns of a frame scaled to -1 to 1, shape (count,)."""
    return np.linspace(-1, 1, count) if count > 1 else np.zeros(1)


def cut_strip(work: Working, path: NDArray[np.float64], offsets: NDArray[np.intp]) -> Strip:
    """Gather the pixels at whole-row offsets from the row nearest to a path.

    Parameters
    ----------
    work : Working
        The frame.
    path : ndarray of float64
        Row of the path in each column, shape (n,).
    offsets : ndarray of int
        Whole rows from the row nearest to the path, shape (m,).

    Returns
    -------
    Strip
        Of shape (m, n); pixels outside the frame are not good.
    """
    ny, nx = work.shape
    nearest = np.clip(np.rint(path), -(10**6), 10**6).astype(np.intp)
    rows = nearest + offsets[:, None]
    inside = (rows >= 0) & (rows < ny)
    flat = np.clip(rows, 0, ny - 1) * nx + np.arange(nx)
    sky = work.sky_image.ravel()[flat]
    good = work.good.ravel()[flat] & inside
    return Strip(
        rows=rows,
        offset=rows - path,
        data=np.where(good, work.data.ravel()[flat] - sky, 0.0).astype(float),
        sky=sky.astype(float),
        variance=work.variance.ravel()[flat].astype(float),
        good=good,
    )


def core_offsets(source: Source, rows: int) -> NDArray[np.intp]:
    """Return the whole-row offsets of the strip in which flux is measured.

    `rows` is the height of the frame, which no strip need exceed.
    """
    widest = float(source.fwhm(np.linspace(-1, 1, 9)).max())
    half = int(np.ceil(min(max(CORE * widest, 4.0), rows))) + 1
    return np.arange(-half, half + 1)
