"""``/api/metrics`` and ``/api/health``: for who keeps the service running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field
from sqlalchemy import text

from goodman_live import __version__
from goodman_live.server_extension import gauges
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
    dask_workers: int = Field(description="Jobs that can run at once.")


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
        await self._look()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest())

    async def _look(self) -> None:
        backend = self.backend
        gauges.DATABASE_QUERY.set(await backend.read(time_query_ms) / 1000)
        await backend.read(gauges.look_in_catalogue)
        gauges.look_for_backup(backend.settings.data_root)
        gauges.DASK_WORKERS.set(await backend.engine.cluster.slots())
        gauges.EVENT_STREAMS.set(backend.engine.events.listeners)
        gauges.PICTURES.set(backend.pictures.held_bytes)
        backend.engine.disk.has_room()


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
        """Ask the database and the Dask scheduler, and look at the disk."""
        took_ms = await self.backend.read(time_query_ms)
        engine = self.backend.engine
        workers = await engine.cluster.slots()
        problems = [] if engine.disk.has_room() else [engine.disk.reason]
        if not workers:
            problems.append("There are no Dask workers: nothing is reduced.")
        return Health(
            status="; ".join(problems) or "ok",
            version=__version__,
            database=self.backend.catalogue.dialect,
            database_ms=took_ms,
            data_root_free_bytes=self.backend.free_bytes(),
            dask_workers=workers,
        )


def time_query_ms(session: Session) -> float:
    """Return how long the simplest query takes, in milliseconds."""
    start = time.perf_counter()
    session.execute(text("SELECT 1"))
    return 1000 * (time.perf_counter() - start)
