"""How high the light of a slit stands above its threshold, at every row, width and piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.detect import normalised, scatter_of, significance
from goodman_live.pipeline.core.windows import Piece, stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

SEEING_ROWS = 6.0
"""Width of a point source before any is seen: 0.9 arcsec in unbinned rows."""
WIDTHS = (1.0, 2.2, 5.0)
"""Widths sought, relative to the point source: defocused and extended sources are wider."""
WIDE = 3.0
"""Times the width of a point source beyond which light is sought in the whole spectrum alone."""
CAUTION = ((1.5, 1.5), (WIDE, 1.8))
"""Times the width of a point source, and the factor on the threshold of what is wider: dust and
uneven light count more than photons there."""
END_CAUTION, END_WIDTHS = 1.8, 3.0
"""The same factor at the ends of the slit, where there is sky on one side alone, and how many
widths that reaches."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A place where a source may be; rows of the blocks."""

    piece: Piece
    """Where along the spectrum it shows."""
    row: float
    """Row, in the middle of the piece."""
    score: float
    """Significance."""
    fwhm: float
    """Width at which it stands highest, rows."""


def scores(
    blocks: Blocks,
    raw: Blocks,
    chosen: list[Piece],
    seeing: float,
    shift: NDArray[np.float64] | None = None,
    *,
    photons: bool = False,
) -> list[tuple[float, list[Piece], NDArray[np.float64]]]:
    """Return (width, pieces, significances) for continuum at all widths, lines at one.

    `raw` are the blocks with their slow changes along the slit, by which wide sources are judged.
    """
    continuum = [p for p in chosen if p.template != "line"]
    lines = [p for p in chosen if p.template == "line"]
    out = []
    profile, weight = stack(blocks, continuum, shift, photons=photons)
    whole = [Piece(0, blocks.columns.size, 0.0, t, whole=True) for t in ("flat", "sky")]
    uneven = stack(raw, whole, shift, photons=photons)
    for factor in WIDTHS:
        width = seeing * factor
        if width > profile.shape[1] / 4:
            continue
        # What is wide is steady: only stars show in parts of the spectrum alone.
        some = [i for i, p in enumerate(continuum) if p.whole or factor < WIDE]
        if some:
            score = significance(profile[some], weight[some], width)
            # What all columns share counts less in fewer of them.
            share = np.array([continuum[i].last - continuum[i].first for i in some])
            excess = wander(*uneven, width) ** 2 - 1
            score = normalised(score, width, np.sqrt(1 + excess * share / blocks.columns.size))
            out.append((width, [continuum[i] for i in some], score))
    if lines:
        profile, weight = stack(blocks, lines, shift, photons=photons)
        out.append((seeing, lines, normalised(significance(profile, weight, seeing), seeing)))
    return out


def wander(profile: NDArray[np.float64], weight: NDArray[np.float64], width: float) -> float:
    """Return the scatter of significances at a width where slow changes have not been taken out.

    Zero levels wander along the slit as wide sources do, up as often as down; what follows them
    takes their crests for sources and leaves these standing.
    """
    return max(1.0, float(scatter_of(significance(profile, weight, width), width).max()))


def caution(usable: NDArray[np.bool_], width: float, seeing: float) -> NDArray[np.float64]:
    """Return the factor on the threshold of sources of a width at every row."""
    factor = max([1.0, *(f for times, f in CAUTION if width > times * seeing)])
    out = np.full(usable.size, factor)
    lit = np.flatnonzero(usable)
    if lit.size:
        near = int(np.ceil(END_WIDTHS * width))
        out[: lit[0] + near] = np.maximum(out[: lit[0] + near], END_CAUTION)
        out[max(lit[-1] + 1 - near, 0) :] = np.maximum(
            out[max(lit[-1] + 1 - near, 0) :], END_CAUTION
        )
    return out


def summit(score: NDArray[np.float64], k: int) -> float:
    """Return the sub-pixel place of a maximum by a parabola."""
    if not 0 < k < score.size - 1:
        return float(k)
    left, top, right = score[k - 1 : k + 2]
    bend = left - 2 * top + right
    return float(k + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else float(k)
