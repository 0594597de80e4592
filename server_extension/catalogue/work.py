"""Tables of jobs: one run of a block, from queued to done."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLAlchemy reads it at run time)
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from goodman_live.hub.accounts.models import Base, utc_now
from goodman_live.server_extension.catalogue.audience import Audience

LIVE_STATES = ("queued", "running")
"""States of a job that is not over."""
STATES = (*LIVE_STATES, "done", "failed", "cancelled")
"""Every state of a job."""

_LIVE = text("state IN ('queued', 'running')")
_ASKED = text("user_id IS NOT NULL")


class Job(Audience, Base):
    """One run of a block. The same work is in the queue once (`key`)."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("uq_jobs_live_key", "key", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_jobs_queue", "state", "priority", "id"),
        Index("ix_jobs_names", "out_dir", "stem", "block"),
        # What people asked for, among the many that nobody did.
        Index(
            "ix_jobs_asked",
            *("proposal_id", "block"),
            sqlite_where=_ASKED,
            postgresql_where=_ASKED,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), index=True)
    """SHA-256 of inputs' checksums, block, settings, apertures, overlay and code version."""
    block: Mapped[str] = mapped_column(String(40))
    frame_id: Mapped[int | None] = mapped_column(
        ForeignKey("frames.id", ondelete="CASCADE"), index=True
    )
    """Frame that the block runs on; for a master the first of its raw frames."""
    original_id: Mapped[int | None] = mapped_column(
        ForeignKey("frames.id", ondelete="CASCADE"), index=True
    )
    """Raw frame that the chain began with."""
    group: Mapped[str] = mapped_column("group_key", String(255), default="", index=True)
    """For a master: camera, readout, configuration and night of the frames it combines."""
    user_id: Mapped[int | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    """Who asked; None for the triggers."""
    state: Mapped[str] = mapped_column(String(16), default="queued")
    priority: Mapped[int] = mapped_column(default=300)
    """Lower runs earlier; see `goodman_live.server_extension.engine.priority`."""
    progress: Mapped[float] = mapped_column(default=0.0)
    """From 0 to 1."""
    tries: Mapped[int] = mapped_column(default=0)
    """Starts that a worker did not survive, and the one that is running."""
    created: Mapped[datetime] = mapped_column(default=utc_now)
    started: Mapped[datetime | None]
    finished: Mapped[datetime | None]
    spec: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What to run: ``inputs`` (role to frame ids), ``settings``, ``overrides``, ``apertures``,
    ``provisional``, ``grade``, ``reasons``."""
    out_dir: Mapped[str] = mapped_column(String(1000), default="")
    stem: Mapped[str] = mapped_column(String(255), default="")
    """Name of the raw file without its ending, or of the master's group."""
    version: Mapped[int] = mapped_column(default=1)
    """Number of the version, unique for stem and block in `out_dir`."""
    error: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``code``, ``message``, ``remedy``, ``field``, ``traceback`` of a failure."""
    code_version: Mapped[str] = mapped_column(String(40), default="")
    worker: Mapped[str] = mapped_column(String(255), default="")

    log: Mapped[list[JobLog]] = relationship(
        cascade="all, delete-orphan", order_by="JobLog.id", passive_deletes=True
    )


class JobLog(Base):
    """One line of a job's log."""

    __tablename__ = "job_logs"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)
    level: Mapped[str] = mapped_column(String(8), default="info")
    message: Mapped[str] = mapped_column(Text)
