"""How many calibration frames make a master, and which form of a master flat a proposal uses.

Masters are shared by all. A proposal may be content with fewer frames than the observatory; then
the master is made with fewer for a night and set-up in which that proposal observes. A proposal
that asks for more than the observatory does not get masters of fewer. How a flat is
normalised is a proposal's own affair: the master is kept in counts too, and is normalised anew for
proposals that want it otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from goodman_live.hub.accounts.proposals import CALIBRATE
from goodman_live.pipeline.core.info import Kind
from goodman_live.server_extension.catalogue.models import Frame, Proposal
from goodman_live.server_extension.engine.blocks import FLAT, SHAPING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy.orm import Session

    from goodman_live.pipeline.settings import ReductionSettings

COUNTS = "counts"
"""Role of a master flat in counts, beside the normalised one."""


def minimum_of(kind: str) -> str:
    """Return the name of the setting for a kind of calibration frame."""
    return "minimum_bias" if kind == Kind.BIAS else "minimum_flats"


def least_frames(session: Session, raw: Frame, usual: int) -> int:
    """Return how many frames make the master of the group of `raw`.

    Parameters
    ----------
    raw : Frame
        A raw bias frame or flat.
    usual : int
        What the observatory asks for.

    Returns
    -------
    int
        The smallest number that the observatory, the frame's own proposal, or one that observes
        in this night, camera and binning is content with.
    """
    here = select(Frame.proposal_id).where(
        Frame.data_type == 0,
        Frame.night == raw.night,
        Frame.camera == raw.camera,
        Frame.xbin == raw.xbin,
        Frame.ybin == raw.ybin,
    )
    kept = session.scalars(select(Proposal.settings).where(Proposal.soar_id.in_(here)))
    name = minimum_of(raw.kind)
    wishes = [int(settings[name]) for settings in kept if _has_number(settings, name)]
    return min([usual, *wishes])


def _has_number(settings: Mapping[str, Any] | None, name: str) -> bool:
    value = (settings or {}).get(name)
    return isinstance(value, int) and value >= 2


def frames_behind(master: Frame) -> float:
    """Return how many raw frames a master was made from, those left out among them.

    Infinite where it does not tell, as one that was brought from elsewhere.
    """
    kept = master.quality.get("frames")
    return kept + master.quality.get("rejected", 0) if isinstance(kept, int) else float("inf")


def waiting_calibrations(session: Session, raw: Frame) -> list[Frame]:
    """Return one bias frame or flat of each kind that waits for its master beside `raw`."""
    rows = session.scalars(
        select(Frame)
        .where(
            Frame.data_type == 0,
            Frame.night == raw.night,
            Frame.kind.in_((Kind.BIAS.value, Kind.FLAT.value)),
            Frame.camera == raw.camera,
            Frame.xbin == raw.xbin,
            Frame.ybin == raw.ybin,
            Frame.is_current,
            Frame.state == "waiting",
        )
        .order_by(Frame.id)
    )
    return list(rows)


def wants_fewer(session: Session, raw: Frame, usual: ReductionSettings) -> bool:
    """Tell whether the proposal of `raw` is content with smaller masters than the observatory."""
    kept = session.scalar(select(Proposal.settings).where(Proposal.soar_id == raw.proposal_id))
    return raw.proposal_id != CALIBRATE and any(
        _has_number(kept, name) and int((kept or {})[name]) < getattr(usual, name)
        for name in ("minimum_bias", "minimum_flats")
    )


def flat_for(session: Session, flat: Frame, settings: ReductionSettings) -> Frame:
    """Return a master flat, or the same in counts where `settings` normalise it otherwise."""
    made_with = {**type(settings)().model_dump(), **flat.settings}
    if all(made_with[name] == getattr(settings, name) for name in SHAPING[FLAT.name]):
        return flat
    counts = session.scalar(
        select(Frame).where(Frame.job_id == flat.job_id, Frame.role == COUNTS).limit(1)
    )
    return counts or flat
