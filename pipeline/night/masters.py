"""Master biases and flats of a folder, and which of them serves a frame."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.choose import bias_key, choose_master, flat_key
from goodman_live.pipeline.core.info import Kind
from goodman_live.pipeline.products.fits import read_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from goodman_live.pipeline.blocks.result import BlockResult
    from goodman_live.pipeline.core.choose import Choice
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.crew import Call, Job
    from goodman_live.pipeline.night.ledger import Ledger, Owners


class Masters:
    """Masters made and still to make.

    Parameters
    ----------
    ledger : Ledger
        Of the run.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._made: dict[Kind, dict[Path, FrameInfo]] = {Kind.BIAS: {}, Kind.FLAT: {}}

    def jobs(self) -> list[Job]:
        """Return a job for each group of bias frames and of flats; flats wait for all biases."""
        settings = self._ledger.settings
        biases = self._jobs_of(Kind.BIAS, bias_key, settings.minimum_bias)
        needs = frozenset(job.key for job in biases)
        return biases + self._jobs_of(Kind.FLAT, flat_key, settings.minimum_flats, needs)

    def choose(self, kind: Kind, info: FrameInfo) -> tuple[Path | None, Choice | None]:
        """Return the master for a frame, and the choice unless the settings ignore it."""
        if self._ignored(kind):
            return None, None
        masters = self._made[kind]
        choice = choose_master(info, list(masters.values()), kind=kind)
        return (list(masters)[choice.index] if choice.index is not None else None), choice

    def _ignored(self, kind: Kind) -> bool:
        settings = self._ledger.settings
        return settings.ignore_bias if kind is Kind.BIAS else settings.ignore_flats

    def _jobs_of(
        self,
        kind: Kind,
        key: Callable[[FrameInfo], tuple[object, ...]],
        minimum: int,
        needs: frozenset[str] = frozenset(),
    ) -> list[Job]:
        infos = self._ledger.infos
        groups = defaultdict(list)
        for path in self._ledger.of_kind(kind):
            groups[(*key(infos[path]), infos[path].night)].append(path)
        jobs = []
        for number, paths in enumerate(groups.values()):
            if self._ignored(kind):
                self._ledger.leave(paths, "ignored by the settings")
            elif len(paths) < minimum:
                self._ledger.leave(
                    paths,
                    f"{len(paths)} of {minimum} {kind.value} frames of this set-up and night; "
                    f"no master is made",
                )
            else:
                name = f"master {kind.value} {number + 1}"
                call = partial(self._call, kind, paths)
                jobs.append(self._ledger.job(name, paths, call, self._keep, needs=needs))
        return jobs

    def _call(self, kind: Kind, paths: list[Path]) -> Call:
        if kind is Kind.BIAS:
            return self._ledger.call("build_master_bias", paths)
        bias, _ = self.choose(Kind.BIAS, self._ledger.infos[paths[0]])
        return self._ledger.call("build_master_flat", paths, bias=bias)

    def _keep(self, owners: Owners, result: BlockResult) -> Iterable[Job]:
        main = next(product for product in result.products if not product.role)
        self._made[self._ledger.infos[owners[0]].kind][main.path] = read_info(main.path)
        self._ledger.report.masters += result.products
        self._ledger.keep_members(owners, result, "in a master")
        return []
