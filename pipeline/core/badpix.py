"""Bad pixels, told by the masters: noisy ones by the bias, insensitive ones by the flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.flatnorm import odd_response

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.combine import Combined

NOISY = 3.0
"""A pixel that scatters by this much more than its noise model is bad."""
HOT_SHARE = 0.2
"""A pixel whose bias alone takes this share of the range is bad."""
LEAST_RESPONSE, MOST_RESPONSE = 0.4, 1.6
"""Response, over that of the neighbours, outside which a pixel is bad."""


def bad_in_bias(
    combined: Combined, row_level: NDArray[np.float32], range_adu: float
) -> NDArray[np.bool_]:
    """Return the pixels that are noisy or far off the level, shape (ny, nx).

    A column that is high by the same amount in every frame is not bad: the master takes it out.

    Parameters
    ----------
    combined : Combined
        The combined bias frames.
    row_level : ndarray of float32, shape (ny,)
        Level that `combined` still holds; zero after the overscan.
    range_adu : float
        Saturation level, ADU.
    """
    off = np.abs(combined.data - row_level[:, None])
    with np.errstate(invalid="ignore"):
        bad = (combined.scatter > NOISY) | (off > HOT_SHARE * range_adu)
    return np.asarray(bad | ~np.isfinite(combined.data))


def bad_in_flat(flat_over_lamp: NDArray[np.float32], lit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the lit pixels that see much less or much more than their neighbours, (ny, nx).

    Parameters
    ----------
    flat_over_lamp : ndarray of float32, shape (ny, nx)
        Master flat over the lamp's light, before anything was set to one.
    lit : ndarray of bool, shape (ny, nx)
        Pixels that are lit and whose neighbours give a flat worth comparing.
    """
    ratio = odd_response(flat_over_lamp, lit)
    return np.asarray(lit & ((ratio < LEAST_RESPONSE) | (ratio > MOST_RESPONSE)))
