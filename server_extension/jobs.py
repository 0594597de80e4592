"""``/api/jobs/``: what runs, ran and failed, with progress and log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from sqlalchemy import func, select

from goodman_live.hub.accounts.models import User
from goodman_live.server_extension.catalogue.errors import ForbiddenError, NotFoundError
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import may_change, visible_to
from goodman_live.server_extension.catalogue.work import LIVE_STATES, Job
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import JobDetail, JobLine, JobModel, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer


class JobQuery(Strict):
    """One page of jobs."""

    status: list[Literal["queued", "running", "done", "failed", "cancelled"]] | None = None
    block: list[str] | None = None
    file_id: int | None = Field(None, ge=0, le=LARGEST, description="Jobs on this file.")
    proposal_id: list[str] | None = None
    page: int = Field(1, ge=1, le=10**9)
    page_size: int = Field(20, ge=1, le=500)


class JobAction(Strict):
    """What to do with a job."""

    action: Literal["cancel", "retry"]


class JobPage(Page[JobModel]):
    """One page of jobs, newest first."""


class JobsHandler(ApiHandler):
    """All jobs that the reader may see."""

    @operation(
        id="api_jobs_list",
        summary="Jobs, newest first",
        tag="jobs",
        query=JobQuery,
        answer=JobPage,
    )
    async def get(self, query: JobQuery) -> JobPage:
        """Return one page of jobs."""
        page: JobPage = self.linked(
            await self.backend.read(page_of_jobs, self.viewer, query), query
        )
        return page


class JobHandler(ApiHandler):
    """One job."""

    @operation(id="api_jobs_read", summary="One job with its log", tag="jobs", answer=JobDetail)
    async def get(self, id: int) -> JobDetail:  # noqa: A002 (the path's own name)
        """Return a job with progress and log."""
        return await self.backend.read(job_detail, self.viewer, id)

    @operation(
        id="api_jobs_create",
        summary="Cancel or retry a job",
        tag="jobs",
        body=JobAction,
        answer=JobModel,
        status=202,
        errors=(409,),
    )
    async def post(self, id: int, body: JobAction) -> JobModel:  # noqa: A002
        """Cancel a job that is not over, or queue one again that failed or was cancelled."""
        await self.backend.read(check_may_steer, self.viewer, id)
        engine = self.backend.engine
        await (engine.cancel(id) if body.action == "cancel" else engine.retry(id))
        return await self.backend.read(job_model, self.viewer, id)


def page_of_jobs(session: Session, viewer: Viewer, query: JobQuery) -> JobPage:
    """Return one page of the jobs that `viewer` may see."""
    where = [visible_to(viewer, Job)]
    for column, values in (
        (Job.state, query.status),
        (Job.block, query.block),
        (Job.proposal_id, query.proposal_id),
    ):
        if values:
            where.append(column.in_(values))
    if query.file_id is not None:
        where.append(Job.frame_id == query.file_id)
    count = session.scalar(select(func.count()).select_from(Job).where(*where)) or 0
    rows = session.scalars(
        select(Job)
        .where(*where)
        .order_by(Job.id.desc())
        .offset((query.page - 1) * query.page_size)
        .limit(query.page_size)
    ).all()
    return JobPage(
        count=count, next=None, previous=None, results=job_models(session, viewer, rows)
    )


def job_models(session: Session, viewer: Viewer, jobs: Sequence[Job]) -> list[JobModel]:
    """Return jobs as they travel, with the names of who asked and the products they made."""
    names, made = _names(session, jobs), _products(session, viewer, jobs)
    return [
        JobModel.model_construct(
            **JobModel.values_of(job, user=names.get(job.user_id), products=made.get(job.id, []))
        )
        for job in jobs
    ]


def get_job(session: Session, viewer: Viewer, job_id: int) -> Job:
    """Return one job.

    Raises
    ------
    NotFoundError
        If there is none of this id, or `viewer` may not see it.
    """
    job = session.scalar(select(Job).where(Job.id == job_id, visible_to(viewer, Job)))
    if job is None:
        raise NotFoundError(f"There is no job {job_id}.", field="id")
    return job


def check_may_steer(session: Session, viewer: Viewer, job_id: int) -> None:
    """Check that `viewer` may cancel or retry a job: who asked for it, members, staff.

    Raises
    ------
    ForbiddenError
        If they only see it.
    """
    job = get_job(session, viewer, job_id)
    asked = job.user_id is not None and job.user_id == viewer.user_id
    if not asked and not may_change(session, viewer, job):
        raise ForbiddenError(f"Job {job_id} is not yours to cancel or retry.")


def job_model(session: Session, viewer: Viewer, job_id: int) -> JobModel:
    """Return one job as it travels."""
    return job_models(session, viewer, [get_job(session, viewer, job_id)])[0]


def job_detail(session: Session, viewer: Viewer, job_id: int) -> JobDetail:
    """Return one job with its log."""
    job = get_job(session, viewer, job_id)
    plain = job_models(session, viewer, [job])[0]
    return JobDetail.model_construct(
        **plain.__dict__,
        settings=(job.spec or {}).get("settings") or {},
        apertures=(job.spec or {}).get("apertures"),
        log=[JobLine(at=line.at, level=line.level, message=line.message) for line in job.log],
    )


def count_live_jobs(session: Session) -> int:
    """Return how many jobs wait or run."""
    return session.scalar(select(func.count()).where(Job.state.in_(LIVE_STATES))) or 0


def _names(session: Session, jobs: Sequence[Job]) -> dict[int | None, str]:
    wanted = {job.user_id for job in jobs if job.user_id is not None}
    if not wanted:
        return {}
    rows = session.execute(select(User.id, User.username).where(User.id.in_(wanted)))
    return dict(rows.tuples().all())


def _products(
    session: Session, viewer: Viewer, jobs: Sequence[Job]
) -> dict[int | None, list[int]]:
    rows = session.execute(
        select(Frame.job_id, Frame.id)
        .where(Frame.job_id.in_([job.id for job in jobs]), visible_to(viewer))
        .order_by(Frame.id)
    )
    found: dict[int | None, list[int]] = {}
    for job_id, frame_id in rows:
        found.setdefault(job_id, []).append(frame_id)
    return found
