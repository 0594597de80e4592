"""Fluxes of a folder: sensitivity functions, and the spectra that they serve."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.choose import choose_sensitivity, flux_key
from goodman_live.pipeline.core.standards import name_against_pointing, recognise
from goodman_live.pipeline.products.fits import read_header, read_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from goodman_live.pipeline.blocks.result import BlockResult, Product
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.crew import Job
    from goodman_live.pipeline.night.ledger import Ledger, Owners


class Fluxes:
    """Standards of a folder and the spectra that they calibrate.

    Parameters
    ----------
    ledger : Ledger
        Of the run.
    spectra : mapping
        Wavelength-calibrated spectra of each raw frame.
    """

    def __init__(self, ledger: Ledger, spectra: Mapping[Path, Sequence[Product]]) -> None:
        self._ledger = ledger
        self._spectra = spectra
        self._sensitivities: dict[Path, FrameInfo] = {}

    def sensitivity_jobs(self) -> list[Job]:
        """Return a job for each set-up in which a standard star was observed."""
        groups = defaultdict(list)
        for raw in self._spectra:
            info = self._ledger.infos[raw]
            pointing = (info.object_name, info.ra_deg, info.dec_deg, info.mid)
            if recognise(*pointing) is not None:
                groups[flux_key(info)].append(raw)
            elif why := name_against_pointing(*pointing):
                self._ledger.report.files[raw].reasons.append(why)
        jobs = []
        for number, raws in enumerate(groups.values()):
            stars = [_brightest(self._spectra[raw]) for raw in raws]
            call = self._ledger.call("build_sensitivity", stars)
            jobs.append(self._ledger.job(f"sensitivity {number + 1}", raws, call, self._keep))
        return jobs

    def _keep(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        report = self._ledger.report
        main = result.products[0]
        self._sensitivities[main.path] = read_info(main.path)
        report.masters += result.products
        for path in owners:
            texts = [*result.messages, *result.rejected.values()]
            report.files[path].reasons += [text for text in texts if path.stem in text]
        return []

    def jobs(self) -> list[Job]:
        """Return a job for each spectrum whose set-up has a standard; without any, none."""
        if not self._sensitivities:
            return []
        jobs = []
        for raw, products in self._spectra.items():
            functions = list(self._sensitivities.values())
            choice = choose_sensitivity(self._ledger.infos[raw], functions)
            self._ledger.report.files[raw].chose("sensitivity", choice)
            if choice.index is None:
                continue
            function = list(self._sensitivities)[choice.index]
            for number, product in enumerate(products):
                call = self._ledger.call("calibrate_flux", product.path, sensitivity=function)
                name = f"flux {raw.name} {number}"
                jobs.append(self._ledger.job(name, [raw], call, self._calibrated))
        return jobs

    def _calibrated(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        self._ledger.keep(owners[0], result, "calibrated")
        return []


def _brightest(spectra: Sequence[Product]) -> Path:
    """Return the spectrum of the brightest target in a frame of a standard."""
    ratios = {
        product.path: float(read_header(product.path).get("GSP_SNR") or 0) for product in spectra
    }
    return max(ratios, key=ratios.__getitem__)
