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
_GAP = 4
"""Widest run of columns without a value, such as bad ones, beside which hits are looked for."""
_TILES = (8, 16, 32)
"""Sides of tiles, pixels: small ones leave out more, large ones lose less in their margins."""
_MARGIN = 6
"""What the widest filters reach beyond a tile, pixels."""
_BATCH_PIXELS = 2**19
"""Pixels of tiles, margins included, that are looked at together: bounds the memory."""
STEPS = 8
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
    steps: int = STEPS,
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
    steps : int
        Most pixels that a core grows; 0 for the cores alone.

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
    # hits beside masked pixels are not looked for, so narrow gaps are bridged and not masked
    masked = ~usable
    y, x = np.nonzero(_touching(bright & usable, np.ones((3, 3), bool)) & masked)
    across, narrow = _across(model, usable, (y, x))
    clean[y[narrow], x[narrow]] = across[narrow]
    masked[y[narrow], x[narrow]] = False
    cores = np.zeros(data.shape, bool)
    for tiles in _Tiles.over(bright):
        # what may overflow is its cleaned picture, which is not used
        with np.errstate(invalid="ignore", over="ignore"):
            found, _ = astroscrappy.detect_cosmics(
                tiles.gather(clean),
                inmask=tiles.gather(masked),
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
        tiles.scatter(found, cores)
    # next to a dark column the Laplacian is high where the light is not
    cores &= bright & usable
    return grow(cores, residual, quiet, usable, steps=steps)


def _across(
    model: NDArray[np.float32], usable: NDArray[np.bool_], pixels: tuple[NDArray[np.intp], ...]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the mean of the model on both sides of gaps in their rows, and which are narrow."""
    y, x = pixels
    total, steps = np.zeros(y.size, np.float32), np.zeros(y.size, np.intp)
    for side in (-1, 1):
        open_ = np.ones(y.size, bool)
        for step in range(1, _GAP + 1):
            at = x + side * step
            inside = (at >= 0) & (at < model.shape[1])
            at = np.clip(at, 0, model.shape[1] - 1)
            here = open_ & inside & usable[y, at]
            total[here] += model[y[here], at[here]] / 2
            steps[here] += step
            open_ &= ~here
        steps[open_] += 2 * _GAP
    return total, steps <= _GAP + 1


@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    """Squares of a frame that hold something bright, put one below the other.

    Most of a frame cannot hold a hit, and the filters are the cost of the block: a 900 s frame
    at 2x2 needs a third of its pixels looked at, margins included.
    """

    shape: tuple[int, int]
    tile: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @classmethod
    def over(cls, bright: NDArray[np.bool_]) -> list[_Tiles]:
        """Return the tiles in which any pixel is `bright`, in batches."""
        y, x = np.nonzero(bright)
        if y.size == 0:
            return []
        across = bright.shape[1]  # at least the number of tiles in a row
        places = [np.unique(y // tile * across + x // tile) for tile in _TILES]
        areas = [
            place.size * (tile + 2 * _MARGIN) ** 2
            for place, tile in zip(places, _TILES, strict=True)
        ]
        best = int(np.argmin(areas))
        number = -(-areas[best] // _BATCH_PIXELS)
        return [
            cls(bright.shape, _TILES[best], *np.divmod(part, across))
            for part in np.array_split(places[best], number)
        ]

    @property
    def side(self) -> int:
        """Side of a tile with its margins, pixels."""
        return self.tile + 2 * _MARGIN

    def gather(self, image: NDArray[_T]) -> NDArray[_T]:
        """Return the tiles with their margins, mirrored at the edges of the frame."""
        steps = np.arange(-_MARGIN, self.tile + _MARGIN)
        y, x = (
            _mirrored(first[:, None] * self.tile + steps, size)
            for first, size in zip((self.rows, self.columns), self.shape, strict=True)
        )
        return np.ascontiguousarray(image[y[:, :, None], x[:, None, :]].reshape(-1, self.side))

    def scatter(self, found: NDArray[np.bool_], frame: NDArray[np.bool_]) -> None:
        """Put what was found in the inner parts of the tiles into a frame."""
        solid = found.reshape(-1, self.side, self.side)
        which, y, x = np.nonzero(solid[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
        y, x = y + self.rows[which] * self.tile, x + self.columns[which] * self.tile
        inside = (y < self.shape[0]) & (x < self.shape[1])
        frame[y[inside], x[inside]] = True


def _mirrored(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Return indices with those outside 0 to `size` - 1 mirrored at the ends."""
    index = np.where(index < 0, -1 - index, index)
    index = np.where(index >= size, 2 * size - 1 - index, index)
    return np.clip(index, 0, size - 1)


def grow(
    mask: NDArray[np.bool_],
    residual: NDArray[np.float32],
    variance: NDArray[np.float32],
    usable: NDArray[np.bool_],
    *,
    threshold: float = GROW_SIGMA,
    steps: int = STEPS,
    falling: bool = False,
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
    falling : bool
        Whether a hit grows only outwards and down, so that it leaves a star beside it alone.

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
        excess2 = np.maximum(around.typical**2 - 2 * noise2, 0)
        joins = residual[pixels] - around.level > threshold * np.sqrt(noise2 + excess2)
        if falling:
            joins &= residual[pixels] <= _highest_beside(residual, front, pixels)
        front = np.zeros_like(mask)
        front[pixels[0][joins], pixels[1][joins]] = True
        mask |= front
    return mask


def _highest_beside(
    residual: NDArray[np.float32],
    front: NDArray[np.bool_],
    pixels: tuple[NDArray[np.intp], ...],
) -> NDArray[np.float32]:
    """Return the highest value among the neighbours of some pixels that are in `front`, (n,)."""
    highest = np.full(pixels[0].size, -np.inf, np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y = np.clip(pixels[0] + dy, 0, front.shape[0] - 1)
            x = np.clip(pixels[1] + dx, 0, front.shape[1] - 1)
            highest = np.maximum(highest, np.where(front[y, x], residual[y, x], -np.inf))
    return highest


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
