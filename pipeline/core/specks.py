"""What a search for sources must not see: single hot pixels, and dust that darkens the slit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.detect import normalised, significance
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.sharpness import DIRECTIONS, least_ratios
from goodman_live.pipeline.core.windows import Piece, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

HOT = 5.0
"""Standard deviations from which a pixel is looked at."""
SHARPEST = 3.2
"""Least width of light on the detector, unbinned pixels: 0.5 arcsec, or the narrowest slit."""
SURE = 4.5
"""Standard deviations by which a pixel must exceed what its neighbours allow."""
SHAPE_ERROR = 0.05
"""Error of a pixel as a share of its light: pixels differ."""
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
    binning: tuple[int, int],
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
    binning : tuple of int
        Binning along the slit and along the dispersion.
    """
    cosmic = (flags & Flag.COSMIC.value) != 0
    hits = cosmic | sharp_pixels(rest, variance, good, cosmic, binning)
    y, x = np.nonzero(hits)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            row = np.clip(y + dy, 0, hits.shape[0] - 1)
            hits[row, np.clip(x + dx, 0, hits.shape[1] - 1)] = True
    return hits


def sharp_pixels(
    rest: NDArray[np.float32],
    variance: NDArray[np.float32],
    good: NDArray[np.bool_],
    cosmic: NDArray[np.bool_],
    binning: tuple[int, int],
) -> NDArray[np.bool_]:
    """Return pixels too sharp for the optics: what is left of cosmic rays, shape (ny, nx).

    Light is spread along the slit by the seeing and along the dispersion by the slit's width, so
    both neighbours of a pixel, in any direction, hold a known share of its light. Across the
    track of a cosmic ray they do not.

    Parameters
    ----------
    rest, variance, good
        As for `remains_of_hits`.
    cosmic : ndarray of bool
        Known hits: they count as dark, since they are the rest of the same track.
    binning : tuple of int
        Binning along the slit and along the dispersion.
    """
    ny, nx = rest.shape
    sharp = np.zeros(rest.shape, dtype=bool)
    hot = rest * np.abs(rest)
    hot /= np.float32(HOT**2)
    y, x = np.divmod(np.flatnonzero((hot > variance) & good), nx)
    if y.size == 0:
        return sharp
    peak, noise = rest[y, x].astype(float), variance[y, x].astype(float)
    ratios = least_ratios(SHARPEST / binning[0], SHARPEST / binning[1])
    for (dy, dx), ratio in zip(DIRECTIONS, ratios, strict=True):
        sides = []
        for sign in (-1, 1):
            at = np.clip(y + sign * dy, 0, ny - 1), np.clip(x + sign * dx, 0, nx - 1)
            inside = (at[0] == y + sign * dy) & (at[1] == x + sign * dx)
            sides.append((rest[at].astype(float), variance[at], inside & (good[at] | cosmic[at])))
        (low, low_noise, first), (high, high_noise, second) = sides
        # Beyond an edge, and in bad columns, the light would have gone on.
        low, high = np.where(first, low, high), np.where(second, high, low)
        error = noise + (low_noise + high_noise) / (4 * ratio**2) + (SHAPE_ERROR * peak) ** 2
        excess = peak - np.maximum(low + high, 0) / (2 * ratio)
        alone = (excess > 0) & (excess**2 > SURE**2 * error) & (first | second)
        sharp[y[alone], x[alone]] = True
    return sharp


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
            score = normalised(significance(profile, weight, width), width)
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
