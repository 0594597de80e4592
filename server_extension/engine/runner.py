"""From the queue in the catalogue to Dask and back: as many jobs at once as there are threads."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from distributed import KilledWorker
from sqlalchemy import select

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.models import Frame, Job, LogEntry
from goodman_live.server_extension.engine import jobs, products
from goodman_live.server_extension.engine.blocks import BLOCKS, MANY
from goodman_live.server_extension.engine.cluster import KEY
from goodman_live.server_extension.engine.work import (
    TOPIC,
    InputGoneError,
    Order,
    describe,
    run_order,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.engine.cluster import Cluster
    from goodman_live.server_extension.engine.desk import Desk

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""How often the queue is looked at without being told."""
DISK_FULL = "disk_full"
HOLD_S = 5.0
"""A job that found the disk full keeps its place at the workers for so long, then runs again."""
WITHOUT_S = 30.0
"""A cluster of ours that has had no worker for so long is started anew."""
MOST_UNBEGUN = 10
"""How often a job may lose its worker before it began until that counts as its own fault."""
RECONNECT_S = 2.0
"""Pause between attempts to reach a scheduler that was lost."""


class Runner:
    """Claims queued jobs, sends them to workers and records what becomes of them.

    Parameters
    ----------
    work_dir : Path
        Private folder for traces of interpreters that died; readable by workers.
    on_done : callable
        Called with the job and its products after they are recorded.
    """

    def __init__(
        self,
        desk: Desk,
        cluster: Cluster,
        work_dir: Path,
        on_done: Callable[[Job, list[Frame]], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._cluster = cluster
        self._work_dir = work_dir
        self._on_done = on_done
        self._kick = asyncio.Event()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._workers: dict[int, str] = {}
        self._cancelled: set[int] = set()
        self._unbegun: Counter[int] = Counter()
        self._slots = 0
        self._asked = 0.0
        self._had_slots = time.monotonic()
        self._stopping = False
        self._loop_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take jobs."""
        self._cluster.client.subscribe_topic(TOPIC, self._hear)
        self._loop_task = asyncio.create_task(self._run(), name="goodman-runner")

    async def stop(self) -> None:
        """Stop taking jobs; what runs is queued again by the next start."""
        self._stopping = True
        tasks = [task for task in (self._loop_task, *self._running.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def kick(self) -> None:
        """Say that something was queued."""
        self._kick.set()

    def job_was_cancelled(self, job_id: int) -> None:
        """Stop waiting for a job; a worker that is in the middle of it is ended."""
        task = self._running.get(job_id)
        if task is not None:
            self._cancelled.add(job_id)
            task.cancel()

    async def _run(self) -> None:
        while not self._stopping:  # Dask may turn a cancellation into an error of the network
            # Not `wait_for`: in Python 3.11 it can swallow the cancellation of a stop.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._kick.wait()
            self._kick.clear()
            try:
                await self._fill()
            except Exception:
                # The queue is in the catalogue: nothing is lost, and the next look tries again.
                log.exception("runner.failed")
                await asyncio.sleep(LOOK_S)

    async def _fill(self) -> None:
        if not self._cluster.connected:
            await self._reconnect()
        if time.monotonic() - self._asked > LOOK_S or not self._slots:
            self._slots, self._asked = await self._cluster.slots(), time.monotonic()
        if self._slots:
            self._had_slots = self._asked
        elif self._cluster.is_ours and self._asked - self._had_slots > WITHOUT_S:
            # Its nannies have given up, and nobody else starts workers here.
            self._had_slots = self._asked
            await self._reconnect()
        while len(self._running) < self._slots:
            claimed = await self._desk.write(_claim, self._work_dir)
            if claimed is None:
                return
            job, order = claimed
            if order is None:
                await self._on_done(job, [])
                continue
            task = asyncio.create_task(self._one(job, order), name=f"goodman-job-{job.id}")
            self._running[job.id] = task
            task.add_done_callback(partial(self._ended, job.id))

    def _ended(self, job_id: int, _: object) -> None:
        self._running.pop(job_id, None)
        self._workers.pop(job_id, None)
        self._kick.set()

    async def _reconnect(self) -> None:
        log.warning("cluster.lost")
        while not self._stopping:
            try:
                await self._cluster.reconnect()
            except (OSError, TimeoutError, GoodmanError) as error:
                log.warning("cluster.unreachable", error=str(error))
                await asyncio.sleep(RECONNECT_S)
            else:
                self._cluster.client.subscribe_topic(TOPIC, self._hear)
                self._slots = 0
                return

    async def _one(self, job: Job, order: Order) -> None:
        bound = log.bind(job=job.id, block=job.block, frame=job.frame_id, proposal=job.proposal_id)
        try:
            report = await self._send(job, order)
        except asyncio.CancelledError:
            if job.id in self._cancelled:
                self._cancelled.discard(job.id)
                await self._end_worker(job.id)
            raise
        except KilledWorker:
            bound.warning("job.worker_died", tries=job.tries)
            trace = await asyncio.to_thread(_read_trace, order.crash_file)
            if trace is None and self._is_innocent(job.id):
                await self._desk.write(_lost, job.id, "its worker died before it began")
                return
            await self._desk.write(_worker_died, job.id, trace or "")
            await self._on_done(job, [])
        except TimeoutError:
            await self._end_worker(job.id)
            await self._desk.write(_fail, job.id, self._too_long())
            await self._on_done(job, [])
        except Exception as error:  # noqa: BLE001 (whatever Dask raises when it is cut off)
            # The scheduler went away, not the job: it runs again when there is one.
            bound.warning("job.lost", error=repr(error))
            await self._desk.write(_lost, job.id, repr(error))
            await asyncio.sleep(LOOK_S)
        else:
            await self._record(job, report)
            bound.info("job.ended", seconds=round(report["seconds"], 3), failed="error" in report)

    def _is_innocent(self, job_id: int) -> bool:
        """Tell whether a job that left no trace on our own host may be tried again uncounted.

        It waited on a worker that died of another job. That a worker dies before it can begin is
        possible all the same, so this has an end.
        """
        self._unbegun[job_id] += 1
        return self._cluster.is_ours and self._unbegun[job_id] <= MOST_UNBEGUN

    async def _send(self, job: Job, order: Order) -> dict[str, Any]:
        future = self._cluster.client.submit(
            run_order,
            order,
            key=f"{KEY}-{job.id}-{job.tries}-{time.monotonic_ns()}",
            priority=-job.priority,
            pure=False,
        )
        waiter: asyncio.Task[dict[str, Any]] = asyncio.ensure_future(future.result())
        try:
            done, _ = await asyncio.wait({waiter}, timeout=self._cluster.profile.job_timeout_s)
            if not done:
                raise TimeoutError
            if waiter.cancelled():
                raise ConnectionError("the scheduler forgot the job")
            return waiter.result()
        finally:
            waiter.cancel()
            future.release()

    async def _record(self, job: Job, report: dict[str, Any]) -> None:
        if report.get("error", {}).get("code") == DISK_FULL:
            # Every job would fail like this one: the queue waits until there is space.
            log.error("disk.full", job=job.id, block=job.block)
            await self._desk.write(_tell_full, job.id, report["error"]["message"])
            await asyncio.sleep(HOLD_S)
            await self._desk.write(_put_back, job.id)
            return
        if "error" in report:
            await self._desk.write(_fail, job.id, report["error"], report["log"])
            await self._on_done(job, [])
            return
        try:
            headers = await asyncio.to_thread(products.read_headers, report)
            made = await self._desk.write(_finish, job.id, report, headers)
        except Exception as error:
            # Whatever it is, the job is over: without this it would count as running for ever.
            log.exception("job.unrecorded", job=job.id, block=job.block)
            await self._desk.write(_fail, job.id, describe(error), report["log"])
            await self._on_done(job, [])
            return
        if made is None:
            await asyncio.to_thread(products.discard, report)
            return
        await self._on_done(job, made)

    def _too_long(self) -> dict[str, Any]:
        limit = self._cluster.profile.job_timeout_s
        return {
            "code": "too_long",
            "message": f"The step did not end within {limit:g} s and was stopped.",
            "remedy": "Retry it, or look at the frame.",
            "field": "",
            "traceback": "",
        }

    async def _end_worker(self, job_id: int) -> None:
        worker = self._workers.get(job_id)
        if worker and self._cluster.connected:
            with suppress(OSError, TimeoutError):
                await self._cluster.restart_worker(worker)

    async def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        _, told = event
        if told["job"] in self._running:
            self._workers[told["job"]] = told["worker"]
            await self._desk.write(
                jobs.set_progress, told["job"], told["progress"], told["worker"]
            )


def _claim(session: Session, work_dir: Path) -> tuple[Job, Order | None] | None:
    """Return the next job with its order; without one, if it failed before it began."""
    job = jobs.claim(session)
    if job is None:
        return None
    try:
        return job, order_for(session, job, work_dir)
    except GoodmanError as error:
        jobs.end(session, job, "failed", describe(error))
        return job, None


def order_for(session: Session, job: Job, work_dir: Path) -> Order:
    """Return what a worker needs to run `job`.

    Raises
    ------
    GoodmanError
        If a frame that it needs is gone.
    """
    block = BLOCKS[job.block]
    paths = {
        role: tuple(_path(session, number) for number in numbers)
        for role, numbers in job.spec["inputs"].items()
    }
    main = paths.pop(block.main)
    arguments: dict[str, Path | tuple[Path, ...] | None] = {}
    for role in block.roles:
        found = paths.get(role, ())
        arguments[role] = found if role in MANY else (found[0] if found else None)
    return Order(
        job_id=job.id,
        module=block.module,
        function=block.function,
        main=main if block.main in MANY else main[0],
        arguments=arguments,
        out_dir=Path(job.out_dir),
        settings=job.spec["settings"],
        overlay=job.spec["overlay"] or None,
        apertures=job.spec["apertures"],
        suffix=f"v{job.version}" if job.version > 1 else "",
        crash_file=work_dir / f"crash-{job.id}.txt",
    )


def _path(session: Session, frame_id: int) -> Path:
    frame = session.get(Frame, frame_id)
    if frame is None or not frame.path.is_file():
        raise InputGoneError(frame.file_name if frame else f"id {frame_id}")
    return frame.path


def _running(session: Session, job_id: int) -> Job | None:
    return session.scalar(select(Job).where(Job.id == job_id, Job.state == "running"))


def _worker_died(session: Session, job_id: int, trace: str) -> None:
    if (job := _running(session, job_id)) is not None:
        jobs.worker_died(session, job, trace)


def _lost(session: Session, job_id: int, why: str) -> None:
    if (job := _running(session, job_id)) is not None:
        jobs.note(session, job.id, f"The cluster lost the job ({why}); queued again.", "warning")
        job.tries -= 1
        jobs.put_back(session, job)


def _tell_full(session: Session, job_id: int, why: str) -> None:
    if (job := _running(session, job_id)) is None:
        return
    if job.tries == 1:
        entry = LogEntry(level="error", source="engine", message=why, job_id=job.id)
        session.add(entry)
        jobs.note(session, job.id, f"{why} It waits for space.", "warning")


def _put_back(session: Session, job_id: int) -> None:
    if (job := _running(session, job_id)) is not None:
        job.tries = 1  # it is not the job's fault: it is never set aside for this
        jobs.put_back(session, job)


def _fail(
    session: Session,
    job_id: int,
    error: dict[str, Any],
    lines: list[tuple[str, str]] | None = None,
) -> None:
    if (job := _running(session, job_id)) is not None:
        for level, text in lines or ():
            jobs.note(session, job.id, text, level[:8])
        jobs.end(session, job, "failed", error)


def _finish(
    session: Session, job_id: int, report: dict[str, Any], headers: dict[str, str]
) -> list[Frame] | None:
    job = _running(session, job_id)
    if job is None:
        return None  # cancelled while it ran
    for level, text in report["log"]:
        jobs.note(session, job.id, text, level[:8])
    for text in report["result"]["messages"]:
        jobs.note(session, job.id, text)
    made = products.record_products(session, job, report, headers)
    jobs.end(session, job, "done")
    return made


def _read_trace(path: Path) -> str | None:
    """Return what the interpreter wrote when it died; None if the job had not begun."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:20_000]
    except FileNotFoundError:
        return None
    finally:
        path.unlink(missing_ok=True)
