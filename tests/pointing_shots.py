"""Raw frames with which an observer focuses and points, with known truth."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.optics import Optics, SlitPlace

BEST = -620
"""Setting of the camera focus at which lines are sharpest."""
STRIP = Region("user-defined", 0, 1995, 2071, 60)
BESIDE = Region("Slit Imaging/Alignment", 1850, 1600, 200, 450)
SLIT_COLUMN = 2071.3


def focus_shot(folder: Path, number: int, setting: float, begin: datetime) -> Path:
    """Write an arc through a narrow slit, as sharp as the setting of the focus lets it be.

    It was taken as many minutes after `begin` as its number says.
    """
    log = Log(
        obstype="FOCUS",
        object_name="focus",
        number=number,
        cam_foc=setting,
        exptime_s=3.0,
        start=begin + timedelta(minutes=number),
    )
    blur = abs(setting - BEST) / 40.0
    optics = Optics(float(np.hypot(2.4, blur)), float(np.hypot(2.8, blur)))
    here = setup("Red", "400_M1", slit_arcsec=0.45, region=STRIP)
    path = folder / f"{number:04d}_Focus-Red-SP-400_M1.fits"
    frames.arc(here, seed=number, optics=optics, log=log).write(path)
    return path


def pointing_shot(
    folder: Path,
    number: int,
    begin: datetime,
    *,
    slit: bool,
    across: float = 0.0,
    row: float = 220.0,
    name: str = "target_acq",
) -> Path:
    """Write an image of one star, `across` unbinned pixels beside the slit, in it or without."""
    here = setup("Blue", None, binning=(2, 2), region=BESIDE)
    column = (SLIT_COLUMN + across - BESIDE.x0 - 0.5) / 2
    path = folder / f"{number:04d}_{name}.fits"
    frames.image(
        here,
        seed=number,
        exptime_s=20.0,
        placed=np.array([[column, row, 8e3]]),
        slit=SlitPlace(1.0, SLIT_COLUMN, 0.0) if slit else None,
        log=Log(object_name=name, number=number, start=begin + timedelta(minutes=number)),
    ).write(path)
    return path
