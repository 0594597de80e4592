"""The frame as extraction sees it: usable pixels, sky taken out, and its noise model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.along import UNUSABLE
from goodman_live.pipeline.core.errors import NoTargetError
from goodman_live.pipeline.core.noisemodel import NoiseModel, learn_noise
from goodman_live.pipeline.core.sky import SkyModel, fit_sky
from goodman_live.pipeline.core.slitends import dark_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame, Window


@dataclass(frozen=True, slots=True, eq=False)
class Working:
    """A frame ready for finding and extracting targets."""

    data: NDArray[np.float32]
    """Pixels, zero where not usable, shape (ny, nx)."""
    variance: NDArray[np.float32]
    """Variance of the pixels, same shape."""
    good: NDArray[np.bool_]
    """Pixels that say something about the light that fell on them, same shape."""
    flags: NDArray[np.uint8]
    """Bits of `Flag`, same shape."""
    sky: SkyModel
    """The sky of the whole slit."""
    sky_image: NDArray[np.float32]
    """The same on every pixel, shape (ny, nx)."""
    noise: NoiseModel
    """Variance of pixels from the light in them."""
    window: Window
    """Place on the detector."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.window.shape


def prepare(frame: Frame) -> Working:
    """Make a frame ready: usable pixels, lit rows, sky and noise model.

    Parameters
    ----------
    frame : Frame
        A reduced frame, sky not subtracted.

    Returns
    -------
    Working
        Arrays of the frame's shape.

    Raises
    ------
    NoTargetError
        If no pixel is usable.
    """
    with np.errstate(invalid="ignore"):
        good = (
            ((frame.flags & UNUSABLE) == 0)
            & np.isfinite(frame.data)
            & (frame.uncertainty > 0)
            & np.isfinite(frame.uncertainty)
        )
    if not good.any():
        raise NoTargetError(
            "Not one pixel of the frame is usable, so no target can be found.",
            remedy="Look at the flags of the reduced frame.",
        )
    data = np.where(good, frame.data, np.float32(0))
    variance = np.where(good, frame.uncertainty, np.float32(0)) ** 2
    if str(frame.header.get("GSP_SLIT", "none")) == "none":
        dark = dark_rows(data, variance, good, frame.window.ybin)
        good[dark] = False
        data[dark] = 0
    sky = fit_sky(data, variance, good)
    return Working(
        data=data,
        variance=variance,
        good=good,
        flags=frame.flags,
        sky=sky,
        sky_image=sky.rows(np.arange(data.shape[0], dtype=float)),
        noise=learn_noise(frame, data, variance, good),
        window=frame.window,
    )
