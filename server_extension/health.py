"""``/api/metrics`` and ``/api/health``: for who keeps the service running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from sqlalchemy import text

from goodman_live import __version__
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Health(Answer):
    """What works."""

    status: str = Field(description="ok, or what does not work.")
    version: str
    database: str = Field(description="sqlite or postgresql.")
    database_ms: float = Field(description="Time of the simplest query.")
    data_root_free_bytes: int


class MetricsHandler(ApiHandler):
    """Numbers for Prometheus."""

    @operation(
        id="api_metrics_read",
        summary="Metrics for Prometheus",
        tag="service",
        access=Access.OPERATOR,
        media=("text/plain",),
    )
    async def get(self) -> None:
        """Answer in Prometheus' text format."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest())


class HealthHandler(ApiHandler):
    """Whether everything works."""

    @operation(
        id="api_health_read",
        summary="Health",
        tag="service",
        access=Access.OPERATOR,
        answer=Health,
    )
    async def get(self) -> Health:
        """Ask the database and look at the disk."""
        took_ms = await self.backend.read(time_query_ms)
        return Health(
            status="ok",
            version=__version__,
            database=self.backend.catalogue.dialect,
            database_ms=took_ms,
            data_root_free_bytes=self.backend.free_bytes(),
        )


def time_query_ms(session: Session) -> float:
    """Return how long the simplest query takes, in milliseconds."""
    start = time.perf_counter()
    session.execute(text("SELECT 1"))
    return 1000 * (time.perf_counter() - start)
