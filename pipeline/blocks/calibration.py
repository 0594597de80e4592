"""Masters read back for use, after a check that they fit the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.choose import misfit
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_frame, read_info

if TYPE_CHECKING:
    from pathlib import Path

    from goodman_live.pipeline.core.frame import Frame, Window
    from goodman_live.pipeline.core.info import FrameInfo, Kind


_CARDS = {
    "is no bias": ("OBSTYPE", "kind"),
    "is no flat": ("OBSTYPE", "kind"),
    "another camera": ("INSTCONF", "camera"),
    "another binning": ("CCDSUM", "binning"),
    "another gain": ("GAIN", "gain"),
    "another read noise": ("RDNOISE", "rdnoise"),
    "another technique": ("WAVMODE", "technique"),
    "another grating": ("GRATING", "grating"),
    "other angles": ("CAM_TARG", "angles"),
    "other filters": ("FILTER2", "filters"),
    "another slit": ("SLIT", "slit"),
}
"""The card that tells each thing in which a master may not fit, and the name of its value."""


@dataclass(frozen=True, slots=True, eq=False)
class Master:
    """A master calibration cut to the window it is used in."""

    path: Path
    sha256: str
    frame: Frame


def load_master(path: Path, info: FrameInfo, window: Window, what: Kind) -> Master:
    """Read a master and cut it to a window.

    Parameters
    ----------
    path : Path
        The master.
    info : FrameInfo
        The frame that it is to calibrate.
    window : Window
        Part of the detector that is needed.
    what : {Kind.BIAS, Kind.FLAT}
        What it is to serve as.

    Raises
    ------
    BadFrameError
        If the file is no product of ours.
    MissingCalibrationError
        If it is of another camera, binning or readout mode (a flat: grating, angles, filters,
        slit or technique), or does not cover the window; `field` is the keyword that tells.
    """
    theirs = read_info(path)
    fault = misfit(info, theirs, what)
    if fault in _CARDS:
        card, name = _CARDS[fault]
        raise MissingCalibrationError(
            f"The master {what} {path.name} has {card} {_value(theirs, name)}, "
            f"{info.file_name} {'needs' if name == 'kind' else 'has'} "
            f"{what if name == 'kind' else _value(info, name)}.",
            remedy=f"Choose a master {what} of the same set-up.",
            field=card,
        )
    frame = read_frame(path)
    try:
        cut = frame.cut(window)
    except ValueError as error:
        raise MissingCalibrationError(
            f"The master {what} {path.name} does not cover {info.file_name}: {error}.",
            remedy="Choose a master of the same or a larger window.",
            field="ROI",
        ) from error
    return Master(path, sha256_of(path), cut)


def _value(info: FrameInfo, name: str) -> str:
    """Return a fact of a frame as its card would say it."""
    if name == "binning":
        return f"{info.window.xbin} {info.window.ybin}"
    if name == "angles":
        return f"{info.cam_targ:g} with GRT_TARG {info.grt_targ:g}"
    if name == "filters":
        return f"{info.filter2} with FILTER {info.filter}"
    return str(getattr(info, name))
