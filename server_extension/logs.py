"""``/api/logs/``: what concerns the reader's proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, Field
from sqlalchemy import func, select

from goodman_live.server_extension.catalogue.activity import LogEntry
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import LogModel, Page

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer


class LogQuery(Strict):
    """One page of the log."""

    level: list[Literal["info", "warning", "error"]] | None = None
    source: list[str] | None = None
    proposal_id: list[str] | None = None
    file_id: int | None = Field(None, ge=0, le=LARGEST)
    job_id: int | None = Field(None, ge=0, le=LARGEST)
    since: AwareDatetime | None = Field(None, description="Nothing older.")
    search: str = Field("", max_length=200)
    page: int = Field(1, ge=1, le=10**9)
    page_size: int = Field(50, ge=1, le=500)


class LogPage(Page[LogModel]):
    """One page of the log, newest first."""


class LogsHandler(ApiHandler):
    """The log."""

    @operation(
        id="api_logs_list", summary="Log, newest first", tag="logs", query=LogQuery, answer=LogPage
    )
    async def get(self, query: LogQuery) -> LogPage:
        """Return one page of what the reader may see."""
        page: LogPage = self.linked(
            await self.backend.read(page_of_log, self.viewer, query), query
        )
        return page


def page_of_log(session: Session, viewer: Viewer, query: LogQuery) -> LogPage:
    """Return one page of the entries that `viewer` may see."""
    where = [visible_to(viewer, LogEntry)]
    for column, values in (
        (LogEntry.level, query.level),
        (LogEntry.source, query.source),
        (LogEntry.proposal_id, query.proposal_id),
    ):
        if values:
            where.append(column.in_(values))
    if query.file_id is not None:
        where.append(LogEntry.frame_id == query.file_id)
    if query.job_id is not None:
        where.append(LogEntry.job_id == query.job_id)
    if query.since is not None:
        where.append(LogEntry.at >= query.since)
    if query.search:
        where.append(LogEntry.message.icontains(query.search, autoescape=True))
    count = session.scalar(select(func.count()).select_from(LogEntry).where(*where)) or 0
    rows = session.scalars(
        select(LogEntry)
        .where(*where)
        .order_by(LogEntry.id.desc())
        .offset((query.page - 1) * query.page_size)
        .limit(query.page_size)
    )
    return LogPage(count=count, next=None, previous=None, results=[LogModel.of(r) for r in rows])
