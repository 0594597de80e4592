"""The latency ledger: when each raw frame reached each stage, as rows and histograms."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy import select

from goodman_live.hub.accounts.models import utc_now
from goodman_live.server_extension.catalogue.models import LatencyStamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.models import Frame

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7, 10, 20, 30, 60, 120, 300, 900, 3600)

STAGE_LATENCY = Histogram(
    "goodman_stage_latency_seconds",
    "From the file being whole to the stage being reached and told.",
    ["stage"],
    buckets=_BUCKETS,
)
SHUTTER_LATENCY = Histogram(
    "goodman_shutter_latency_seconds",
    "From the shutter closing to the stage, for frames younger than a day.",
    ["stage"],
    buckets=_BUCKETS,
)
JOB_DURATION = Histogram(
    "goodman_job_duration_seconds", "Run time of a job.", ["block"], buckets=_BUCKETS
)
JOBS_FINISHED = Counter("goodman_jobs_finished", "Jobs that ended.", ["block", "state"])
QUEUE_DEPTH = Gauge("goodman_queue_jobs", "Jobs that are not over.", ["state"])
FRAMES_TAKEN = Counter("goodman_frames_taken", "Raw frames taken.", ["outcome"])

for _stage in ("catalogued", "reduce", "extract", "calibrate_wavelength"):
    STAGE_LATENCY.labels(_stage)
for _state in ("queued", "running"):
    QUEUE_DEPTH.labels(_state)
for _outcome in ("taken", "duplicate", "rejected"):
    FRAMES_TAKEN.labels(_outcome)


def stamp(
    session: Session,
    raw: Frame,
    stage: str,
    at: datetime | None = None,
    *,
    known: Mapping[str, datetime] | None = None,
) -> None:
    """Note that `raw` reached `stage`; only the first time counts.

    `known` are the stages reached before, read from the catalogue if they are not given.
    """
    if known is None:
        rows = session.execute(
            select(LatencyStamp.stage, LatencyStamp.at).where(LatencyStamp.frame_id == raw.id)
        )
        known = {row.stage: row.at for row in rows}
    if stage in known:
        return
    at = at or utc_now()
    session.add(LatencyStamp(frame_id=raw.id, stage=stage, at=at))
    if "whole" in known:
        STAGE_LATENCY.labels(stage).observe(max((at - known["whole"]).total_seconds(), 0.0))
    shutter = known.get("shutter")
    if shutter and timedelta(0) <= at - shutter < timedelta(days=1):
        SHUTTER_LATENCY.labels(stage).observe((at - shutter).total_seconds())


def shutter_closed(raw: Frame) -> datetime | None:
    """Return when the shutter closed, from the header."""
    return raw.start + timedelta(seconds=raw.exptime_s) if raw.start else None
