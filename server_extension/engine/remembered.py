"""Apertures that a person placed, kept for the next frames of the same target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.work import Job
from goodman_live.server_extension.engine.blocks import EXTRACT

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def remembered(session: Session, raw: Frame) -> list[dict[str, Any]] | None:
    """Return the apertures for a raw spectrum that nobody has touched yet.

    What a person last wished for an earlier frame of the same target counts: the same object of
    the same proposal, taken in the same night with the same set-up, so that the target lies on
    the same rows. A wish to find the targets automatically ends what was remembered.
    """
    if not raw.object_name or raw.mid is None:
        return None
    asked = (
        Job.proposal_id == raw.proposal_id,
        Job.block == EXTRACT.name,
        Job.user_id.is_not(None),
    )
    # Most nights nobody has: told by an index, without the joins below.
    if session.scalar(select(Job.id).where(*asked).limit(1)) is None:
        return None
    taken = aliased(Frame)
    same = [
        getattr(taken, name) == getattr(raw, name)
        for name in (
            *("proposal_id", "object_name", "night", "camera", "kind"),
            *("grating", "wavmode", "slit", "roi", "xbin", "ybin"),
        )
    ]
    job = session.scalar(
        select(Job)
        .join(Frame, Frame.job_id == Job.id)
        .join(taken, Frame.original_id == taken.id)
        .where(
            *asked,
            Frame.is_current,
            Frame.owner_id.is_(None),
            taken.id != raw.id,
            taken.mid < raw.mid,
            *same,
        )
        .order_by(Job.finished.desc(), Job.id.desc())
        .limit(1)
    )
    return None if job is None else job.spec.get("apertures")
