"""The master flat: lamp frames brought to one brightness and combined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.combine import Layer, combine
from goodman_live.pipeline.core.outliers import thumbnail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.combine import Combined

BRIGHT = 90.0
"""Percentile of the blocks that stands for the brightness of the lamp."""
_LIT_SHARE = 0.2
"""Blocks with this share of the bright level take part in the scaling."""
LAMP_OFF = 0.03
"""Brightness, over that of the other frames, below which the lamp was off."""
FAINT = 0.3
"""Brightness, over that of the other frames, below which a frame only adds noise."""
LEAST_ADU = 30.0
"""Brightness below which no lamp was on, ADU above bias."""


@dataclass(frozen=True, slots=True, eq=False)
class Brightness:
    """How bright the lamp is in each frame of a set."""

    blocks: tuple[NDArray[np.float32], ...]
    """Block medians above bias of each frame, ADU, NaN where the set is dark or saturated."""
    level: NDArray[np.float64]
    """Bright level of each frame, ADU above bias, shape (n,)."""
    ratio: NDArray[np.float64]
    """Brightness of each frame over the median frame, shape (n,)."""


def measure_brightness(
    thumbs: Sequence[NDArray[np.float32]], ceiling: float, bias: NDArray[np.float32] | None
) -> Brightness:
    """Measure the brightness of lamp frames in blocks that are lit and not saturated.

    Parameters
    ----------
    thumbs : sequence of ndarray of float32, each shape (by, bx)
        What `thumbnail` makes of each frame less its level, ADU.
    ceiling : float
        Saturation level, ADU.
    bias : ndarray of float32, shape (ny, nx), optional
        Master bias.
    """
    if bias is not None:
        pedestal = thumbnail(Layer(bias, np.zeros(bias.shape[0], np.float32)))
        thumbs = [thumb - pedestal for thumb in thumbs]
    levels = np.array([np.percentile(thumb, BRIGHT) for thumb in thumbs])
    stack = np.stack(thumbs)
    middle = np.median(stack, axis=0)
    lit = middle > _LIT_SHARE * np.percentile(middle, BRIGHT)
    usable = lit & (stack.max(axis=0) < 0.9 * ceiling)
    if not usable.any():
        usable = lit
    ratio = np.array([np.median(thumb[usable] / middle[usable]) for thumb in stack])
    blocks = tuple(np.where(usable, thumb, np.nan).astype(np.float32) for thumb in stack)
    return Brightness(blocks, levels, ratio)


def judge_lamp(level: float, others: float) -> str:
    """Return what is wrong with the brightness of a frame, or an empty string.

    Parameters
    ----------
    level, others : float
        Bright level of the frame and the median of the set, ADU above bias.
    """
    if level < LEAST_ADU or level < LAMP_OFF * others:
        return f"the lamp is off, {level:.0f} ADU above bias where the others have {others:.0f}"
    if level < FAINT * others:
        return f"its lamp is faint, {level:.0f} ADU where the others have {others:.0f}"
    return ""


def combine_flats(
    layers: Sequence[Layer],
    ratio: NDArray[np.float64],
    *,
    bias: NDArray[np.float32] | None,
    gain: float,
    rdnoise_adu: float,
) -> Combined:
    """Combine lamp frames after scaling each to the median brightness.

    Parameters
    ----------
    layers : sequence of Layer
        Raw frames with the level of each row.
    ratio : ndarray of float64, shape (n,)
        Brightness of each frame over the median.
    bias : ndarray of float32, shape (ny, nx), optional
        Master bias.
    gain : float
        Electrons per ADU.
    rdnoise_adu : float
        Read noise, ADU.
    """
    scaled = [replace(layer, scale=1 / float(r)) for layer, r in zip(layers, ratio, strict=True)]
    return combine(scaled, rdnoise_adu=rdnoise_adu, gain=gain, bias=bias)
