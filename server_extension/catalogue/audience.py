"""The columns that decide who may see a row: the same on frames, jobs, events and logs."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLAlchemy reads the annotation at run time)

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column


class Audience:
    """Mixin of what `visible_to` looks at.

    Jobs, events and logs carry a copy of their frame's values, so that an event about a frame
    that is gone still reaches only those who could see the frame. A row with no proposal and a
    data type other than 1 is for staff alone.
    """

    proposal_id: Mapped[str] = mapped_column(String(80), default="")
    """SOAR id of the proposal, empty if none."""
    data_type: Mapped[int] = mapped_column(default=0)
    """0 raw, 1 master, 2 reduced, 3 extracted, 4 wavelength, 5 flux calibrated."""
    public_date: Mapped[datetime | None]
    """Midnight UTC from which it is public by its own header (L1PUBDAT), if that says so."""
    owner_id: Mapped[int | None]
    """User to whom a private version belongs; None for what its proposal shares."""


def audience_of(row: Audience) -> dict[str, object]:
    """Return the audience columns of `row`, to copy onto another."""
    return {
        "proposal_id": row.proposal_id,
        "data_type": row.data_type,
        "public_date": row.public_date,
        "owner_id": row.owner_id,
    }
