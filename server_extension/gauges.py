"""Numbers that are looked up when monitoring asks, beside those that are counted as they happen.

What is counted as it happens stands where it happens (`engine.latency`, `disk`); requests are
counted by Jupyter Server (``http_request_duration_seconds``), memory, processor and open files of
this process by prometheus_client (``process_*``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge
from sqlalchemy import func, select

from goodman_live.hub.accounts.models import OutgoingMail
from goodman_live.server_extension.catalogue.models import Event

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

BACKUP_MARK = "last-backup"
"""File in the data root whose time is that of the last backup."""
LETTER_STATES = ("waiting", "failed")

DATABASE_QUERY = Gauge("goodman_database_query_seconds", "Time of the simplest query.")
DASK_WORKERS = Gauge("goodman_dask_workers", "Jobs that can run at once; 0 without a scheduler.")
EVENT_STREAMS = Gauge("goodman_event_streams", "Open streams of events.")
PICTURES = Gauge("goodman_pictures_bytes", "Memory of the pictures that are kept.")
LAST_EVENT = Gauge("goodman_last_event_id", "Number of the newest event.")
LETTERS = Gauge("goodman_letters", "Letters that are not sent.", ["state"])
LAST_BACKUP = Gauge("goodman_last_backup_timestamp_seconds", "Of the last backup; 0 for none.")


def look_in_catalogue(session: Session) -> None:
    """Set the gauges that the catalogue knows."""
    counted = select(OutgoingMail.state, func.count()).group_by(OutgoingMail.state)
    letters: dict[str, int] = dict(list(session.execute(counted).tuples()))
    for state in LETTER_STATES:
        LETTERS.labels(state).set(letters.get(state, 0))
    LAST_EVENT.set(session.scalar(select(func.max(Event.id))) or 0)


def look_for_backup(data_root: Path) -> None:
    """Set the time of the last backup."""
    mark = data_root / BACKUP_MARK
    LAST_BACKUP.set(mark.stat().st_mtime if mark.exists() else 0)
