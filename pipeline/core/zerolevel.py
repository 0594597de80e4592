"""The columns of a raw frame that tell the bias level of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bottleneck as bn
import numpy as np

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.instrument import overscan_columns, postscan_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame, Window

_BLOCKS, _LEAST_ROWS = 32, 8
"""Runs of rows over which the two strips must go alike, and the fewest rows of one."""
_ALIKE, _ROW = 2.0, 6.0
"""Largest mean square of their differences in such runs, and largest single one, in sigma."""
_FARTHEST_ADU = 20.0
"""Largest steady difference of the two strips."""


def zero_columns(
    data: NDArray[Any], missing: NDArray[np.bool_] | None, camera: str, window: Window
) -> NDArray[np.float32] | None:
    """Return the overscan of a raw frame, with the columns after the light if they go with it.

    Blue has 16 columns before the light, eight when binned, which leave the level of a row twice
    as noisy as Red's. The virtual columns after the light serve as well where they follow the
    first strip row by row in this very frame; charge that trails, or a level of their own,
    rules them out.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Raw frame, ADU.
    missing : ndarray of bool or None, shape (ny, nx)
        Pixels without a value.
    camera : {"Red", "Blue"}
        Which camera.
    window : Window
        Window of the frame.

    Returns
    -------
    ndarray of float32, shape (ny, k), or None
        ADU, NaN where missing, for `overscan.measure_overscan`; None without overscan.
    """
    before = overscan_columns(camera, window)
    if before is None:
        return None
    near = _values(data, missing, before)
    after = postscan_columns(camera, window)
    if after is None:
        return near
    far = _values(data, missing, after)
    shift = _common_shift(near, far)
    return near if shift is None else np.hstack([near, far - np.float32(shift)])


def zero_strip(frame: Frame, camera: str) -> NDArray[np.float32] | None:
    """Return `zero_columns` of a frame, its pixels without a value left out."""
    missing = (frame.flags & np.uint8(Flag.NO_DATA)) != 0
    return zero_columns(frame.data, missing, camera, frame.window)


def _values(
    data: NDArray[Any], missing: NDArray[np.bool_] | None, columns: slice
) -> NDArray[np.float32]:
    values = data[:, columns].astype(np.float32)
    if missing is not None:
        values[missing[:, columns]] = np.nan
    return values


def _common_shift(near: NDArray[np.float32], far: NDArray[np.float32]) -> float | None:
    """Return how much higher the far strip lies; None if it does not follow the near one."""
    if len(near) < 2 * _LEAST_ROWS or not (np.isfinite(near).all() and np.isfinite(far).all()):
        return None
    apart = bn.nanmean(far, axis=1) - bn.nanmean(near, axis=1)
    shift = float(np.median(apart))
    rest = apart - shift
    noise = max(1.4826 * float(np.median(np.abs(np.diff(rest)))) / np.sqrt(2), 1e-3)
    if abs(shift) > _FARTHEST_ADU or np.abs(rest).max() > _ROW * noise:
        return None
    runs = np.array_split(rest, min(_BLOCKS, len(rest) // _LEAST_ROWS))
    pulls = np.array([run.mean() * np.sqrt(run.size) / noise for run in runs])
    return shift if np.mean(pulls**2) < _ALIKE else None
