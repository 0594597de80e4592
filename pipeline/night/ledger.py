"""What a run over a folder shares: its frames, its settings, its jobs and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.core.errors import BadFrameError, GoodmanError
from goodman_live.pipeline.crew import Call, Job
from goodman_live.pipeline.night.files import whole_info
from goodman_live.pipeline.night.report import FileReport, NightReport
from goodman_live.pipeline.products.names import base_name
from goodman_live.pipeline.recipes import BLOCKS, NOT_REDUCED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from goodman_live.pipeline.blocks.result import BlockResult
    from goodman_live.pipeline.core.info import FrameInfo, Kind
    from goodman_live.pipeline.settings import ReductionSettings

    Owners = Sequence[Path]  # the raw files that a job is for
    Done = Callable[[Owners, BlockResult], Iterable[Job]]  # returns the jobs that follow
    Failed = Callable[[Owners, GoodmanError], None]


@dataclass(frozen=True, slots=True)
class _Task:
    owners: Owners
    done: Done
    failed: Failed


class Ledger:
    """The frames of a folder, and the jobs done for them.

    Parameters
    ----------
    report : NightReport
        Filled as jobs end.
    settings : ReductionSettings
        Of every block.
    until : {'reduce', 'extract', 'calibrate_wavelength'}
        The last block that spectra go through.
    progress : callable, optional
        Called with the name of what was done, the number done and the number known so far.

    Attributes
    ----------
    infos : dict
        Facts of each raw file that could be read, by path.
    """

    def __init__(
        self,
        report: NightReport,
        settings: ReductionSettings,
        until: str,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.report = report
        self.settings = settings
        self.until = until
        self.infos: dict[Path, FrameInfo] = {}
        self._tasks: dict[str, _Task] = {}
        self._progress = progress
        self._done = 0

    def read(self, paths: Sequence[Path]) -> None:
        """Read all headers; what cannot be read is reported and left out."""
        names: dict[str, Path] = {}
        for path in paths:
            report = self.report.files[path] = FileReport(path.name)
            try:
                info = whole_info(path)
                first = names.setdefault(base_name(path.name), path)
                if first != path:
                    raise BadFrameError(
                        f"{path.name} would have the products of {first.name}.",
                        remedy="Keep one of the two.",
                    )
            except GoodmanError as error:
                report.fail(error)
                continue
            self.infos[path] = info
            report.kind, report.object_name = info.kind.value, info.object_name
            if info.kind not in BLOCKS:
                report.state = "not reduced"
                report.reasons.append(NOT_REDUCED[info.kind])
        order = sorted(paths, key=self._when)
        self.report.files = {path: self.report.files[path] for path in order}

    def _when(self, path: Path) -> tuple[str, str]:
        info = self.infos.get(path)
        return (info.start.isoformat() if info else "", path.name)

    def of_kind(self, *kinds: Kind) -> list[Path]:
        """Return the raw files of some kinds, in the order of exposure."""
        return [
            path
            for path in self.report.files
            if path in self.infos and self.infos[path].kind in kinds
        ]

    def leave(self, paths: Iterable[Path], reason: str) -> None:
        """Note why files are not reduced."""
        for path in paths:
            self.report.files[path].state = "not reduced"
            self.report.files[path].reasons.append(f"not reduced: {reason}")

    def call(self, block: str, main: Any, **options: Any) -> Call:
        """Return the call of a block with the settings and the folder of this run."""
        shared = {"out_dir": self.report.out_dir, "settings": self.settings}
        return Call(block, main, {**options, **shared})

    def job(
        self,
        name: str,
        owners: Owners,
        call: Call | Callable[[], Call | None],
        done: Done,
        *,
        failed: Failed | None = None,
        needs: frozenset[str] = frozenset(),
    ) -> Job:
        """Return a job whose end this ledger knows what to do with.

        Parameters
        ----------
        name : str
            Unique; also shown as progress.
        call : Call or callable
            A callable is asked when all that the job `needs` is done; None if there is then
            nothing to do.
        failed : callable, optional
            By default the error is that of each of its `owners`.
        """
        self._tasks[name] = _Task(owners, done, failed or self._fail)
        return Job(name, (lambda: call) if isinstance(call, Call) else call, needs)

    def finished(self, name: str, outcome: BlockResult | GoodmanError) -> Iterable[Job]:
        """Note the outcome of a job and return the jobs that follow from it."""
        self._done += 1
        task = self._tasks[name]
        following: list[Job] = []
        if isinstance(outcome, GoodmanError):
            task.failed(task.owners, outcome)
        else:
            following = list(task.done(task.owners, outcome))
        if self._progress is not None:
            self._progress(name, self._done, len(self._tasks))
        return following

    def keep(self, raw: Path, result: BlockResult, state: str) -> None:
        """Note what a block made of a raw file."""
        report = self.report.files[raw]
        report.products += result.products
        report.products.sort(key=lambda product: (product.data_type, product.path.name))
        # the targets of one frame often say the same
        report.reasons += [text for text in result.messages if text not in report.reasons]
        report.state = state

    def keep_members(self, owners: Owners, result: BlockResult, state: str) -> None:
        """Note what became of the frames that a block put together, those left out among them."""
        for path in owners:
            reason = result.rejected.get(path.name)
            self.report.files[path].state = "left out" if reason else state
            self.report.files[path].reasons += [reason] if reason else []

    def _fail(self, owners: Owners, error: GoodmanError) -> None:
        for path in owners:
            self.report.files[path].fail(error)

    def remark(self, owners: Owners, error: GoodmanError) -> None:
        """Note an error without which a file is reduced all the same."""
        for path in owners:
            self.report.files[path].reasons.append(str(error))
