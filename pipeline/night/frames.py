"""Arcs, spectra and images of a folder: reduced, extracted, with wavelengths or coordinates."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.choose import choose_arcs
from goodman_live.pipeline.core.info import Kind
from goodman_live.pipeline.night.pointing import is_acquisition
from goodman_live.pipeline.recipes import BLOCKS
from goodman_live.pipeline.settings import STAR_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from goodman_live.pipeline.blocks.result import BlockResult, Product
    from goodman_live.pipeline.crew import Call, Job
    from goodman_live.pipeline.night.ledger import Ledger, Owners
    from goodman_live.pipeline.night.masters import Masters


class Frames:
    """Frames that are reduced one by one.

    Parameters
    ----------
    ledger : Ledger
        Of the run.
    masters : Masters
        What they are reduced with.
    stars : Path or None
        Index of stars; without one, and without a star service, images get no coordinates.

    Attributes
    ----------
    spectra : dict
        Wavelength-calibrated spectra on native pixels of each raw frame.
    pointings : dict
        Reduced image of each raw image that was taken to point.
    """

    def __init__(self, ledger: Ledger, masters: Masters, stars: Path | None) -> None:
        self._ledger = ledger
        self._masters = masters
        self._stars = stars
        self._has_stars = stars is not None or bool(os.environ.get(STAR_SERVICE))
        self._arcs: dict[Path, Path] = {}
        """Reduced arc of each raw arc."""
        self.spectra: dict[Path, list[Product]] = defaultdict(list)
        self.pointings: dict[Path, Path] = {}

    def jobs(self, needs: frozenset[str]) -> list[Job]:
        """Return the reduction of each frame, arcs first; `needs` are the jobs of masters."""
        frames = self._ledger.of_kind(Kind.ARC)
        frames += self._ledger.of_kind(Kind.SPECTRUM, Kind.IMAGE, Kind.ACQUISITION)
        return [
            self._ledger.job(
                f"reduce {raw.name}", [raw], partial(self._reduce, raw), self._reduced, needs=needs
            )
            for raw in frames
        ]

    def _reduce(self, raw: Path) -> Call:
        chosen: dict[str, Path | None] = {}
        for word, kind in (("bias", Kind.BIAS), ("flat", Kind.FLAT)):
            chosen[word], choice = self._masters.choose(kind, self._ledger.infos[raw])
            if choice is not None:
                self._ledger.report.files[raw].chose(word, choice)
        return self._ledger.call("reduce", raw, **chosen)

    def _reduced(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        raw = owners[0]
        self._ledger.keep(raw, result, "reduced")
        reduced = _main(result)[0].path
        info = self._ledger.infos[raw]
        if info.kind is Kind.ARC:
            self._arcs[raw] = reduced
        if self._ledger.until == "reduce":
            return []
        if is_acquisition(info):
            self.pointings[raw] = reduced
        if info.kind is Kind.IMAGE and self._has_stars:
            return [self._field_job(raw, reduced)]
        if "extract" in BLOCKS[info.kind]:
            call = self._ledger.call("extract", reduced)
            return [self._ledger.job(f"extract {raw.name}", owners, call, self._extracted)]
        return []

    def _field_job(self, raw: Path, reduced: Path) -> Job:
        call = self._ledger.call("solve_astrometry", reduced, catalogue=self._stars)
        name, remark = f"astrometry {raw.name}", self._ledger.remark
        return self._ledger.job(name, [raw], call, self._solved, failed=remark)

    def _solved(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        self._ledger.keep(owners[0], result, "solved")
        return []

    def _extracted(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        raw = owners[0]
        self._ledger.keep(raw, result, "extracted")
        if self._ledger.until == "extract":
            return []
        needs = frozenset(f"reduce {arc.name}" for arc in self._ledger.of_kind(Kind.ARC))
        return [
            self._ledger.job(
                f"wavelength {raw.name} {number}",
                owners,
                partial(self._wavelength, raw, spectrum.path, say_why=number == 0),
                self._calibrated,
                needs=needs,
            )
            for number, spectrum in enumerate(_main(result))
        ]

    def _wavelength(self, raw: Path, spectrum: Path, *, say_why: bool) -> Call | None:
        infos, raws = self._ledger.infos, list(self._arcs)
        choices = choose_arcs(infos[raw], [infos[arc] for arc in raws])
        if say_why:
            for choice in choices:
                self._ledger.report.files[raw].chose("arc", choice)
        arcs = [self._arcs[raws[choice.index]] for choice in choices if choice.index is not None]
        if not arcs:
            return None
        return self._ledger.call("calibrate_wavelength", spectrum, arcs=arcs)

    def _calibrated(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        self._ledger.keep(owners[0], result, "calibrated")
        self.spectra[owners[0]] += _main(result)
        return []


def _main(result: BlockResult) -> list[Product]:
    return [product for product in result.products if not product.role]
