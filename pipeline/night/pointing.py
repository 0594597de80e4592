"""Focus runs and acquisition images of a folder: which belong together, and their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodman_live.pipeline.core.acquisition import names_acquisition
from goodman_live.pipeline.core.focus import focus_key, split_runs
from goodman_live.pipeline.core.info import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from goodman_live.pipeline.blocks.result import BlockResult
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.crew import Job
    from goodman_live.pipeline.night.ledger import Failed, Ledger, Owners


def focus_runs(infos: Mapping[Path, FrameInfo]) -> list[list[Path]]:
    """Return the raw focus frames of each run, the newest first."""
    groups: dict[tuple[object, ...], list[Path]] = {}
    for path in sorted(infos, key=lambda path: infos[path].start):
        if infos[path].kind is Kind.FOCUS:
            groups.setdefault(focus_key(infos[path]), []).append(path)
    return [
        [paths[k] for k in reversed(run)]
        for paths in groups.values()
        for run in split_runs([infos[path].start for path in paths])
    ]


def is_acquisition(info: FrameInfo) -> bool:
    """Tell whether a frame was taken to point: the slit is in, or its name says so."""
    named = names_acquisition(info.object_name, info.file_name)
    return info.kind is Kind.ACQUISITION or (info.kind is Kind.IMAGE and named)


def slit_seen_for(
    info: FrameInfo, seen: Iterable[Path], infos: Mapping[Path, FrameInfo]
) -> Path | None:
    """Return which of the images that show the slit tells where it was: the last, else the next.

    Parameters
    ----------
    info : FrameInfo
        Of the image that does not show it.
    seen : iterable of Path
        Raw images that show it.
    infos : mapping
        Facts of all raw frames.
    """
    there = sorted(
        (p for p in seen if (infos[p].camera, infos[p].night) == (info.camera, info.night)),
        key=lambda path: infos[path].start,
    )
    before = [path for path in there if infos[path].start <= info.start]
    return before[-1] if before else next(iter(there), None)


class Pointing:
    """Focus runs and acquisition images: what they are measured for.

    Parameters
    ----------
    ledger : Ledger
        Of the run.
    pointings : mapping
        Reduced image of each raw image that was taken to point.
    """

    def __init__(self, ledger: Ledger, pointings: Mapping[Path, Path]) -> None:
        self._ledger = ledger
        self._pointings = pointings
        self._slits: dict[Path, Path] = {}
        """Reduced image of each raw image that shows the slit."""
        self._measured: set[Path] = set()

    def focus_jobs(self) -> list[Job]:
        """Return a job for each run through focus; it needs no calibration."""
        runs = focus_runs(self._ledger.infos)
        if self._ledger.until == "reduce":
            self._ledger.leave([path for run in runs for path in run], "focus frames are measured")
            return []
        return [
            self._ledger.job(
                f"focus run {number + 1}", run, self._ledger.call("measure_focus", run), self._run
            )
            for number, run in enumerate(runs)
        ]

    def _run(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        self._ledger.keep(owners[0], result, "measured")
        self._ledger.keep_members(owners, result, "measured")
        return []

    def slit_jobs(self) -> list[Job]:
        """Return a job for each acquisition image that has a slit in the light."""
        infos = self._ledger.infos
        raws = [raw for raw in self._pointings if infos[raw].slit_arcsec is not None]
        # if it fails here, its slit may be seen in another image
        return [self._job("slit", raw, None, failed=lambda *_: None) for raw in raws]

    def target_jobs(self) -> list[Job]:
        """Return a job for each acquisition image that did not show the slit by itself."""
        infos, jobs = self._ledger.infos, []
        for raw in self._pointings:
            if raw not in self._measured:
                seen = slit_seen_for(infos[raw], self._slits, infos)
                slit = self._slits[seen] if seen else None
                jobs.append(self._job("acquisition", raw, slit, failed=self._ledger.remark))
        return jobs

    def _job(self, word: str, raw: Path, slit: Path | None, *, failed: Failed) -> Job:
        call = self._ledger.call("measure_acquisition", self._pointings[raw], slit=slit)
        name = f"{word} {raw.name}"
        return self._ledger.job(name, [raw], call, self._image, failed=failed)

    def _image(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        raw = owners[0]
        self._ledger.keep(raw, result, "measured")
        self._measured.add(raw)
        if result.products[0].quality["slit_seen"]:
            self._slits[raw] = self._pointings[raw]
        return []
