"""Cosmic rays by their sharp edges: L.A.Cosmic against a model of sky and traces.

The Laplacian of van Dokkum finds the core of each hit but not its faint flanks, which the core
suppresses. So it runs once, with a limit that noise does not reach, and each core then grows into
what its neighbours stand above the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import astroscrappy
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import binary_dilation

from goodman_live.pipeline.core.patches import surroundings

if TYPE_CHECKING:
    from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

SIGCLIP = 5.2
"""Laplacian over noise of a core; Gaussian noise alone passes it a few times per frame."""
OBJLIM = 9.0
"""Laplacian over fine structure below which a feature is light through the optics.

Narrow lines at 3x3 pass the customary 5; no simulated hit is lost at 12.
"""
GROW_SIGMA = 3.0
"""A neighbour of a hit joins it above this many standard deviations."""
_CANDIDATE_SIGMA = 4.0
"""A pixel less than this above the model is no core."""
_TILE = 32
"""Side of a tile, pixels."""
_MARGIN = 6
"""What the widest filters reach beyond a tile, pixels."""
_SIDE = _TILE + 2 * _MARGIN
_STEPS = 8
"""Most steps that a hit may grow, pixels."""


def find_lacosmic(
    data: NDArray[np.float32],
    model: NDArray[np.float32],
    variance: NDArray[np.float32],
    *,
    quiet: NDArray[np.float32] | None = None,
    ignore: NDArray[np.bool_] | None = None,
    sigclip: float = SIGCLIP,
    objlim: float = OBJLIM,
) -> NDArray[np.bool_]:
    """Find the pixels that cosmic rays hit.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Counts above bias.
    model : ndarray of float32, shape (ny, nx)
        Sky, sky lines and traces, free of cosmic rays, in the unit of `data`.
    variance : ndarray of float32, shape (ny, nx)
        Noise squared of each pixel.
    quiet : ndarray of float32, shape (ny, nx), optional
        Noise squared of each pixel without the photons of the hits; `variance` by default.
    ignore : ndarray of bool, shape (ny, nx), optional
        Pixels that are never hits: saturated, bad, without data.
    sigclip, objlim : float
        Limits of the algorithm.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True where a cosmic ray was found.

    References
    ----------
    van Dokkum 2001, PASP 113, 1420; astroscrappy, McCully et al.
    """
    usable = np.isfinite(data) if ignore is None else ~ignore & np.isfinite(data)
    clean = np.where(usable, data, model)
    residual = clean - model
    quiet = variance if quiet is None else quiet
    bright = residual > _CANDIDATE_SIGMA * np.sqrt(quiet)
    tiles = _Tiles.over(bright)
    if tiles is None:
        return np.zeros(data.shape, bool)
    cores, _ = astroscrappy.detect_cosmics(
        tiles.gather(clean),
        inmask=tiles.gather(~usable),
        inbkg=tiles.gather(model),
        invar=tiles.gather(variance),
        sigclip=sigclip,
        sigfrac=1.0,  # growing is done below, against the model
        objlim=objlim,
        satlevel=np.inf,  # saturated pixels are in `ignore` already
        niter=1,
        sepmed=True,
        cleantype="median",
    )
    # next to a dark column the Laplacian is high where the light is not
    found = tiles.scatter(cores) & bright & usable
    return grow(found, residual, quiet, usable)


@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    """The squares of a frame that hold something bright, put one below the other.

    Most of a frame cannot hold a hit, and the filters are the cost of the block: a 900 s frame
    at 1x1 needs a seventh of its pixels looked at.
    """

    shape: tuple[int, int]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @classmethod
    def over(cls, bright: NDArray[np.bool_]) -> _Tiles | None:
        """Return the tiles in which any pixel is `bright`, or None."""
        ny, nx = bright.shape
        y, x = np.nonzero(bright)
        across = -(-nx // _TILE)
        rows, columns = np.divmod(np.unique(y // _TILE * across + x // _TILE), across)
        return cls((ny, nx), rows, columns) if rows.size else None

    def gather(self, image: NDArray[_T]) -> NDArray[_T]:
        """Return the tiles with their margins, mirrored at the edges of the frame."""
        ny, nx = self.shape
        pad = ((_MARGIN, _MARGIN + -ny % _TILE), (_MARGIN, _MARGIN + -nx % _TILE))
        padded = np.pad(image, pad, mode="symmetric")
        windows = sliding_window_view(padded, (_SIDE, _SIDE))
        return np.ascontiguousarray(
            windows[self.rows * _TILE, self.columns * _TILE].reshape(-1, _SIDE)
        )

    def scatter(self, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Put the inner parts of tiles back into a frame."""
        inner = found.reshape(-1, _SIDE, _SIDE)[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        ny, nx = self.shape
        down, across = -(-ny // _TILE), -(-nx // _TILE)
        frame = np.zeros((down, _TILE, across, _TILE), bool)
        frame[self.rows, :, self.columns, :] = inner
        return frame.reshape(down * _TILE, across * _TILE)[:ny, :nx]


def grow(
    mask: NDArray[np.bool_],
    residual: NDArray[np.float32],
    variance: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    threshold: float = GROW_SIGMA,
    steps: int = _STEPS,
) -> NDArray[np.bool_]:
    """Let hits grow into neighbours that stand above their surroundings.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
        Cores of hits.
    residual : ndarray of float32, shape (ny, nx)
        Data less model.
    variance : ndarray of float32, shape (ny, nx)
        Noise squared.
    usable : ndarray of bool, shape (ny, nx)
        Pixels that may join.
    threshold : float
        Standard deviations, in which the unevenness of the surroundings counts as noise.
    steps : int
        Most pixels that a hit grows in any direction.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Grown hits.
    """
    mask = mask.copy()
    front = mask
    touch = np.ones((3, 3), bool)
    for _ in range(steps):
        ring = _touching(front, touch) & ~mask & usable
        pixels = np.nonzero(ring)
        if pixels[0].size == 0:
            break
        around = surroundings(residual, mask | ring, pixels)
        noise2 = variance[pixels]
        excess2 = np.maximum(around.scatter**2 - 2 * noise2, 0)
        joins = residual[pixels] - around.level > threshold * np.sqrt(noise2 + excess2)
        front = np.zeros_like(mask)
        front[pixels[0][joins], pixels[1][joins]] = True
        mask |= front
    return mask


def _touching(front: NDArray[np.bool_], touch: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilate by one pixel; few pixels are dilated by hand, at a tenth of the cost."""
    rows, columns = np.nonzero(front)
    if rows.size > front.size // 50:
        return np.asarray(binary_dilation(front, touch))
    out = np.zeros_like(front)
    ny, nx = front.shape
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            out[np.clip(rows + dy, 0, ny - 1), np.clip(columns + dx, 0, nx - 1)] = True
    return out
