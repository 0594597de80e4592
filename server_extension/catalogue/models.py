"""Every table of the one database, by name."""

from __future__ import annotations

from goodman_live.hub.accounts.models import Base, Proposal, User
from goodman_live.server_extension.catalogue.activity import (
    Arrival,
    Comment,
    Event,
    KeptAnswer,
    LogEntry,
)
from goodman_live.server_extension.catalogue.audience import Audience, audience_of
from goodman_live.server_extension.catalogue.frames import (
    Frame,
    HeaderCards,
    HeaderRepair,
    LatencyStamp,
    ProductInput,
)
from goodman_live.server_extension.catalogue.hooks import Webhook
from goodman_live.server_extension.catalogue.tallies import FrameTally
from goodman_live.server_extension.catalogue.work import LIVE_STATES, STATES, Job, JobLog

__all__ = [
    "LIVE_STATES",
    "STATES",
    "Arrival",
    "Audience",
    "Base",
    "Comment",
    "Event",
    "Frame",
    "FrameTally",
    "HeaderCards",
    "HeaderRepair",
    "Job",
    "JobLog",
    "KeptAnswer",
    "LatencyStamp",
    "LogEntry",
    "ProductInput",
    "Proposal",
    "User",
    "Webhook",
    "audience_of",
]
