"""``GET /api/``: what runs here, for anybody."""

from __future__ import annotations

from pydantic import Field

from goodman_live import __version__
from goodman_live.server_extension import dask_pages
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.schemas import Answer


class Status(Answer):
    """State of the service."""

    name: str
    version: str
    status: str = Field(description="ok, or starting.")
    queue: int = Field(description="Jobs that wait or run.")
    dashboard: str = Field("", description="Where staff find the Dask dashboard, if there is one.")


class StatusHandler(ApiHandler):
    """The service itself."""

    @operation(
        id="api_status_read",
        summary="State of the service",
        tag="service",
        access=Access.ANYONE,
        answer=Status,
    )
    async def get(self) -> Status:
        """Return version, state and depth of the queue."""
        started = self.backend.started
        queue = await self.backend.queue_depth() if started else 0
        return Status(
            name="Goodman Live",
            version=__version__,
            status="ok" if started else "starting",
            queue=queue,
            dashboard=dask_pages.PATH.lstrip("/") if self._shows_dask() else "",
        )

    def _shows_dask(self) -> bool:
        return self.backend.started and self.backend.engine.cluster.has_dashboard
