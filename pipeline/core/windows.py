"""Pieces of spectrum in which a source is sought: the whole, halves, down to single blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

MAX_SLOPE = 0.02
"""Steepest trace sought, unbinned rows per unbinned column."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of blocks, stacked along a leaning line."""

    first: int
    """First block."""
    last: int
    """One past the last block."""
    slope: float
    """Rows of the blocks per column of the frame."""
    template: str
    """Assumed spectrum: ``flat``, ``sky`` (the sky's continuum) or ``line``."""
    whole: bool = False
    """Whether it is the whole spectrum."""

    @property
    def threshold(self) -> float:
        """Significance at which a peak counts: the more there are to try, the higher.

        A slit holds some 500 independent places for the whole spectrum, of which noise lifts one
        above 4.5 in 600 frames; with all pieces and slopes there are a hundred times as many.
        """
        if self.template == "line":
            return 6.5
        return 4.5 if self.whole and self.slope == 0 else 5.5


def pieces(count: int, columns: NDArray[np.float64], fwhm: float, steepest: float) -> list[Piece]:
    """Return the pieces to try for a frame of `count` blocks."""
    out = []
    step = columns[1] - columns[0] if count > 1 else 1.0
    size = count
    while size >= 4 or size == count:
        # Neighbouring slopes part by less than 1.5 FWHM at the ends of the piece.
        number = int(steepest * size * step / (3 * fwhm) + 0.5)
        slopes = np.linspace(-steepest, steepest, 2 * number + 1) if number else np.zeros(1)
        whole = size == count
        for first in [0] if whole else range(0, count - size + 1, max(size // 2, 1)):
            for slope in slopes:
                out.append(Piece(first, first + size, float(slope), "flat", whole))
                if whole:
                    out.append(Piece(first, first + size, float(slope), "sky", whole))
        size //= 2
    for size in (1, 2):
        out += [Piece(i, i + size, 0.0, "line") for i in range(count - size + 1)]
    return out


def stack(
    blocks: Blocks,
    chosen: list[Piece],
    shift: NDArray[np.float64] | None = None,
    *,
    photons: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return profiles and the inverse of their variance for pieces, both (pieces, rows).

    Parameters
    ----------
    blocks : Blocks
        The frame in blocks.
    chosen : list of Piece
        What to stack.
    shift : ndarray of float64, optional
        Rows by which each block's trace lies above its middle; blocks are moved back by it.
    photons : bool
        Whether the sources' own photon noise counts. Without it a bright source stands highest
        at its centre; with it, its wings seem better measured than its core.
    """
    stacker = _Stacker(blocks, shift, 3 if photons else 2)
    sums = np.empty((3 if photons else 2, len(chosen), blocks.signal.shape[1]))
    for key in {(piece.slope, piece.template) for piece in chosen}:
        same = [i for i, p in enumerate(chosen) if (p.slope, p.template) == key]
        sums[:, same] = stacker.pieces([chosen[i] for i in same])
    signal, weight, noise = sums if photons else (*sums, sums[1])
    used = (weight > 0) & (noise > 0)
    profile = np.where(used, signal / np.where(used, weight, 1), 0.0)
    inverse = np.where(used, weight**2 / np.where(used, noise, 1), 0.0) if photons else weight
    return profile, inverse


class _Stacker:
    """Sums over blocks by differences of running sums along one leaning line."""

    def __init__(self, blocks: Blocks, shift: NDArray[np.float64] | None, arrays: int) -> None:
        self.blocks, self.arrays = blocks, arrays
        self.middle = blocks.columns.mean()
        self.base = np.zeros(blocks.columns.size) if shift is None else shift

    def pieces(self, chosen: Sequence[Piece]) -> NDArray[np.float64]:
        """Return the sums of pieces of one slope and template, (arrays, pieces, rows)."""
        first, last = np.array([p.first for p in chosen]), np.array([p.last for p in chosen])
        slope, template = chosen[0].slope, chosen[0].template
        if len(chosen) == 1:
            sums = np.stack(
                [a[first[0] : last[0]].sum(axis=0)[None] for a in self.moved(slope, template)]
            )
        else:
            running = []
            for array in self.moved(slope, template):
                total = np.zeros((array.shape[0] + 1, array.shape[1]))
                np.cumsum(array, axis=0, out=total[1:])
                running.append(total[last] - total[first])
            sums = np.stack(running)
        columns = self.blocks.columns
        # A piece's profile refers to its own middle, wherever the line passes there.
        back = np.rint(slope * ((columns[first] + columns[last - 1]) / 2 - self.middle))
        if back.any():
            rows = np.arange(sums.shape[2])
            index = (rows - back.astype(int)[:, None]) % rows.size
            sums = np.take_along_axis(sums, index[None], axis=2)
        return np.asarray(sums)

    def moved(self, slope: float, template: str) -> list[NDArray[np.floating]]:
        """Return the blocks moved back onto a line, times the spectrum that is assumed."""
        blocks = self.blocks
        move = np.rint(self.base + slope * (blocks.columns - self.middle)).astype(int)
        signal = blocks.lines if template == "line" else blocks.signal
        arrays = [_shifted(a, move) for a in (signal, blocks.weight, blocks.noise)[: self.arrays]]
        if template != "sky":
            return list(arrays)
        spectrum = (blocks.sky / blocks.sky.mean()).astype(np.float32)[:, None]
        factors = (spectrum, spectrum**2, spectrum**2)
        return [a * f for a, f in zip(arrays, factors, strict=False)]


def _shifted(array: NDArray[np.float32], move: NDArray[np.int_]) -> NDArray[np.float32]:
    """Return rows of `array` moved down by whole pixels, with zeros where nothing comes in."""
    if not move.any():
        return array
    n = array.shape[1]
    out = np.zeros_like(array)
    for source, target, by in zip(array, out, np.clip(move, -n, n).tolist(), strict=True):
        if by >= 0:
            target[: n - by] = source[by:]
        else:
            target[-by:] = source[:by]
    return out
