"""What runs on a worker: one block, from an order of plain values to a report of plain values.

Imports the pipeline and nothing of the service: a worker on another host needs no catalogue.
"""

from __future__ import annotations

import faulthandler
import importlib
import logging
import platform
import time
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.blocks.progress import heard_by
from goodman_live.pipeline.blocks.recording import discreet
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.settings import ReductionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPIC = "goodman-jobs"
"""Dask topic on which workers tell how far they are."""
BEGUN = 0.05
"""Progress of a job whose worker has begun."""
TELL_S = 0.5
"""Progress is told no more often."""


class InputGoneError(GoodmanError):
    """A file that a job reads is not there."""

    status = 409
    code = "input_gone"

    def __init__(self, name: str) -> None:
        super().__init__(f"The input {name} is gone.", remedy="Bring it back.")


@dataclass(frozen=True, slots=True)
class Order:
    """One run of a block; everything in it pickles to a few hundred bytes."""

    job_id: int
    module: str
    function: str
    main: Path | tuple[Path, ...]
    """The frame that the block runs on, or the raw frames of a master."""
    arguments: dict[str, Path | tuple[Path, ...] | None]
    """Further frames by keyword."""
    out_dir: Path
    settings: dict[str, Any]
    overlay: dict[str, Any] | None
    apertures: list[dict[str, Any]] | None
    suffix: str
    crash_file: Path
    """Where the traceback goes if the interpreter itself dies."""


def run_order(order: Order) -> dict[str, Any]:
    """Run a block.

    Returns
    -------
    dict
        ``result`` (`BlockResult.as_dict`) or ``error`` (code, message, remedy, field,
        traceback); ``log``, pairs of level and message; ``seconds``; ``versions``.
    """
    began = time.perf_counter()
    report: dict[str, Any] = {"log": [], "versions": versions()}
    steps = _Steps(order.job_id, report["log"])
    with _crash_trace(order.crash_file), _listening(report["log"]), heard_by(steps), discreet():
        try:
            function = getattr(importlib.import_module(order.module), order.function)
            report["result"] = function(order.main, **keywords_of(order)).as_dict()
        except Exception as error:  # noqa: BLE001 (every failure goes home as values)
            report["error"] = describe(_gone(order) or error)
    report["seconds"] = time.perf_counter() - began
    return report


def _gone(order: Order) -> InputGoneError | None:
    """Return that an input is gone, if it is: whatever failed, failed for that."""
    for paths in (order.main, *order.arguments.values()):
        for path in paths if isinstance(paths, tuple) else (paths,):
            if path is not None and not path.is_file():
                return InputGoneError(path.name)
    return None


def keywords_of(order: Order) -> dict[str, Any]:
    """Return the arguments of a block after its first."""
    keywords: dict[str, Any] = {
        **order.arguments,
        "out_dir": order.out_dir,
        "settings": ReductionSettings(**order.settings),
        "overlay": order.overlay or None,
        "suffix": order.suffix,
    }
    if order.apertures is not None:
        aperture = importlib.import_module("goodman_live.pipeline.core.aperture").Aperture
        keywords["apertures"] = [aperture(**values) for values in order.apertures]
    return keywords


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error as values for the catalogue; the traceback is for staff."""
    known = isinstance(error, GoodmanError)
    return {
        "code": error.code if isinstance(error, GoodmanError) else "internal",
        "message": error.message if isinstance(error, GoodmanError) else _unexpected(error),
        "remedy": error.remedy if isinstance(error, GoodmanError) else "Tell the staff.",
        "field": error.field if isinstance(error, GoodmanError) else "",
        "traceback": "".join(traceback.format_exception(error)) if not known else "",
    }


def _unexpected(error: BaseException) -> str:
    return f"Unexpected {type(error).__name__}: {error}"


@cache
def versions() -> dict[str, str]:
    """Return the versions of what shapes numbers."""
    found = {"python": platform.python_version()}
    for name in ("goodman_live", "numpy", "scipy", "astropy", "astroscrappy"):
        found[name] = str(getattr(importlib.import_module(name), "__version__", ""))
    return found


@contextmanager
def _crash_trace(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as sink:
        faulthandler.enable(sink, all_threads=False)
        try:
            yield
        finally:
            faulthandler.disable()
    path.unlink(missing_ok=True)


class _Collector(logging.Handler):
    def __init__(self, lines: list[tuple[str, str]]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._lines) < 1000:
            self._lines.append((record.levelname.lower(), record.getMessage()))


@contextmanager
def _listening(lines: list[tuple[str, str]]) -> Iterator[None]:
    collector, logger = _Collector(lines), logging.getLogger("goodman_live")
    logger.addHandler(collector)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield
        lines += [("warning", str(item.message)) for item in caught[:100]]
    finally:
        logger.removeHandler(collector)


class _Steps:
    """Hears what a block says: all of it for the log, some of it while it runs."""

    def __init__(self, job_id: int, lines: list[tuple[str, str]]) -> None:
        self._job_id, self._lines = job_id, lines
        self._told = time.monotonic()
        _tell(job_id, BEGUN)

    def __call__(self, share: float, text: str) -> None:
        self._lines.append(("info", text))
        if time.monotonic() - self._told >= TELL_S:  # what is quick need not be told meanwhile
            self._told = time.monotonic()
            _tell(self._job_id, BEGUN + (1 - BEGUN) * share)


def _tell(job_id: int, progress: float) -> None:
    from distributed import get_worker  # noqa: PLC0415 (the order also runs without Dask)

    try:
        worker = get_worker()
    except ValueError:
        return
    worker.log_event(TOPIC, {"job": job_id, "progress": progress, "worker": worker.address})
