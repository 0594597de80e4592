"""Worker processes that run blocks in the order in which their inputs become ready.

A worker that dies (killed for memory, say) is replaced and its job runs once more, alone, so that
only the job that kills its worker twice is given up.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import threading
import traceback
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import forkserver, get_context
from typing import TYPE_CHECKING, Any, Self

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType, TracebackType

    from goodman_live.pipeline.blocks.result import BlockResult

MODULES = {
    "build_master_bias": "goodman_live.pipeline.blocks.masters",
    "build_master_flat": "goodman_live.pipeline.blocks.masters",
    "reduce": "goodman_live.pipeline.blocks.reduce",
    "extract": "goodman_live.pipeline.blocks.extract",
    "calibrate_wavelength": "goodman_live.pipeline.blocks.calibrate_wavelength",
    "measure_acquisition": "goodman_live.pipeline.blocks.measure_acquisition",
    "measure_focus": "goodman_live.pipeline.blocks.measure_focus",
    "solve_astrometry": "goodman_live.pipeline.blocks.solve_astrometry",
    "build_sensitivity": "goodman_live.pipeline.blocks.calibrate_flux",
    "calibrate_flux": "goodman_live.pipeline.blocks.calibrate_flux",
}
"""Module of each block."""

_FIRST = sorted({MODULES["build_master_bias"], MODULES["reduce"]})
"""Modules that are imported once, before workers are forked; each worker imports the others when
it comes to them, so that the first frame waits for nothing that it does not need."""
_M_ARENA_MAX = -8
"""The name of glibc's limit on arenas, from its ``malloc.h``."""

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Call:
    """A block and its arguments; plain values, so that it travels."""

    block: str
    """Name of the function."""
    main: Any
    """Its positional argument: a path, or the paths of a master."""
    options: Mapping[str, Any]
    """Its keyword arguments."""
    module: str = ""
    """Module of the function; by default that in `MODULES`."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do once other jobs are done."""

    key: str
    """Unique name."""
    prepare: Callable[[], Call | None]
    """Called when all `needs` are done; None if there is then nothing to do."""
    needs: frozenset[str] = field(default_factory=frozenset)
    """Keys of the jobs that must be done before, well or badly."""


class BlockCrashError(GoodmanError):
    """A block failed in a way that nobody foresaw; the text holds the place."""

    status = 500
    code = "crash"


class WorkerKilledError(GoodmanError):
    """The process that ran a block was killed, twice."""

    status = 500
    code = "worker_killed"


def run_call(call: Call) -> BlockResult | GoodmanError:
    """Run a block in this process; what goes wrong comes back as a value."""
    try:
        function = getattr(importlib.import_module(call.module or MODULES[call.block]), call.block)
        result: BlockResult = function(call.main, **call.options)
    except GoodmanError as error:
        return error
    except MemoryError:
        return BlockCrashError(
            f"{call.block} ran out of memory.", remedy="Use fewer workers (--workers 1)."
        )
    except Exception as error:  # noqa: BLE001  (anything may break; the rest of the night goes on)
        where = traceback.extract_tb(error.__traceback__)[-1]
        return BlockCrashError(
            f"{call.block} failed: {type(error).__name__}: {error} "
            f"({os.path.basename(where.filename)}, line {where.lineno}).",  # noqa: PTH119
            remedy="This is a fault of the software; please report it.",
        )
    return result


def warm_up() -> None:
    """Start the process from which workers are forked; it imports while the caller goes on."""
    for name in _THREAD_LIMITS:
        os.environ.setdefault(name, "1")  # one thread per process: the processes fill the cores
    forkserver.set_forkserver_preload(_FIRST)
    forkserver.ensure_running()


def _begin_worker() -> None:
    # Ctrl-C reaches the whole group: workers end without a word, the parent speaks
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        # threads that share one heap reuse its pages, where each new one costs a fault
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)


class Crew:
    """A few worker processes.

    Parameters
    ----------
    workers : int
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        warm_up()
        self._context = get_context("forkserver")
        self._pool = self._new_pool()
        self._pool.submit(os.getpid)  # the imports begin now, while the headers are read
        self._interrupted = False
        self._handler: Any = None

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers, mp_context=self._context, initializer=_begin_worker
        )

    def __enter__(self) -> Self:
        """Return itself."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._handler = before
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # What it raises is lost where nothing may be raised, such as in a finalizer; the workers
        # have ended with the same Ctrl-C all the same.
        self._interrupted = True
        self._handler(number, frame)

    def check_interrupted(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C, whatever became of it."""
        if self._interrupted:
            raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the workers; at once after an error."""
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(
        self,
        jobs: Iterable[Job],
        finished: Callable[[str, BlockResult | GoodmanError], Iterable[Job]],
    ) -> None:
        """Run jobs and those that follow from them.

        Parameters
        ----------
        jobs : iterable of Job
            What to begin with.
        finished : callable
            Called in this process with key and outcome of each job; returns further jobs.

        Raises
        ------
        RuntimeError
            If jobs wait for each other or for one that does not exist.
        """
        _Run(self, finished).go(jobs)

    def submit(self, call: Call) -> Future[BlockResult | GoodmanError]:
        """Start a call; a pool that broke in the meantime is replaced first."""
        try:
            return self._pool.submit(run_call, call)
        except BrokenProcessPool:
            self.replace()
            return self._pool.submit(run_call, call)

    def replace(self) -> None:
        """Start new workers in the place of killed ones."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._new_pool()

    @property
    def workers(self) -> int:
        """Return the number of processes."""
        return self._workers


class _Run:
    """The state of one `Crew.run`."""

    def __init__(
        self,
        crew: Crew,
        finished: Callable[[str, BlockResult | GoodmanError], Iterable[Job]],
    ) -> None:
        self._crew = crew
        self._finished = finished
        self._waiting: dict[str, Job] = {}
        self._running: dict[Future[BlockResult | GoodmanError], tuple[str, Call]] = {}
        self._suspects: deque[tuple[str, Call]] = deque()
        self._trial: str | None = None
        self._done: set[str] = set()

    def go(self, jobs: Iterable[Job]) -> None:
        self._waiting.update((job.key, job) for job in jobs)
        while self._waiting or self._running or self._suspects:
            self._crew.check_interrupted()
            self._start()
            if not self._running:
                if self._waiting and not self._ready():
                    message = f"these jobs wait for each other: {sorted(self._waiting)}"
                    raise RuntimeError(message)
                continue
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            self._collect(done)
        self._crew.check_interrupted()

    def _ready(self) -> list[Job]:
        return [job for job in self._waiting.values() if job.needs <= self._done]

    def _start(self) -> None:
        """Start what can be; suspects one by one, and only when nothing else runs."""
        if self._suspects:
            if not self._running:
                self._trial, call = self._suspects.popleft()
                self._running[self._crew.submit(call)] = (self._trial, call)
            return
        if self._trial is not None:
            return
        for job in self._ready():
            # no more than the workers can take: a killed worker then spoils few
            if len(self._running) >= self._crew.workers:
                return
            del self._waiting[job.key]
            prepared = job.prepare()
            if prepared is None:
                self._done.add(job.key)
            else:
                self._running[self._crew.submit(prepared)] = (job.key, prepared)

    def _collect(self, done: set[Future[BlockResult | GoodmanError]]) -> None:
        broken = []
        for future in done:
            key, call = self._running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                broken.append((key, call))
            elif error is not None:
                raise error
            else:
                self._finish(key, future.result())
        if broken:
            self._after_breakage(broken)

    def _after_breakage(self, broken: list[tuple[str, Call]]) -> None:
        """Put all that ran in the broken pool on trial; give up what broke it alone."""
        for future, (key, call) in list(self._running.items()):
            if isinstance(future.exception(), BrokenProcessPool):
                broken.append((key, call))
            else:
                self._finish(key, future.result())
        self._running.clear()
        self._crew.replace()
        for key, call in broken:
            if key == self._trial:
                text = f"The process that ran {call.block} was killed, twice."
                remedy = "Perhaps memory is short: use fewer workers (--workers 1)."
                self._finish(key, WorkerKilledError(text, remedy=remedy))
            else:
                self._suspects.append((key, call))

    def _finish(self, key: str, outcome: BlockResult | GoodmanError) -> None:
        if key == self._trial:
            self._trial = None
        self._done.add(key)
        self._waiting.update((job.key, job) for job in self._finished(key, outcome))
