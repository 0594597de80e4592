"""A folder of raw frames through all blocks, without a server."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.errors import SettingsError
from goodman_live.pipeline.crew import Crew
from goodman_live.pipeline.night.files import find_frames
from goodman_live.pipeline.night.fluxes import Fluxes
from goodman_live.pipeline.night.frames import Frames
from goodman_live.pipeline.night.ledger import Ledger
from goodman_live.pipeline.night.masters import Masters
from goodman_live.pipeline.night.pointing import Pointing
from goodman_live.pipeline.night.report import NightReport
from goodman_live.pipeline.products.atomic import sweep
from goodman_live.pipeline.settings import STAR_CATALOGUE, ReductionSettings

if TYPE_CHECKING:
    from collections.abc import Callable

OFFLINE = ReductionSettings(minimum_bias=3, minimum_flats=3)
"""Settings by default: those of the public service, but masters are made of what there is,
because no more frames will come."""


def reduce_night(
    raw_dir: Path,
    out_dir: Path,
    *,
    settings: ReductionSettings | None = None,
    workers: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
    until: str = "calibrate_wavelength",
    stars: Path | None = None,
) -> NightReport:
    """Reduce a folder of raw frames to calibrated spectra and images.

    Parameters
    ----------
    raw_dir : Path
        Folder of raw frames; they are only read.
    out_dir : Path
        Folder of products; made if it does not exist. Products of an earlier run are replaced.
    settings : ReductionSettings, optional
        By default `OFFLINE`.
    workers : int
        Processes that work at once.
    progress : callable, optional
        Called with the name of what was done, the number done and the number known so far.
    until : {'reduce', 'extract', 'calibrate_wavelength'}
        The last block that spectra go through; with ``reduce`` nothing is measured either.
    stars : Path, optional
        Index of stars made by ``goodman-live stars``, by default that which ``GOODMAN_STARS``
        names: images get their coordinates and magnitudes from it, unless `until` is ``reduce``.

    Returns
    -------
    NightReport
        One entry per file, bad ones with their reason.

    Raises
    ------
    BadFrameError
        If `raw_dir` is no folder or holds no FITS files.
    SettingsError
        If products would be written among the raw frames.
    """
    start = time.monotonic()
    paths = find_frames(raw_dir)
    if out_dir.resolve() == raw_dir.resolve():
        raise SettingsError(
            "Raw frames and products may not share a folder.",
            remedy="Give another OUT_DIR.",
            field="OUT_DIR",
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    named = os.environ.get(STAR_CATALOGUE)
    stars = stars or (Path(named) if named else None)
    report = NightReport(raw_dir, out_dir)
    ledger = Ledger(report, settings or OFFLINE, until, progress)
    masters = Masters(ledger)
    frames = Frames(ledger, masters, stars)
    pointing = Pointing(ledger, frames.pointings)
    fluxes = Fluxes(ledger, frames.spectra)
    try:
        with Crew(workers) as crew:
            ledger.read(paths)
            first = masters.jobs()
            first += frames.jobs(needs=frozenset(job.key for job in first))
            crew.run(first + pointing.focus_jobs(), ledger.finished)
            crew.run(pointing.slit_jobs(), ledger.finished)
            crew.run(pointing.target_jobs(), ledger.finished)
            crew.run(fluxes.sensitivity_jobs(), ledger.finished)
            crew.run(fluxes.jobs(), ledger.finished)
    finally:
        sweep(out_dir)  # what a killed worker was writing
    report.seconds = time.monotonic() - start
    return report
