"""The part of a direct image that the optics light, told from its sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame

_BLOCK_PX = 16
_DARKER = 0.3
"""Part of the usual sky by which it is fainter where the field ends or is strongly vignetted."""


def is_lit(frame: Frame) -> NDArray[np.bool_]:
    """Return where an image is lit, and not beside where it is not.

    The edge of the lit field is sharp and stays where it is while stars move: it is taken for a
    row of sources, and for what two exposures have in common. What is brighter than the sky is
    no edge.

    Parameters
    ----------
    frame : Frame
        A direct image without bias level, with uncertainty.

    Returns
    -------
    ndarray of bool
        Shape (ny, nx).
    """
    ny, nx = (size // _BLOCK_PX for size in frame.data.shape)
    lit = np.ones(frame.data.shape, bool)
    if not ny * nx:
        return lit
    parts = frame.data[: ny * _BLOCK_PX, : nx * _BLOCK_PX].reshape(ny, _BLOCK_PX, nx, _BLOCK_PX)
    level = np.median(parts.transpose(0, 2, 1, 3).reshape(ny, nx, -1), axis=2)
    sky = float(np.nanmedian(level))
    noise = float(np.nanmedian(frame.uncertainty))
    dark = ~(sky - level < max(_DARKER * sky, noise))
    beside = ndimage.binary_dilation(dark, np.ones((3, 3), bool))
    blocks = np.repeat(np.repeat(beside, _BLOCK_PX, axis=0), _BLOCK_PX, axis=1)
    lit[: ny * _BLOCK_PX, : nx * _BLOCK_PX] = ~blocks
    lit[ny * _BLOCK_PX :] = lit[ny * _BLOCK_PX - 1]
    lit[:, nx * _BLOCK_PX :] = lit[:, nx * _BLOCK_PX - 1 : nx * _BLOCK_PX]
    return lit
