"""Follow a source along the spectrum, from where it stands highest outwards."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.detect import normalised, significance
from goodman_live.pipeline.core.score import Peak, summit
from goodman_live.pipeline.core.series import Series, fit_series
from goodman_live.pipeline.core.windows import Piece, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

SHARP = 0.6
"""Significance at the width of a star over that at a larger one, from which there is a star."""
EQUAL = 0.6
"""Share of the highest summit from which another is followed if it is nearer."""


def scaled(blocks: Blocks, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of the frame scaled to -1 to 1 over the blocks."""
    middle = (blocks.columns[0] + blocks.columns[-1]) / 2
    half = max((blocks.columns[-1] - blocks.columns[0]) / 2, 1.0)
    return np.asarray((columns - middle) / half)


def straight() -> Series:
    """Return the path of a source that nothing is known of: its row at every column."""
    return Series(np.zeros(1), np.zeros(0, dtype=bool), 0.0)


def follow(blocks: Blocks, peak: Peak, seeing: float) -> Series:
    """Return the path of a source, followed outwards from where it is strongest.

    Blocks are joined until each piece shows the source well; a source too faint for three
    pieces keeps the leaning line it was found on.
    """
    count, size = blocks.columns.size, peak.piece.last - peak.piece.first
    share = count / size
    number = int(np.clip((peak.score / 7) ** 2 * share, 1, min(count, 64)))
    piece_middle = blocks.columns[peak.piece.first : peak.piece.last].mean()
    if number < 4:
        columns = blocks.columns[[0, -1]] if count > 1 else blocks.columns[[0]]
        rows = peak.row + peak.piece.slope * (columns - piece_middle)
        return fit_series(
            scaled(blocks, columns), rows, np.ones(columns.size), most=1, lowest=min(count - 1, 1)
        )
    edges = np.linspace(0, count, number + 1).astype(int)
    joined = [Piece(a, b, 0.0, "flat") for a, b in itertools.pairwise(edges)]
    profile, weight = stack(blocks, joined, photons=False)
    width = max(peak.fwhm, seeing)
    score = normalised(significance(profile, weight, width), width)
    middles = np.array([blocks.columns[a:b].mean() for a, b in itertools.pairwise(edges)])
    if width > 1.5 * seeing:
        # Two stars close together look wide: one of them is followed, not their middle.
        sharp = normalised(significance(profile, weight, seeing), seeing)
        here = int(np.argmin(np.abs(middles - piece_middle)))
        near = slice(max(round(peak.row - width), 0), round(peak.row + width) + 1)
        if sharp[here, near].max() > SHARP * score[here, near].max():
            score, width = sharp, seeing
            row = summit(sharp[here], near.start + int(np.argmax(sharp[here, near])))
            peak = replace(peak, row=row, fwhm=seeing)
    x, y, s = _walk(score, middles, peak, piece_middle, width)
    if len(x) < 4:
        x, y, s = [blocks.columns[0], blocks.columns[-1]], [peak.row] * 2, [1.0, 1.0]
        y = [peak.row + peak.piece.slope * (c - piece_middle) for c in x]
        return fit_series(scaled(blocks, np.array(x)), np.array(y), np.ones(2), most=1, lowest=1)
    sigma = np.hypot(width / np.array(s), 0.1)
    return fit_series(scaled(blocks, np.array(x)), np.array(y), sigma, most=4)


def _walk(
    score: NDArray[np.float64],
    middles: NDArray[np.float64],
    peak: Peak,
    start: float,
    width: float,
) -> tuple[list[float], list[float], list[float]]:
    """Walk both ways from `start`, looking near where the last points lead."""
    first = int(np.argmin(np.abs(middles - start)))
    points: list[tuple[float, float, float]] = []
    for way in (range(first, middles.size), range(first - 1, -1, -1)):
        seen = list(points[:6]) if way.step < 0 else []
        for i in way:
            guess, slack = _guess(seen, middles[i], peak, start, width)
            low = max(int(np.floor(guess - slack)), 0)
            near = score[i, low : max(int(np.ceil(guess + slack)) + 1, low)]
            if near.size < 3 or near.max() < 3.5:
                continue
            k = low + _nearest_summit(near, guess - low)
            point = (float(middles[i]), summit(score[i], k), float(score[i, k]))
            seen.append(point)
            points.append(point)
    return [p[0] for p in points], [p[1] for p in points], [p[2] for p in points]


def _nearest_summit(score: NDArray[np.float64], guess: float) -> int:
    """Return the summit nearest to a guess: of two equal stars one is followed, not either."""
    inside = score[1:-1]
    high = (inside >= score[:-2]) & (inside >= score[2:]) & (inside > EQUAL * score.max())
    summits = np.flatnonzero(high) + 1
    if summits.size == 0:
        return int(np.argmax(score))
    return int(summits[np.argmin(np.abs(summits - guess))])


def _guess(
    seen: Sequence[tuple[float, float, float]],
    column: float,
    peak: Peak,
    start: float,
    width: float,
) -> tuple[float, float]:
    """Return where to look next, and how far around."""
    if len(seen) < 4:
        base = seen[-1][:2] if seen else (start, peak.row)
        return base[1] + peak.piece.slope * (column - base[0]), width
    last = sorted(seen, key=lambda p: abs(p[0] - column))[:8]
    x, y = np.array([p[0] for p in last]), np.array([p[1] for p in last])
    slope, level = np.polyfit(x - x.mean(), y, 1)
    # A gap since the last point leaves more room to have moved.
    gap = abs(column - last[0][0]) / max(np.ptp(x), 1.0)
    return float(level + slope * (column - x.mean())), width * (0.7 + 0.5 * min(gap, 2.0))
