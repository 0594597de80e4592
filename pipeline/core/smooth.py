"""A smooth model of a frame that single pixels cannot bend: sky, lines and traces.

Medians of blocks, joined linearly, are within a fraction of a per cent of a running median for
what is smooth on the scale of a block, at a fiftieth of its cost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np
from scipy.ndimage import distance_transform_edt

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 25
"""Rows or columns in a block, binned pixels."""


def block_medians(
    image: NDArray[np.float32], block: int, *, empty: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return medians over blocks of whole rows, column by column.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Values; NaN is ignored.
    block : int
        About how many rows make a block; all blocks differ by at most one row.
    empty : float
        What stands where a block has no value.

    Returns
    -------
    centre : ndarray of float64, shape (n,)
        Row of the middle of each block.
    median : ndarray of float32, shape (n, nx)
        Medians.
    """
    ny = image.shape[0]
    edges = np.linspace(0, ny, max(round(ny / block), 1) + 1).astype(int)
    median = np.stack(
        [bn.nanmedian(np.ascontiguousarray(image[a:b].T), axis=1) for a, b in pairwise(edges)]
    )
    return (edges[:-1] + edges[1:] - 1) / 2, np.nan_to_num(median, nan=empty).astype(np.float32)


def _filled(nodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return nodes with those that have no value taken from the nearest that have one."""
    lost = ~np.isfinite(nodes)
    if not lost.any() or lost.all():
        return np.nan_to_num(nodes)
    nearest = distance_transform_edt(lost, return_distances=False, return_indices=True)
    return nodes[tuple(nearest)]


def join(
    centre: NDArray[np.float64], nodes: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """Interpolate rows of `nodes` at `centre` linearly to `size` rows, flat beyond the ends."""
    rows = np.arange(size)
    right = np.clip(np.searchsorted(centre, rows, side="right"), 1, max(len(centre) - 1, 1))
    if len(centre) == 1:
        return np.repeat(nodes, size, axis=0)
    place = np.clip((rows - centre[right - 1]) / (centre[right] - centre[right - 1]), 0, 1)
    share = place.astype(np.float32)[:, None]
    out = nodes[right] - nodes[right - 1]
    out *= share
    out += nodes[right - 1]
    return out


def along_rows(image: NDArray[np.float32], block: int = BLOCK) -> NDArray[np.float32]:
    """Return what is smooth from row to row in each column: sky and its lines, (ny, nx)."""
    return join(*block_medians(image, block), image.shape[0])


def along_columns(image: NDArray[np.float32], block: int = BLOCK) -> NDArray[np.float32]:
    """Return what is smooth from column to column in each row: traces, (ny, nx)."""
    return along_rows(image.T, block).T


def spectrum_model(data: NDArray[np.float32], xbin: int = 2, ybin: int = 2) -> NDArray[np.float32]:
    """Return sky, sky lines and traces of a long-slit frame, without what is small, (ny, nx).

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Dispersion along x; NaN is ignored.
    xbin, ybin : int
        Binning: a muon's track along a row or column must stay shorter than half a block.
    """
    sky = along_rows(data, max(2 * BLOCK // ybin, BLOCK))
    return sky + along_columns(data - sky, max(2 * BLOCK // xbin, BLOCK))


def image_model(data: NDArray[np.float32], block: int = 12) -> NDArray[np.float32]:
    """Return the smooth background of a direct image, shape (ny, nx).

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Counts; NaN is ignored.
    block : int
        Side of the square whose median is taken, pixels.
    """
    row_centre, rows = block_medians(data, block, empty=np.nan)
    column_centre, nodes = block_medians(np.ascontiguousarray(rows.T), block, empty=np.nan)
    nodes = _filled(nodes)
    wide = join(column_centre, nodes, data.shape[1])
    return join(row_centre, np.ascontiguousarray(wide.T), data.shape[0])
