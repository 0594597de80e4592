"""Tables of what happens: events, comments, logs and the files that came."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLAlchemy reads it at run time)
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from goodman_live.hub.accounts.models import Base, utc_now
from goodman_live.server_extension.catalogue.audience import Audience


class Event(Audience, Base):
    """One entry of the ordered stream; ids only grow and are the resume mark."""

    __tablename__ = "events"
    __table_args__ = ({"sqlite_autoincrement": True},)  # an id is never given twice

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now)
    kind: Mapped[str] = mapped_column(String(40))
    """``frame.added frame.rejected frame.state frame.changed product.made product.removed
    job.changed comment.added comment.removed``."""
    frame_id: Mapped[int | None]
    job_id: Mapped[int | None]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the event as it travels."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "kind": self.kind,
            "proposal_id": self.proposal_id,
            "frame_id": self.frame_id,
            "job_id": self.job_id,
            **self.data,
        }


class Comment(Base):
    """What somebody wrote on a frame."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    author: Mapped[str] = mapped_column(String(150), default="")
    """Name at the time of writing, kept if the account goes."""
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(default=utc_now)
    last_modified: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)


class LogEntry(Audience, Base):
    """A line for the logs page: failures, rejections, what people did."""

    __tablename__ = "log_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    level: Mapped[str] = mapped_column(String(8), default="info")
    """``info``, ``warning`` or ``error``."""
    source: Mapped[str] = mapped_column(String(40), default="")
    """``intake``, ``engine``, ``api`` ..."""
    message: Mapped[str] = mapped_column(Text)
    frame_id: Mapped[int | None] = mapped_column(index=True)
    job_id: Mapped[int | None]
    user_id: Mapped[int | None]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Arrival(Base):
    """One path under the watch folder, as it was last seen: makes intake idempotent."""

    __tablename__ = "arrivals"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(1500), unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16), index=True)
    """``taken``, ``duplicate`` or ``rejected``."""
    reason: Mapped[str] = mapped_column(Text, default="")
    tries: Mapped[int] = mapped_column(default=0)
    frame_id: Mapped[int | None] = mapped_column(
        ForeignKey("frames.id", ondelete="SET NULL"), index=True
    )
    first_seen: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen: Mapped[datetime] = mapped_column(default=utc_now)


class KeptAnswer(Base):
    """The answer to a request that came with an Idempotency-Key."""

    __tablename__ = "kept_answers"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Who asked; 0 for the local owner of a server without accounts."""
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, address and body: a key stands for one request only."""
    created: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    status: Mapped[int | None]
    """HTTP status of the answer; None while the request is under way."""
    body: Mapped[str] = mapped_column(Text, default="")
