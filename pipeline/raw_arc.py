"""Make a raw arc ready to be solved on its own, without any master calibration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.arc import ArcSolution, solve_arc
from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.instrument import CAMERAS
from goodman_live.pipeline.core.noise import header_noise_adu
from goodman_live.pipeline.core.overscan import measure_overscan
from goodman_live.pipeline.core.zerolevel import zero_strip
from goodman_live.pipeline.products.fits import read_frame, read_header, read_info, read_raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame, Window
    from goodman_live.pipeline.core.info import FrameInfo

_LAST_LIT = 4096
"""Columns of either detector that see light, after the prescan."""
_LEAST_COLUMNS = 3
"""Columns of overscan that tell the level of a row."""


def read_arc(
    path: Path, *, overlay: Mapping[str, str | float | int] | None = None
) -> tuple[Frame, FrameInfo]:
    """Read an arc, raw or reduced, without bias level and with its uncertainty.

    Parameters
    ----------
    path : Path
        Raw frame or 2-D product.
    overlay : Mapping, optional
        Header values mended by hand.

    Raises
    ------
    BadFrameError, BadHeaderError
        If it cannot be read, or is too small to hold a spectrum.
    """
    if "GSP_XBIN" in read_header(path):
        frame, info = read_frame(path), read_info(path, overlay=overlay)
    else:
        raw, info = read_raw(path, overlay=overlay)
        frame = without_bias(raw, info)
    if frame.window.nx < 60:
        raise BadFrameError(
            f"{path.name} is {frame.window.nx} columns wide, too few for a spectrum.",
            remedy="Give a spectroscopic arc frame.",
        )
    return frame, info


def without_bias(frame: Frame, info: FrameInfo) -> Frame:
    """Return a raw frame less its overscan, cut to the columns that see light."""
    data = (frame.data - _level(frame, info)).astype(np.float32)
    noise = header_noise_adu(info.rdnoise, info.gain)
    sigma = np.sqrt(np.clip(data, 0, None) / info.gain + noise**2).astype(np.float32)
    clean = replace(frame, data=data, uncertainty=sigma)
    return clean.cut(_lit(clean, info))


def _level(frame: Frame, info: FrameInfo) -> NDArray[np.float32]:
    """Return the zero level of each row, shape (ny, 1); without overscan that of the darkest."""
    strip = zero_strip(frame, info.camera)
    if strip is None or strip.shape[1] < _LEAST_COLUMNS or not np.isfinite(strip).any():
        return np.full((frame.window.ny, 1), np.quantile(frame.data, 0.02), np.float32)
    return measure_overscan(strip).level[:, None]


def _lit(frame: Frame, info: FrameInfo) -> Window:
    window = frame.window
    first_lit = CAMERAS[info.camera].prescan
    centres = window.columns_unbinned()
    half = (window.xbin - 1) / 2
    lit = (centres - half >= first_lit) & (centres + half < first_lit + _LAST_LIT)
    inside = np.flatnonzero(lit)
    if len(inside) == 0:
        raise BadFrameError(
            f"Nothing of {info.file_name} sees light.", remedy="Check the window in its header."
        )
    return window.sub(slice(int(inside[0]), int(inside[-1]) + 1), slice(0, window.ny))


def solve_file(
    path: Path,
    *,
    lamps: Iterable[str] | None = None,
    overlay: Mapping[str, str | float | int] | None = None,
) -> tuple[ArcSolution, FrameInfo]:
    """Solve an arc file, raw or reduced, from its header and its lines alone.

    Raises
    ------
    GoodmanError
        What is wrong with the file, its header, or its lines.
    """
    frame, info = read_arc(path, overlay=overlay)
    return solve_arc(frame, info, lamps=lamps), info
