"""The live engine as the service sees it: start, stop, submit, cancel, retry, events, intake."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.products.atomic import sweep
from goodman_live.server_extension.catalogue.models import LIVE_STATES, Frame, Job
from goodman_live.server_extension.catalogue.queries import get_frame
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER
from goodman_live.server_extension.disk import DiskGuard
from goodman_live.server_extension.engine import jobs, requests, triggers
from goodman_live.server_extension.engine.cluster import Cluster
from goodman_live.server_extension.engine.desk import Desk
from goodman_live.server_extension.engine.drafts import group_of, one_look
from goodman_live.server_extension.engine.events import EventStream
from goodman_live.server_extension.engine.marks import Marks
from goodman_live.server_extension.engine.profile import load_profile
from goodman_live.server_extension.engine.runner import Runner
from goodman_live.server_extension.engine.series import Series
from goodman_live.server_extension.intake.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.database import Catalogue
    from goodman_live.server_extension.catalogue.viewer import Viewer
    from goodman_live.server_extension.engine.profile import DaskProfile
    from goodman_live.server_extension.engine.work import Order

log = structlog.get_logger(__name__)

ASK_PATIENCE_S = 120.0
"""How long a person waits for what a worker finds out."""
ASK_PRIORITY = 100
"""Of such a question at Dask: before every job, for it is short."""
PLAN_BATCH = 5
"""Frames planned in one transaction: what it queues can begin when it ends."""
GIVE_WAY_S = 0.02
"""Seconds between two full batches: on SQLite other writers (the Hub's sign-in is another process)
find the lock free only if it is free for a while."""
LONG_S = 0.25
"""A batch that took longer gives way for `LONG_WAY_S`."""
LONG_WAY_S = 0.12
"""Who has waited for SQLite's lock for a while looks every 0.1 s: this long it is found free."""


class NoAnswerError(GoodmanError):
    """No worker found the time."""

    status = 503
    code = "no_answer"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an operator decides about the engine."""

    raw_roots: tuple[Path, ...]
    """Folders that raw frames may lie in; watched."""
    product_root: Path
    """Folder of the products."""
    work_dir: Path
    """Private folder of the engine, beside the products."""
    dask: str = ""
    """Name of a profile in ``dask_config/``, or path of a YAML file."""
    watch: bool = True
    """Take new files in the raw roots by themselves."""
    polling: bool | None = None
    """Look at the raw roots from time to time instead of being told; None finds out."""
    least_free_bytes: int = 0
    """Below this much free space nothing new is taken; 0 only watches."""
    coalesce_s: float = 3.0
    """Least quiet time after which a master is rebuilt with the frames that came since; a series
    of frames that come slowly is waited for (`series.Series`)."""


class Engine:
    """Takes frames, decides what is to be done, has it done on Dask, and tells.

    Parameters
    ----------
    catalogue : Catalogue
        Migrated database.
    settings : EngineSettings
        What the operator decides.
    profile : DaskProfile, optional
        Instead of the one that ``settings.dask`` names.

    Attributes
    ----------
    events : EventStream
        ``subscribe(viewer, last_id)`` yields what happens.
    intake : Intake
        ``await intake.take(path)`` takes one file.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        settings: EngineSettings,
        *,
        profile: DaskProfile | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.settings = settings
        self.cluster = Cluster(profile or load_profile(settings.dask))
        self.events = EventStream(catalogue)
        self._desk = Desk(catalogue, self.events)
        written = (settings.product_root, settings.work_dir)
        self.disk = DiskGuard(written, settings.least_free_bytes)
        self.intake = Intake(self._desk, catalogue, settings, self._frame_taken, self.disk)
        self._runner = Runner(self._desk, self.cluster, settings.work_dir, self._job_done)
        self._dirty = Marks()
        self._series = Series(settings.coalesce_s)
        self._changed = asyncio.Event()
        self._planner: asyncio.Task[None] | None = None

    # --- start and stop ---

    async def start(self) -> None:
        """Resume what was queued or running, start the cluster, look for what came meanwhile."""
        self.events.bind(asyncio.get_running_loop())
        for folder in (self.settings.product_root, self.settings.work_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self.settings.work_dir.chmod(0o700)
        resumed = await self._desk.write(jobs.resume)
        for frame_id in await self._desk.read(triggers.unsettled):
            self._mark(frame_id, by_the_way=True)
        await self.cluster.start()
        await asyncio.to_thread(_sweep, self.settings.product_root)
        self._runner.start()
        self._planner = asyncio.create_task(self._plan_loop(), name="goodman-planner")
        if self.settings.watch:
            await self.intake.start()
        log.info("engine.started", resumed=resumed, unsettled=len(self._dirty))

    async def stop(self) -> None:
        """Stop; what runs or is queued goes on at the next start."""
        await self.intake.stop()
        if self._planner is not None:
            self._planner.cancel()
            with suppress(asyncio.CancelledError):
                await self._planner
        await self._runner.stop()
        await self.cluster.stop()
        self.events.close()
        await asyncio.to_thread(self._desk.close)
        log.info("engine.stopped")

    # --- what people ask ---

    async def submit(
        self,
        block: str,
        frame_id: int,
        *,
        user: Viewer = LOCAL_OWNER,
        overrides: Mapping[str, Any] | None = None,
        apertures: Sequence[Mapping[str, Any]] | None = None,
        priority: int = 0,
    ) -> Job:
        """Queue a block on a frame for a person; see `requests.request_job` for the rules.

        Parameters
        ----------
        block : str
            ``reduce``, ``extract``, ``calibrate_wavelength``, ``build_master_bias``, ...
        frame_id : int
            Any frame of the family; for a master one raw frame of its group.
        overrides : Mapping, optional
            Settings other than the proposal's, by name.
        apertures : Sequence of Mapping, optional
            Fields of `goodman_live.pipeline.core.aperture.Aperture`, for ``extract``.

        Returns
        -------
        Job
            Queued, running, or done already if equal work was.
        """
        job = await self._desk.write(
            requests.request_job,
            block,
            frame_id,
            product_root=self.settings.product_root,
            user=user,
            overrides=overrides,
            apertures=apertures,
            priority=priority,
        )
        self._runner.kick()
        return job

    async def cancel(self, job_id: int) -> Job:
        """Cancel a job that is queued or running; the caller has checked permission."""
        job = await self._desk.write(jobs.cancel, job_id)
        self._runner.job_was_cancelled(job_id)
        if job.original_id:
            self._mark(job.original_id)
        return job

    async def retry(self, job_id: int) -> Job:
        """Queue a failed or cancelled job again; the caller has checked permission."""
        job = await self._desk.write(jobs.retry, job_id)
        self._runner.kick()
        if job.original_id:
            self._mark(job.original_id)
        return job

    async def wait(self, job_id: int, timeout_s: float) -> Job:
        """Return a job when it is over, or as it is after `timeout_s`."""
        until = time.monotonic() + timeout_s
        with self.events.watching() as changed:
            while True:
                changed.clear()
                job = await asyncio.to_thread(self._job, job_id)
                left = until - time.monotonic()
                if job.state not in LIVE_STATES or left <= 0:
                    return job
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, 1.0)):
                        await changed.wait()

    def _job(self, job_id: int) -> Job:
        with self.catalogue.read() as session:
            return jobs.get_job(session, job_id)

    async def ask(self, work: Callable[[Order], dict[str, Any]], order: Order) -> dict[str, Any]:
        """Return what a worker finds out for a person who waits; nothing is recorded.

        Raises
        ------
        NoAnswerError
            If no worker answers in time.
        """
        future = self.cluster.client.submit(work, order, pure=False, priority=ASK_PRIORITY)
        answer: asyncio.Task[dict[str, Any]] = asyncio.ensure_future(future.result())
        try:
            done, _ = await asyncio.wait({answer}, timeout=ASK_PATIENCE_S)
            if not done or answer.cancelled():
                raise NoAnswerError("The workers are busy.", remedy="Try again in a minute.")
            return answer.result()
        finally:
            answer.cancel()
            future.release()

    async def add_file(self, path: Path) -> Frame:
        """Take a file under a raw root, waiting until it is whole.

        Raises
        ------
        BadFrameError
            If it lies elsewhere, or cannot be taken.
        """
        return await self.intake.take(path)

    async def replan(self, frame_id: int) -> None:
        """Look again at what a raw frame needs: its header, kind or settings were changed."""
        self._mark(frame_id)

    async def delete(self, frame_id: int, user: Viewer) -> None:
        """Delete a product for a person.

        Raises
        ------
        NotFoundError, ForbiddenError
            As `requests.delete_product`.
        """
        path = await self._desk.write(_delete, frame_id, user)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def write(self, work: Any, *args: Any, **named: Any) -> Any:
        """Run ``work(session, ...)`` in one transaction and wake the event stream."""
        return await self._desk.write(work, *args, **named)

    # --- what happens by itself ---

    async def _frame_taken(self, frame: Frame, *, backlog: bool) -> None:
        """Plan a frame that intake has just put into the catalogue."""
        if frame.kind not in triggers.CALIBRATIONS:
            self._mark(frame.id, self.settings.coalesce_s if backlog else 0.0)
            return
        at_once = not backlog and await self._desk.read(_master_is_due, frame.id)
        # One look serves the whole group, when no more of it have come for a while.
        now = time.monotonic()
        before, due = self._series.add(group_of(frame), frame.id, now, at_once=at_once)
        if before is not None:
            self._dirty.drop(before)
        self._mark(frame.id, due - now)

    async def _job_done(self, job: Job, made: list[Frame]) -> None:
        if job.owner_id is not None:
            return
        if job.original_id:
            self._mark(job.original_id)
        elif job.frame_id:
            self._mark(job.frame_id)
        for frame in made[:1]:
            for raw_id in await self._desk.read(triggers.touched_by, frame):
                self._mark(raw_id, by_the_way=True)

    def _mark(self, frame_id: int, delay_s: float = 0.0, *, by_the_way: bool = False) -> None:
        self._dirty.add(frame_id, time.monotonic() + delay_s, by_the_way=by_the_way)
        self._changed.set()

    async def _plan_loop(self) -> None:
        while True:
            now = time.monotonic()
            due = self._dirty.take(now, PLAN_BATCH)
            if not due:
                soonest = self._dirty.soonest(now + 60.0)
                self._changed.clear()
                # Not `wait_for`: in Python 3.11 it can swallow the cancellation of a stop.
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(soonest - now, 0.01)):
                        await self._changed.wait()
                continue
            began = time.monotonic()
            try:
                await self._desk.write(plan_frames, due, self.settings.product_root)
            except Exception:
                # The frames keep their state and are looked at again; the engine goes on.
                log.exception("planner.failed", frames=due)
                self._dirty.put_back(due, time.monotonic() + 10.0)
                await asyncio.sleep(1.0)
            self._runner.kick()
            # What was queued is claimed before the next batch takes the thread.
            if time.monotonic() - began > LONG_S:
                await asyncio.sleep(LONG_WAY_S)
            else:
                await asyncio.sleep(GIVE_WAY_S if len(due) == PLAN_BATCH else 0)

    @property
    def resting(self) -> bool:
        """True while nothing waits to be planned."""
        return not self._dirty


def plan_frames(session: Session, frame_ids: Iterable[int], product_root: Path) -> None:
    """Plan raw frames; one that cannot be planned says so and does not stop the others."""
    groups: set[str] = set()
    for frame_id in frame_ids:
        raw = session.get(Frame, frame_id)
        if raw is None:
            continue
        if raw.kind in triggers.CALIBRATIONS:
            group = group_of(raw)
            if group in groups:
                continue
            groups.add(group)
        try:
            with session.begin_nested(), one_look(session):
                triggers.plan(session, raw, product_root)
        except (GoodmanError, ValueError) as error:
            log.warning("plan.failed", frame=frame_id, error=str(error))
            triggers.settle(session, raw, triggers.Outcome("failed", str(error)))


def _master_is_due(session: Session, frame_id: int) -> bool:
    frame = session.get(Frame, frame_id)
    return frame is not None and triggers.master_is_due(session, frame)


def _sweep(product_root: Path) -> None:
    """Remove what workers of this host left half written when they were killed."""
    for folder in {part.parent for part in product_root.rglob(".*.part")}:
        for part in sweep(folder):
            log.info("file.swept", file=part.name)


def _delete(session: Session, frame_id: int, user: Viewer) -> Path:
    return requests.delete_product(session, get_frame(session, user, frame_id), user)
