"""What a search for sources must not see: single hot pixels, and dust that darkens the slit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.detect import normalised, significance
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.windows import Piece, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

HOT = 10.0
"""Standard deviations from which a pixel is looked at."""
LONELY = 0.12
"""Share of its own light that a pixel of a source leaves at least in a pixel beside it."""
DARK = 4.5
"""Significance of dust, standard deviations."""
RING = 0.02
"""Share of the brightest source's significance that its wings may feign."""
MOST_PLACES = 24
"""Places along the slit that are looked at."""


def remains_of_hits(
    rest: NDArray[np.float32],
    variance: NDArray[np.float32],
    good: NDArray[np.bool_],
    flags: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Return pixels in which a cosmic ray may have left light: too sharp ones, and neighbours.

    Parameters
    ----------
    rest, variance : ndarray of float32
        Signal less the sky, zero where not good, and its variance, shape (ny, nx).
    good : ndarray of bool
        Usable pixels, same shape.
    flags : ndarray of uint8
        Bits of `Flag`, same shape.
    """
    lonely = lonely_pixels(rest, variance, good)
    hits = lonely | ((flags & Flag.COSMIC.value) != 0)
    y, x = np.nonzero(hits)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            row = np.clip(y + dy, 0, hits.shape[0] - 1)
            hits[row, np.clip(x + dx, 0, hits.shape[1] - 1)] = True
    return hits


def lonely_pixels(
    rest: NDArray[np.float32], variance: NDArray[np.float32], good: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return pixels too sharp for the optics: what is left of cosmic rays, shape (ny, nx).

    Light of a source is spread along the slit by the seeing and, where it is a line, along the
    dispersion by the slit's width. A pixel with nothing on both sides of it, along either axis,
    is no such light. Pixels that are not good count as nothing: they are the rest of the hit.

    Parameters
    ----------
    rest, variance : ndarray of float32
        Signal less the sky, zero where not good, and its variance, shape (ny, nx).
    good : ndarray of bool
        Usable pixels, same shape.
    """
    ny, nx = rest.shape
    lonely = np.zeros(rest.shape, dtype=bool)
    hot = good & (rest > 0) & (rest * rest > np.float32(HOT**2) * variance)
    y, x = np.nonzero(hot)
    value, limit = rest[y, x], 1.5 * np.sqrt(variance[y, x]) + LONELY * rest[y, x]
    for _ in range(2):
        kept = np.where(lonely, np.float32(0), rest) if lonely.any() else rest
        alone = np.zeros(y.size, dtype=bool)
        for dy, dx in ((1, 0), (0, 1)):
            before = kept[np.maximum(y - dy, 0), np.maximum(x - dx, 0)]
            after = kept[np.minimum(y + dy, ny - 1), np.minimum(x + dx, nx - 1)]
            inside = (y >= dy) & (y < ny - dy) & (x >= dx) & (x < nx - dx)
            alone |= inside & (np.maximum(before, after) < limit)
        if not (alone & (value > 0)).any():
            break
        lonely[y[alone], x[alone]] = True
    return lonely


def without_dark_places(blocks: Blocks, widths: Sequence[float]) -> Blocks:
    """Return the blocks without the rows that dust or a slit end darkens.

    Beside a dark place the local background is too low, which feigns sources on both sides of
    it. The strongest features of either sign are set aside one after the other, so that the
    dark rings that a filter draws around a bright source do not count.

    Parameters
    ----------
    blocks : Blocks
        The frame in blocks.
    widths : sequence of float
        Widths of features to try, rows.
    """
    count = blocks.columns.size
    whole = [Piece(0, count, 0.0, name, whole=True) for name in ("flat", "sky")]
    profile, weight = stack(blocks, whole, photons=False)
    rows = np.arange(profile.shape[1])
    dark = np.zeros(rows.size, dtype=bool)
    brightest = 0.0
    for _ in range(MOST_PLACES):
        strongest, place, extent = DARK, -1, 0.0
        negative = False
        for width in widths:
            if width > rows.size / 4:
                continue
            score = normalised(significance(profile, weight, width))
            k = int(np.argmax(np.abs(score)))
            value = float(score.ravel()[k])
            if abs(value) > strongest:
                strongest, place, extent = abs(value), k % rows.size, width
                negative = value < 0
        if place < 0:
            break
        near = np.abs(rows - place) <= 1.2 * extent + 1
        weight = np.where(near, 0.0, weight)
        if not negative:
            brightest = max(brightest, strongest)
        elif strongest > RING * brightest:
            dark |= near
    if not dark.any():
        return blocks
    keep = (~dark).astype(np.float32)
    return replace(
        blocks,
        signal=blocks.signal * keep,
        weight=blocks.weight * keep,
        noise=blocks.noise * keep,
        lines=blocks.lines * keep,
    )
