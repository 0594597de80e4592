"""The fixed pattern of a bias, told from the noise of the frames it was measured with.

Ten bias frames leave a tenth of the read-noise variance in their mean, which every frame that is
reduced with it takes over: a twentieth of the S/N of a faint star. Most of a bias is common to
its rows and to its columns, which hundreds of pixels measure; what single pixels add to that is
believed as far as their neighbourhood scatters by more than noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter, uniform_filter1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOX = 25
"""Side of the neighbourhood in which scatter is judged, pixels: it tells variance to 6 %."""
RUN = 51
"""Rows over which a column may differ from what it is elsewhere."""
OUTSTANDING = 4.0
"""Standard deviations from which a pixel's, or a run's, own value is believed as it is."""
SURE = 0.15
"""No pixel is known better than this share of its own noise."""


def settle_pattern(
    data: NDArray[np.float32], uncertainty: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a bias without the part of its pixels' noise that can be told from structure.

    Parameters
    ----------
    data, uncertainty : ndarray of float32
        Mean of bias frames and its standard deviation, ADU, shape (ny, nx), all finite.

    Returns
    -------
    tuple of ndarray of float32
        The expected pattern and its standard deviation.

    References
    ----------
    J.-S. Lee 1980, IEEE Trans. Pattern Anal. Mach. Intell. 2, 165.
    """
    noise = np.float32(np.median(uncertainty))
    if not noise > 0 or min(data.shape) < BOX:
        return data, uncertainty
    own = data - _common(data, noise)
    typical = max(noise, np.float32(1.4826) * np.median(np.abs(own[::7, ::7])))
    loud = np.abs(own) > OUTSTANDING * typical
    quiet = np.where(loud, np.float32(0), own)
    run = uniform_filter1d(quiet, RUN, axis=0, mode="nearest")
    run[np.abs(run) < OUTSTANDING * noise / np.sqrt(RUN)] = 0
    quiet -= run
    scatter = uniform_filter(quiet * quiet, BOX, mode="nearest")
    share = 1 - noise**2 / np.maximum(scatter, noise**2)
    share[loud] = 1
    run[loud] = 0
    settled = data - (1 - share) * (own - run)
    sigma = uncertainty * np.maximum(np.sqrt(share), np.float32(SURE))
    return settled.astype(np.float32), sigma.astype(np.float32)


def _common(data: NDArray[np.float32], noise: np.float32) -> NDArray[np.float32]:
    """Return what rows and columns have in common, wild pixels left out."""
    rows = np.median(data[:, :: max(data.shape[1] // 400, 1)], axis=1)
    columns = np.median(
        data[:: max(data.shape[0] // 400, 1)] - rows[:: max(data.shape[0] // 400, 1), None], axis=0
    )
    common = rows[:, None] + columns
    # Medians of a sample begin it; the mean of all pixels near them is four times as sure.
    rest = np.clip(data - common, -3 * noise, 3 * noise)
    columns += rest.mean(axis=0)
    rest -= rest.mean(axis=0)
    rows += rest.mean(axis=1)
    return np.asarray(rows[:, None] + columns, dtype=np.float32)
