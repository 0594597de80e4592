"""The master bias: the pattern that stays after each frame's own level is taken off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.badpix import bad_in_bias
from goodman_live.pipeline.core.combine import combine
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.pattern import settle_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.combine import Layer


@dataclass(frozen=True, slots=True, eq=False)
class MasterBias:
    """Bias structure with its noise."""

    data: NDArray[np.float32]
    """ADU above the overscan; with the level itself where the window has no overscan."""
    uncertainty: NDArray[np.float32]
    flags: NDArray[np.uint8]
    rdnoise_adu: float
    """Read noise of one frame, measured between the frames, ADU."""


def level_frames(layers: Sequence[Layer], levels: Sequence[float]) -> list[Layer]:
    """Bring frames without overscan to one level: the median of theirs, which stays in them."""
    common = float(np.median(levels))
    return [
        replace(layer, offset=layer.offset + np.float32(level - common))
        for layer, level in zip(layers, levels, strict=True)
    ]


def make_master_bias(
    layers: Sequence[Layer], level_errors: Sequence[NDArray[np.float32]], *, rdnoise_adu: float
) -> MasterBias:
    """Combine bias frames.

    Parameters
    ----------
    layers : sequence of Layer
        Raw frames with the level of each row.
    level_errors : sequence of ndarray of float32, each shape (ny,)
        Uncertainty of those levels, ADU.
    rdnoise_adu : float
        Read noise, ADU.

    Returns
    -------
    MasterBias
        Pixels that scatter much more than read noise explains carry `Flag.BAD`.
    """
    combined = combine(layers, rdnoise_adu=rdnoise_adu)
    range_adu = min(layer.ceiling for layer in layers)
    held = np.median(combined.data, axis=1).astype(np.float32)
    bad = bad_in_bias(combined, held, range_adu)
    flags = np.where(bad, np.uint8(Flag.BAD), np.uint8(0))
    empty = ~np.isfinite(combined.data)
    flags[empty] |= np.uint8(Flag.NO_DATA)
    data = np.where(empty, held[:, None], combined.data)
    rows = np.sqrt(np.mean(np.square(level_errors), axis=0) / len(layers)).astype(np.float32)
    usual = np.where(empty, np.float32(rdnoise_adu), combined.uncertainty)
    between = float(np.median(combined.uncertainty[~empty])) if not empty.all() else rdnoise_adu
    data, usual = settle_pattern(data, usual)
    return MasterBias(
        data, np.hypot(usual, rows[:, None]), flags, between * float(np.sqrt(len(layers)))
    )
