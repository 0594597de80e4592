"""The arithmetic of one frame: level, bias, flat, and the uncertainty that follows each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.combine import Layer
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.noise import expected_counts, pixel_variance
from goodman_live.pipeline.core.outliers import thumbnail

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DARKEST = 1.0
"""Percentile of the blocks that stands for the zero level where nothing else tells it."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The zero level of a frame, row by row."""

    rows: NDArray[np.float32]
    """ADU, shape (ny,)."""
    uncertainty: NDArray[np.float32]
    """One standard deviation, ADU, shape (ny,)."""
    noise_adu: float
    """Read noise of a pixel, quantisation included, ADU."""


@dataclass(frozen=True, slots=True)
class Darkest:
    """What the darkest part of a frame says where there is neither overscan nor bias, ADU."""

    level: float
    uncertainty: float
    """Spread of the darkest tenth."""
    noise: float
    """Standard deviation of a pixel there: it holds what light the level holds."""


def darkest_part(data: NDArray[np.float32]) -> Darkest:
    """Estimate level and noise from the darkest part of a frame.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Raw counts.
    """
    blocks = thumbnail(Layer(data, np.zeros(len(data), np.float32)))
    level, upper = np.percentile(blocks, [_DARKEST, 10.0])
    side = (data.shape[0] // blocks.shape[0], data.shape[1] // blocks.shape[1])
    off = np.concatenate(
        [
            np.diff(data[y * side[0] : (y + 1) * side[0], x * side[1] : (x + 1) * side[1]]).ravel()
            for y, x in np.argwhere(blocks <= upper)
        ]
    )
    wide = 4 * max(1.4826 * float(np.median(np.abs(off))), 1.0) if off.size else 0.0
    kept = off[np.abs(off) <= wide]
    noise = float(np.sqrt(np.mean(np.square(kept)) / 2)) if kept.size else 0.0
    return Darkest(float(level), float(max(upper - level, 1.0)), noise)


def subtract(frame: Frame, level: Level, *, gain: float, bias: Frame | None) -> Frame:
    """Take level and bias off a frame and give it its uncertainty.

    Parameters
    ----------
    frame : Frame
        Raw counts, cut to the light.
    level : Level
        Level of the rows of `frame`.
    gain : float
        Electrons per ADU.
    bias : Frame, optional
        Master bias in the window of `frame`.

    Returns
    -------
    Frame
        Counts above zero. The variance holds photons, read noise with quantisation, level and
        master bias.
    """
    data = frame.data - level.rows[:, None]
    flags = frame.flags.copy()
    if bias is not None:
        data -= bias.data
        flags |= bias.flags
    lost = (flags & np.uint8(Flag.NO_DATA)) != 0
    data[lost] = 0
    counts = expected_counts(data, gain=gain, rdnoise_adu=level.noise_adu)
    variance = pixel_variance(counts, gain=gain, rdnoise_adu=level.noise_adu)
    variance += (level.uncertainty**2)[:, None]
    if bias is not None:
        variance += bias.uncertainty**2
    return replace(frame, data=data, uncertainty=np.sqrt(variance, out=variance), flags=flags)


def divide(frame: Frame, flat: Frame) -> Frame:
    """Divide a frame by a normalised flat in its window, uncertainty and flags included."""
    response = flat.data
    data = frame.data / response
    error = np.hypot(frame.uncertainty, data * flat.uncertainty)
    error /= response
    return replace(frame, data=data, uncertainty=error, flags=frame.flags | flat.flags)
