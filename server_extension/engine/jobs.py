"""The state machine of jobs, as transactions on the catalogue.

``queued`` → ``running`` → ``done`` or ``failed``; ``cancelled`` from the first two; ``failed``
and ``cancelled`` go back to ``queued`` when somebody retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from goodman_live.hub.accounts.models import utc_now
from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError
from goodman_live.server_extension.catalogue.models import (
    LIVE_STATES,
    Frame,
    Job,
    JobLog,
    LogEntry,
    audience_of,
)
from goodman_live.server_extension.engine.blocks import MASTERS
from goodman_live.server_extension.engine.draft import CODE_VERSION
from goodman_live.server_extension.engine.events import job_event, last_event_id
from goodman_live.server_extension.engine.latency import JOB_DURATION, JOBS_FINISHED, QUEUE_DEPTH
from goodman_live.server_extension.engine.work import BEGUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.engine.draft import Draft

MOST_TRIES = 3
"""Starts that a worker may not survive before the job is set aside."""


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf a job is queued."""

    user_id: int | None = None
    """Who asked; None for the triggers."""
    owner_id: int | None = None
    """To whom the products will belong alone; None if they are the proposal's."""


def find_equal(session: Session, draft: Draft, asker: Asker | None = None) -> Job | None:
    """Return the newest job of equal work, whatever its state and the code it ran on.

    A job whose products were deleted does not count; the mask beside one is none by itself.
    """
    owner = asker.owner_id if asker else None
    keys: dict[str, str] = {}
    same = (Job.frame_id == draft.frame.id, Job.block == draft.block.name)
    for job in session.scalars(select(Job).where(*same).order_by(Job.id.desc())):
        version = job.code_version
        if version not in keys:
            keys[version] = draft.key(version, owner)
        if job.key != keys[version] or job.error.get("code") == REPLACED:
            continue
        if job.state != "done" or any(one.role != MASK for one in products_of(session, job)):
            return job
    return None


def products_of(session: Session, job: Job) -> list[Frame]:
    """Return the frames that a job made and that are still there."""
    return list(session.scalars(select(Frame).where(Frame.job_id == job.id).order_by(Frame.id)))


def enqueue(
    session: Session,
    draft: Draft,
    *,
    out_dir: Path,
    priority: int,
    asker: Asker | None = None,
) -> Job:
    """Queue a job for `draft`."""
    asker = asker or Asker()
    stem = draft.group or Path(draft.frame.file_name).name.removesuffix(".fz")
    stem = stem.removesuffix(".fits")[:255]
    last = session.scalar(
        select(func.max(Job.version)).where(
            Job.out_dir == str(out_dir), Job.stem == stem, Job.block == draft.block.name
        )
    )
    audience = audience_of(draft.frame)
    audience["owner_id"] = asker.owner_id or draft.frame.owner_id
    job = Job(
        key=draft.key(owner_id=asker.owner_id),
        block=draft.block.name,
        frame_id=draft.frame.id,
        original_id=None if draft.block.name in MASTERS else draft.frame.original_file_id,
        group=draft.group,
        user_id=asker.user_id,
        priority=priority,
        spec={**draft.spec(), RANK: last_event_id(session)},
        out_dir=str(out_dir),
        stem=stem,
        version=(last or 0) + 1,
        code_version=CODE_VERSION,
        state="queued",
        **audience,
    )
    session.add(job)
    session.flush()
    job_event(session, job)
    return job


def claim(session: Session) -> Job | None:
    """Take the most urgent queued job and mark it running."""
    job = session.scalar(
        select(Job).where(Job.state == "queued").order_by(Job.priority, Job.id).limit(1)
    )
    if job is None:
        return None
    job.state, job.started, job.finished = "running", utc_now(), None
    job.tries += 1
    job.progress, job.error = 0.0, {}
    job_event(session, job)
    return job


def note(session: Session, job_id: int, message: str, level: str = "info") -> None:
    """Add a line to a job's log."""
    session.add(JobLog(job_id=job_id, message=message[:20_000], level=level))


def end(session: Session, job: Job, state: str, error: dict[str, Any] | None = None) -> None:
    """Mark a job as over, and say so in the logs if it failed."""
    job.state, job.finished, job.error = state, utc_now(), error or {}
    job.progress = 1.0 if state == "done" else job.progress
    JOBS_FINISHED.labels(job.block, state).inc()
    if job.started:
        JOB_DURATION.labels(job.block).observe((job.finished - job.started).total_seconds())
    if state == "failed":
        message = str(job.error.get("message", ""))
        note(session, job.id, message, "error")
        session.add(
            LogEntry(
                level="error",
                source="engine",
                message=f"{job.block} failed: {message}",
                frame_id=job.frame_id,
                job_id=job.id,
                user_id=job.user_id,
                **audience_of(job),
            )
        )
    job_event(session, job)


def worker_died(session: Session, job: Job, traceback: str) -> None:
    """Queue a job again whose worker died, or set it aside after too many."""
    note(session, job.id, f"The worker died, try {job.tries} of {MOST_TRIES}.", "warning")
    if job.tries < MOST_TRIES:
        put_back(session, job)
        return
    end(
        session,
        job,
        "failed",
        {
            "code": "killed_worker",
            "message": f"The worker died {job.tries} times in this step; the frame is set aside.",
            "remedy": "Look at the traceback, then retry the job.",
            "field": "",
            "traceback": traceback,
        },
    )


def put_back(session: Session, job: Job) -> None:
    """Queue a running job again."""
    job.state, job.started, job.progress, job.worker = "queued", None, 0.0, ""
    job_event(session, job)


INPUT_GONE = "input_gone"
PASSING = frozenset({"disk_full", INPUT_GONE})
"""Codes of failures that are nobody's fault and may be over: tried again at the next start."""


def resume(session: Session) -> int:
    """Queue what was running when the service ended, and what failed for a passing reason.

    Returns how many.
    """
    passing = Job.error["code"].as_string().in_(PASSING)
    failed = select(Job).where(Job.state == "failed", passing).order_by(Job.id)
    again = [job for job in session.scalars(failed).all() if _is_latest(session, job)]
    for job in again:
        note(session, job.id, "Tried again at the start of the service.")
        job.tries, job.error, job.finished = 0, {}, None
        put_back(session, job)
    lost = session.scalars(select(Job).where(Job.state == "running")).all()
    for job in lost:
        job.tries = max(job.tries - 1, 0)  # the service ended, not the job
        note(session, job.id, "The service ended during the run; queued again.", "warning")
        put_back(session, job)
    return len(lost) + len(again)


def revive(session: Session, job: Job) -> bool:
    """Queue a job again that failed for a file that is back; tell whether that was done."""
    if job.error.get("code") != INPUT_GONE or job.tries >= MOST_TRIES:
        return False
    numbers = [number for role in job.spec["inputs"].values() for number in role]
    frames = [session.get(Frame, number) for number in numbers]
    if any(frame is None or not frame.path.is_file() for frame in frames):
        return False
    note(session, job.id, "Its input is back; queued again.")
    job.error, job.finished = {}, None
    put_back(session, job)
    return True


def _is_latest(session: Session, job: Job) -> bool:
    """Tell whether no other job took over: the same work, or newer work on the same frame."""
    later = (Job.key == job.key) | ((Job.frame_id == job.frame_id) & (Job.block == job.block))
    query = select(Job.id).where(later, Job.id != job.id, Job.state != "failed", Job.id > job.id)
    return session.scalar(query.limit(1)) is None


def cancel(session: Session, job_id: int) -> Job:
    """Cancel a job that is not over.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If it is over.
    """
    job = get_job(session, job_id)
    if job.state not in LIVE_STATES:
        raise ConflictError(f"Job {job.id} is {job.state} already.", field="id")
    end(session, job, "cancelled")
    return job


def retry(session: Session, job_id: int) -> Job:
    """Queue a failed or cancelled job again, its tries counted anew.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If it is in another state, or equal work is in the queue.
    """
    job = get_job(session, job_id)
    if job.state not in {"failed", "cancelled"}:
        raise ConflictError(
            f"Job {job.id} is {job.state}.", remedy="Only a failed or cancelled job is retried."
        )
    twin = session.scalar(select(Job.id).where(Job.key == job.key, Job.state.in_(LIVE_STATES)))
    if twin is not None:
        raise ConflictError(f"Job {twin} does the same work.", field="id")
    job.tries, job.error, job.finished = 0, {}, None
    ask_again(session, job)
    put_back(session, job)
    return job


RANK = "rank"
"""Name in a job's spec of the event after which it was asked for: the order of asking."""


def rank_of(job: Job) -> int:
    """Return when a job was last asked for, in the order of events."""
    return int(job.spec.get(RANK, 0))


def ask_again(session: Session, job: Job) -> None:
    """Note that a job was asked for anew: what it makes, or made, counts as the latest wish."""
    job.spec = {**job.spec, RANK: last_event_id(session) + 1}


MASK = "mask"
"""Role of a frame's mask of cosmic rays."""
REPLACED = "replaced"
"""Code of a queued job that a better one replaced before it ran."""


def withdraw(session: Session, draft: Draft) -> None:
    """Cancel queued automatic jobs that `draft` replaces: better inputs came before they ran."""
    same = Job.group == draft.group if draft.group else Job.frame_id == draft.frame.id
    stale = session.scalars(
        select(Job).where(
            same,
            Job.block == draft.block.name,
            Job.state == "queued",
            Job.user_id.is_(None),
            Job.key != draft.key(),
        )
    )
    for job in stale:
        text = "Better inputs came before it ran; a newer job replaces it."
        note(session, job.id, text)
        end(session, job, "cancelled", {"code": REPLACED, "message": text})


def get_job(session: Session, job_id: int) -> Job:
    """Return a job.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    job = session.get(Job, job_id) if 0 < job_id < 2**31 else None
    if job is None:
        raise NotFoundError(f"There is no job {job_id}.", field="id")
    return job


def set_progress(session: Session, job_id: int, progress: float, worker: str) -> None:
    """Note how far a running job is, and tell of it once it is under way."""
    changed = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state == "running", Job.progress < progress)
        .values(progress=progress, worker=worker[:255])
        .returning(Job.progress)
    ).all()
    job = session.get(Job, job_id)
    if changed and job is not None and progress > BEGUN:
        job_event(session, job)


def gauge_queue(session: Session) -> dict[str, int]:
    """Set the gauges of the queue, and return its depth by state."""
    rows = session.execute(
        select(Job.state, func.count()).where(Job.state.in_(LIVE_STATES)).group_by(Job.state)
    ).all()
    depth = dict.fromkeys(LIVE_STATES, 0) | dict(rows)
    for state, number in depth.items():
        QUEUE_DEPTH.labels(state).set(number)
    return depth


def live_jobs(session: Session, frame_ids: Sequence[int]) -> list[Job]:
    """Return the jobs on these frames that are not over."""
    return list(
        session.scalars(select(Job).where(Job.frame_id.in_(frame_ids), Job.state.in_(LIVE_STATES)))
    )
