"""What helps to point and to focus: acquisition images and runs through focus, as they come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from goodman_live.pipeline.core.acquisition import names_acquisition
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.focus import focus_key, split_runs
from goodman_live.pipeline.core.info import Kind
from goodman_live.server_extension.catalogue.errors import ConflictError
from goodman_live.server_extension.catalogue.facts import info_of
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.engine import blocks, jobs
from goodman_live.server_extension.engine.drafts import (
    draft_of,
    original_of,
    raws_like,
    settings_for,
    shared_arcs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.engine.draft import Draft

MOST = 30
"""Frames of a focus run at most, the newest: each is read again when one comes."""


def draft_focus(session: Session, raw: Frame, overrides: Mapping[str, Any] | None = None) -> Draft:
    """Return the measurement of the focus run that a raw frame belongs to.

    Raises
    ------
    ConflictError
        If it is no focus frame.
    """
    if raw.kind != Kind.FOCUS or raw.data_type != 0:
        raise ConflictError(
            f"{raw.file_name} is no raw focus frame.", remedy="Give a raw focus frame.", field="id"
        )
    run = run_of(session, raw)
    draft = draft_of(
        session,
        blocks.FOCUS,
        run[-1],
        run[-1],
        {blocks.FOCUS.main: list(reversed(run))},
        settings_for(session, raw.proposal_id, overrides),
        {},
        overrides,
    )
    group = f"focus {run[0].original_file or run[0].file_name} {run[0].id}"[:255]
    return replace(draft, group=group)


def run_of(session: Session, raw: Frame) -> list[Frame]:
    """Return the frames of the focus run of `raw`, oldest first: one set-up, without a pause."""
    wanted = focus_key(info_of(raw))
    rows = [
        row
        for row in raws_like(session, raw, Frame.proposal_id == raw.proposal_id)
        if row.start is not None and focus_key(info_of(row)) == wanted
    ]
    runs = ([rows[k] for k in run] for run in split_runs([row.start for row in rows]))
    mine = next((run for run in runs if any(one.id == raw.id for one in run)), [raw])
    return mine[-MOST:]


def is_acquisition(raw: Frame) -> bool:
    """Tell whether a frame was taken to point: the slit is in, or its name says so."""
    if raw.kind == Kind.ACQUISITION:
        return True
    named = names_acquisition(raw.object_name or "", raw.file_name)
    return raw.kind == Kind.IMAGE and named


def draft_pointing(session: Session, raw: Frame, reduction: Draft) -> Draft | None:
    """Return the measurement of an acquisition image, once it is reduced.

    Parameters
    ----------
    raw : Frame
        Raw frame.
    reduction : Draft
        The reduction that it has now.

    Returns
    -------
    Draft or None
        None for other frames, and while no image shows where the slit is.
    """
    if raw.technique != "Imaging" or not is_acquisition(raw):
        return None
    job = jobs.find_equal(session, reduction)
    made = jobs.products_of(session, job) if job is not None else []
    reduced = next((frame for frame in made if not frame.role), None)
    if reduced is None:
        return None
    try:
        return draft_acquisition(session, reduced)
    except MissingCalibrationError:
        return None


def draft_acquisition(
    session: Session, reduced: Frame, overrides: Mapping[str, Any] | None = None
) -> Draft:
    """Return the measurement of a reduced direct image, with the slit as it was seen last.

    Raises
    ------
    MissingCalibrationError
        If it has no slit in the light and no image of this camera and night shows it.
    """
    raw = original_of(session, reduced)
    inputs: dict[str, Sequence[Frame]] = {"reduced": [reduced]}
    slit = _slit_image(session, raw)
    if slit is not None:
        inputs["slit"] = [slit]
    elif raw.slit_arcsec is None:
        raise MissingCalibrationError(
            f"No image of this camera and night shows where the slit is in {raw.file_name}.",
            remedy="Take a direct image with the slit in the light.",
            field="slit",
        )
    settings = settings_for(session, raw.proposal_id, overrides)
    return draft_of(session, blocks.ACQUISITION, reduced, raw, inputs, settings, {}, overrides)


def _slit_image(session: Session, raw: Frame) -> Frame | None:
    """Return the reduced image that shows the slit: the last before `raw`, else the next."""
    rows = session.scalars(
        select(Frame)
        .where(
            Frame.role == blocks.ROLES[blocks.ACQUISITION.name],
            Frame.data_type == blocks.ACQUISITION.makes,
            Frame.camera == raw.camera,
            Frame.night == raw.night,
            Frame.is_current,
            Frame.owner_id.is_(None),
            Frame.original_id != raw.id,
            or_(*shared_arcs(raw)),
        )
        .order_by(Frame.start)
    ).all()
    seen = [row for row in rows if row.quality.get("slit_seen")]
    if not seen or raw.start is None:
        return None
    before = [row for row in seen if row.start is not None and row.start <= raw.start]
    chosen = before[-1] if before else seen[0]
    return session.get(Frame, chosen.parent_id) if chosen.parent_id else None


def helped_by(session: Session, made: Frame) -> list[int]:
    """Return the frames that a new focus run has measured, or that wait for a slit just seen."""
    if made.role == blocks.ROLES[blocks.FOCUS.name]:
        return [raw.id for raw in run_of(session, original_of(session, made))]
    if made.role != blocks.ROLES[blocks.ACQUISITION.name] or not made.quality.get("slit_seen"):
        return []
    raws = session.scalars(
        select(Frame).where(
            Frame.data_type == 0,
            Frame.kind.in_((Kind.ACQUISITION.value, Kind.IMAGE.value)),
            Frame.camera == made.camera,
            Frame.night == made.night,
            Frame.id != made.original_id,
            Frame.is_current,
        )
    )
    return [raw.id for raw in raws if is_acquisition(raw) and not _is_measured(session, raw)]


def _is_measured(session: Session, raw: Frame) -> bool:
    found = select(Frame.id).where(
        Frame.original_id == raw.id,
        Frame.role == blocks.ROLES[blocks.ACQUISITION.name],
        Frame.is_current,
    )
    return session.scalar(found.limit(1)) is not None
