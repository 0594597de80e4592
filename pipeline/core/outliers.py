"""Which frames of a set do not belong to it: by their level, and by their structure.

Each frame is shrunk to medians of blocks, in which noise is a fraction of a count and a light
leak, a burst of pattern noise or a half-read frame stands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

from goodman_live.pipeline.core.combine import MAD_TO_SIGMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.combine import Layer

BLOCK = 32
"""Side of a block, pixels; every other pixel of it is looked at."""
LIMIT = 5.0
"""Robust standard deviations beyond which a frame is rejected."""
LEVEL_FLOOR_ADU = 3.0
"""Levels that agree better than this are not told apart: the controller drifts by as much."""
STRUCTURE_FLOOR_ADU = 0.3
"""Structure that is never held against a bias frame, ADU."""
SHAPE_FLOOR = 0.01
"""Structure that is never held against a flat, relative: lamps change colour as they warm."""
LOCAL_SHARE = 0.01
"""Share of blocks that may depart alone (cosmic rays) before the frame does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with one frame of a set."""

    index: int
    """Its place in the set."""
    reason: str
    """What departs, by how much, in a clause."""


def thumbnail(layer: Layer) -> NDArray[np.float32]:
    """Return medians of blocks of a frame less its offsets, ADU, shape (by, bx)."""
    data = layer.data[:]
    ny, nx = data.shape
    side_y, side_x = min(BLOCK, ny), min(BLOCK, nx)
    down, across = ny // side_y, nx // side_x
    step_y, step_x = 1 + (side_y > 4), 1 + (side_x > 4)
    part = data[: down * side_y, : across * side_x][::step_y, ::step_x].astype(np.float32)
    part -= layer.offset[: down * side_y : step_y, None]
    blocks = part.reshape(down, part.shape[0] // down, across, part.shape[1] // across)
    flat = np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(down, across, -1)
    return np.asarray(bn.median(flat, axis=2), np.float32)


def judge_levels(levels: NDArray[np.float64], floor: float = LEVEL_FLOOR_ADU) -> list[Verdict]:
    """Return the frames whose level departs from the others' by more than 5 sigma.

    Parameters
    ----------
    levels : ndarray of float64, shape (n,)
        Level of each frame, ADU.
    floor : float
        Least standard deviation that is believed, ADU.
    """
    if len(levels) < 3:
        return []
    middle = float(np.median(levels))
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(levels - middle))), floor)
    return [
        Verdict(i, f"its level of {level:.1f} ADU is {abs(level - middle) / sigma:.0f} sigma "
                   f"from the {middle:.1f} ADU of the others")
        for i, level in enumerate(levels)
        if abs(level - middle) > LIMIT * sigma
    ]  # fmt: skip


def judge_structure(
    thumbnails: Sequence[NDArray[np.float32]], floor: float, unit: str = "ADU"
) -> list[Verdict]:
    """Return the frames whose blocks depart from the others'.

    Parameters
    ----------
    thumbnails : sequence of ndarray of float32, each shape (by, bx)
        Frames made comparable; NaN blocks are left out.
    floor : float
        Departure that is never held against a frame, in the unit of the thumbnails.
    unit : str
        Unit for the message.
    """
    if len(thumbnails) < 3:
        return []
    stack = np.stack([thumb.ravel() for thumb in thumbnails]).astype(np.float64)
    stack = stack[:, np.isfinite(stack).all(axis=0)]
    if stack.shape[1] == 0:
        return []
    off = stack - np.median(stack, axis=0)
    usual = max(MAD_TO_SIGMA * float(np.median(np.abs(off))), floor / LIMIT)
    wild = (np.abs(off) > 2 * LIMIT * usual).mean(axis=1)
    spread = np.sqrt(np.mean(off**2, axis=1))
    verdicts = []
    for i, (share, rms) in enumerate(zip(wild, spread, strict=True)):
        if share > LOCAL_SHARE and rms > floor:
            verdicts.append(
                Verdict(
                    i,
                    f"its structure departs from the others' by {rms:.3g} {unit} rms, "
                    f"{100 * share:.0f} per cent of its area by more than {LIMIT:.0f} sigma",
                )
            )
    return verdicts


def keep_majority(number: int, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts, or none where they would condemn half of the set or more."""
    condemned = {verdict.index for verdict in verdicts}
    return list(verdicts) if len(condemned) < number / 2 else []
