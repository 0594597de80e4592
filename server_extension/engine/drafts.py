"""Which job makes what from what: inputs chosen from the catalogue for each block."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError
from sqlalchemy import func, or_, select
from sqlalchemy.orm import defer

from goodman_live.hub.accounts.models import Proposal
from goodman_live.hub.accounts.proposals import CALIBRATE
from goodman_live.pipeline.core.choose import (
    GRADES,
    Choice,
    bias_key,
    choose_arcs,
    choose_master,
    flat_key,
)
from goodman_live.pipeline.core.errors import MissingCalibrationError, SettingsError
from goodman_live.pipeline.core.info import Kind
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.server_extension.catalogue.facts import info_of
from goodman_live.server_extension.catalogue.models import Frame, HeaderRepair, Job
from goodman_live.server_extension.catalogue.permission import public_to_all
from goodman_live.server_extension.engine import blocks
from goodman_live.server_extension.engine.draft import Draft
from goodman_live.server_extension.engine.minimums import (
    flat_for,
    frames_behind,
    least_frames,
    minimum_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy.orm import Session

log = structlog.get_logger(__name__)

NEAREST = 200
"""Candidates that are looked at, the nearest in time."""


_LONG = (Frame.settings, Frame.versions, Frame.timing, Frame.messages)
"""Columns of frames that hold much."""

_LOOK = "goodman.look"
"""Where a session keeps what `one_look` has read."""


@contextmanager
def one_look(session: Session) -> Iterator[None]:
    """Read the settings of a proposal and the mended headers of a frame once until the end."""
    session.info[_LOOK] = {}
    try:
        yield
    finally:
        del session.info[_LOOK]


def _once(session: Session, key: tuple[Any, ...], read: Callable[[], Any]) -> Any:
    found = session.info.get(_LOOK, {})
    if key not in found:
        found[key] = read()
    return found[key]


def settings_for(
    session: Session, proposal_id: str, overrides: Mapping[str, Any] | None = None
) -> ReductionSettings:
    """Return the settings of a proposal with `overrides` on top.

    Raises
    ------
    SettingsError
        If an override is not accepted.
    """
    stored: ReductionSettings = _once(
        session, ("settings", proposal_id), lambda: _stored_settings(session, proposal_id)
    )
    if not overrides:
        return stored
    try:
        return ReductionSettings(**{**stored.model_dump(), **overrides})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise SettingsError(f"Setting '{name}': {fault['msg']}.", field=name) from None


def _stored_settings(session: Session, proposal_id: str) -> ReductionSettings:
    kept = session.scalar(select(Proposal.settings).where(Proposal.soar_id == proposal_id))
    try:
        return ReductionSettings(**(kept or {}))
    except (ValidationError, TypeError):
        # Written by an older version; the defaults are better than no reduction.
        log.exception("settings.unreadable", proposal=proposal_id)
        return ReductionSettings()


def overlay_of(session: Session, raw_id: int) -> dict[str, str]:
    """Return the header values that people mended on a raw frame."""
    found: dict[str, str] = _once(session, ("overlay", raw_id), lambda: _overlay(session, raw_id))
    return found


def _overlay(session: Session, raw_id: int) -> dict[str, str]:
    rows = session.execute(
        select(HeaderRepair.keyword, HeaderRepair.used)
        .where(HeaderRepair.frame_id == raw_id, HeaderRepair.by_hand)
        .order_by(HeaderRepair.id)
    ).all()
    return dict(rows)


def draft_reduce(
    session: Session, raw: Frame, overrides: Mapping[str, Any] | None = None
) -> Draft:
    """Return the reduction of a raw frame with the best masters there are now."""
    settings = settings_for(session, raw.proposal_id, overrides)
    inputs: dict[str, Sequence[Frame]] = {"raw": [raw]}
    choices: dict[str, Choice] = {}
    if not settings.ignore_bias and raw.kind != Kind.BIAS:
        choices["bias"] = _add_master(session, raw, Kind.BIAS, inputs, settings)
    if not settings.ignore_flats and raw.kind not in {Kind.BIAS, Kind.DARK, Kind.FLAT, Kind.ARC}:
        choices["flat"] = _add_master(session, raw, Kind.FLAT, inputs, settings)
        if Kind.FLAT.value in inputs:
            (flat,) = inputs[Kind.FLAT.value]
            inputs[Kind.FLAT.value] = [flat_for(session, flat, settings)]
    return draft_of(session, blocks.REDUCE, raw, raw, inputs, settings, choices, overrides)


def draft_extract(
    session: Session,
    reduced: Frame,
    overrides: Mapping[str, Any] | None = None,
    apertures: Sequence[Mapping[str, Any]] | None = None,
) -> Draft:
    """Return the extraction of a reduced frame."""
    raw = original_of(session, reduced)
    settings = settings_for(session, reduced.proposal_id, overrides)
    inputs: dict[str, Sequence[Frame]] = {"reduced": [reduced]}
    return draft_of(
        session, blocks.EXTRACT, reduced, raw, inputs, settings, {}, overrides, apertures
    )


def draft_wavelength(
    session: Session, extracted: Frame, overrides: Mapping[str, Any] | None = None
) -> Draft:
    """Return the wavelength calibration of an extracted spectrum with the best arcs there are.

    Raises
    ------
    MissingCalibrationError
        If no reduced arc is suitable yet.
    """
    raw = original_of(session, extracted)
    settings = settings_for(session, extracted.proposal_id, overrides)
    arcs, choices = _once(session, ("arcs", raw.id), lambda: _choose_arcs(session, raw))
    inputs: dict[str, Sequence[Frame]] = {"extracted": [extracted], "arcs": arcs}
    return draft_of(
        session, blocks.WAVELENGTH, extracted, raw, inputs, settings, choices, overrides
    )


def draft_other(
    session: Session,
    block: blocks.Block,
    frame: Frame,
    overrides: Mapping[str, Any] | None = None,
) -> Draft:
    """Return a run of a block that needs nothing but its frame."""
    raw = original_of(session, frame)
    settings = settings_for(session, frame.proposal_id, overrides)
    return draft_of(session, block, frame, raw, {block.main: [frame]}, settings, {}, overrides)


def draft_master(
    session: Session,
    raw: Frame,
    overrides: Mapping[str, Any] | None = None,
    frames: Sequence[Frame] | None = None,
) -> Draft:
    """Return the build of the master of the group that a raw bias or flat belongs to.

    Raises
    ------
    MissingCalibrationError
        If the group is smaller than the minimum of the settings.
    """
    settings = settings_for(session, CALIBRATE, overrides)
    members = list(frames) if frames is not None else group_members(session, raw)
    bias = raw.kind == Kind.BIAS
    name = minimum_of(raw.kind)
    least = getattr(settings, name)
    if name not in (overrides or {}):
        least = least_frames(session, raw, least)
        settings = settings.model_copy(update={name: least})
    if len(members) < least:
        raise MissingCalibrationError(
            f"{len(members)} of {least} {raw.kind} frames of {setup_of(raw)} for a master.",
            remedy="Take more, or lower the minimum in the settings.",
            field=name,
        )
    inputs: dict[str, Sequence[Frame]] = {"raws": members}
    choices = {}
    if not bias and not settings.ignore_bias:
        choices["bias"] = _add_master(session, raw, Kind.BIAS, inputs, settings)
    block = blocks.BIAS if bias else blocks.FLAT
    draft = draft_of(session, block, raw, raw, inputs, settings, choices, overrides)
    # What was mended on one frame is not true of the others.
    return replace(draft, frame=members[0], overlay={}, group=group_of(raw))


def group_of(raw: Frame) -> str:
    """Return what the frames of one master have in common, night included."""
    info = info_of(raw)
    key = bias_key(info) if raw.kind == Kind.BIAS else flat_key(info)
    return f"{raw.kind} {raw.night} {key!r}"[:255]


def setup_of(raw: Frame) -> str:
    """Return the set-up of a frame in the words of a page."""
    words = [raw.camera, f"{raw.xbin}x{raw.ybin}"]
    if raw.kind != Kind.BIAS:
        words.append(raw.wavmode or raw.grating)
        words += [f for f in (raw.filter, raw.filter_2) if f not in {"", "NO_FILTER"}]
    return " ".join(word for word in words if word)


def group_members(session: Session, raw: Frame) -> list[Frame]:
    """Return the raw frames that would make one master with `raw`, oldest first."""
    wanted = group_of(raw)
    return [row for row in raws_like(session, raw) if group_of(row) == wanted]


def raws_like(session: Session, raw: Frame, *where: Any) -> list[Frame]:
    """Return the raw frames of the kind, night, camera and binning of `raw`, oldest first."""
    rows = session.scalars(
        select(Frame)
        .where(
            Frame.data_type == 0,
            Frame.kind == raw.kind,
            Frame.night == raw.night,
            Frame.camera == raw.camera,
            Frame.xbin == raw.xbin,
            Frame.ybin == raw.ybin,
            Frame.is_current,
            Frame.checksum.is_not(None),
            *where,
        )
        .order_by(Frame.start, Frame.id)
    )
    return list(rows)


def original_of(session: Session, frame: Frame) -> Frame:
    """Return the raw frame that `frame` descends from, or itself."""
    found = session.get(Frame, frame.original_id) if frame.original_id else None
    return found or frame


def draft_of(
    session: Session,
    block: blocks.Block,
    frame: Frame,
    raw: Frame,
    inputs: Mapping[str, Sequence[Frame]],
    settings: ReductionSettings,
    choices: Mapping[str, Choice],
    overrides: Mapping[str, Any] | None,
    apertures: Sequence[Mapping[str, Any]] | None = None,
) -> Draft:
    """Return a job from its inputs and how they were chosen."""
    grades = [choice.grade for choice in choices.values() if choice.grade]
    if frame.data_type >= 2 and frame.grade:
        grades.append(frame.grade)
    missing = any(choice.chosen is None for choice in choices.values())
    return Draft(
        block=block,
        frame=frame,
        inputs=inputs,
        settings=settings,
        overrides=dict(overrides or {}),
        apertures=apertures,
        overlay=overlay_of(session, raw.id),
        provisional=(frame.data_type > 1 and frame.provisional)
        or missing
        or any(choice.provisional for choice in choices.values()),
        grade=GRADES[-1] if missing else max(grades, default=GRADES[0]),
        reasons={role: choice.reasons for role, choice in choices.items()},
    )


def _add_master(
    session: Session,
    raw: Frame,
    kind: Kind,
    inputs: dict[str, Sequence[Frame]],
    settings: ReductionSettings,
) -> Choice:
    rows = _nearest(
        session,
        raw,
        Frame.data_type == 1,
        Frame.kind == kind.value,
        Frame.role == "",
        Frame.owner_id.is_(None),
    )
    name = minimum_of(kind)
    least: int = getattr(settings, name)
    if least <= getattr(settings_for(session, CALIBRATE), name):
        least = 0  # what the observatory has is enough
    enough = [row for row in rows if frames_behind(row) >= least]
    choice = choose_master(info_of(raw), [info_of(row) for row in enough], kind=kind)
    if choice.index is not None:
        inputs[kind.value] = [enough[choice.index]]
    elif len(enough) < len(rows):
        few = f"{len(rows) - len(enough)} of fewer frames than the {least} that are asked for"
        choice = replace(choice, reasons=(*choice.reasons, few))
    return choice


def _choose_arcs(session: Session, raw: Frame) -> tuple[list[Frame], dict[str, Choice]]:
    rows = _nearest(
        session,
        raw,
        Frame.data_type == 2,
        Frame.kind == Kind.ARC.value,
        Frame.role == "",
        Frame.owner_id.is_(None),
        or_(*shared_arcs(raw)),
    )
    choices = choose_arcs(info_of(raw), [info_of(row) for row in rows])
    arcs = [rows[choice.index] for choice in choices if choice.index is not None]
    if not arcs:
        raise MissingCalibrationError(
            # Only the first letter: names of gratings and modes are in capitals.
            f"{choices[0].reason[:1].upper()}{choices[0].reason[1:]}.",
            remedy="Take an arc with this set-up.",
        )
    best = min(choices, key=lambda choice: choice.grade)
    reasons = tuple(dict.fromkeys(text for choice in choices for text in choice.reasons))
    provisional = best.provisional or any(arc.provisional for arc in arcs)
    summary = Choice(best.chosen, best.index, best.grade, reasons, provisional)
    return arcs, {"arcs": summary}


def shared_arcs(raw: Frame) -> list[Any]:
    """Return the ways in which an arc may serve a frame of another proposal.

    An arc shows nobody's target, but its header and its name tell of who observed what and when,
    and both end up in the product. So only what every member may see anyway is used: arcs of the
    proposal itself, of the observatory, and public ones.
    """
    return [
        Frame.proposal_id == raw.proposal_id,
        Frame.proposal_id == CALIBRATE,
        public_to_all(Frame),
    ]


def _nearest(session: Session, raw: Frame, *where: Any) -> list[Frame]:
    """Return current frames of the same camera and binning, the nearest in time."""
    same = (
        Frame.camera == raw.camera,
        Frame.xbin == raw.xbin,
        Frame.ybin == raw.ybin,
        Frame.is_current,
        Frame.mid.is_not(None),
        *where,
    )
    # Choosing needs none of the long columns of so many rows.
    query = select(Frame).where(*same).options(*(defer(column) for column in _LONG)).limit(NEAREST)
    before = session.scalars(query.where(Frame.mid <= raw.mid).order_by(Frame.mid.desc())).all()
    after = session.scalars(query.where(Frame.mid > raw.mid).order_by(Frame.mid)).all()
    return [*before, *after]


def sticky(session: Session, raw: Frame, data_type: int) -> Job | None:
    """Return the job of the current product if a person asked for it: its wishes are kept."""
    job = session.scalar(
        select(Job)
        .join(Frame, Frame.job_id == Job.id)
        .where(
            Frame.original_id == raw.id,
            Frame.data_type == data_type,
            Frame.is_current,
            Frame.owner_id.is_(None),
            Frame.role == "",
        )
        .order_by(Job.id.desc())
        .limit(1)
    )
    return job if job is not None and (job.user_id is not None or _has_wishes(job)) else None


def _has_wishes(job: Job) -> bool:
    return bool(job.spec.get("overrides") or job.spec.get("apertures"))


def next_version(
    session: Session, raw_id: int, data_type: int, target: int | None, role: str = ""
) -> int:
    """Return the number of the next version of a product."""
    last = session.scalar(
        select(func.max(Frame.version)).where(
            Frame.original_id == raw_id,
            Frame.data_type == data_type,
            Frame.role == role,
            Frame.target.is_(None) if target is None else Frame.target == target,
        )
    )
    return (last or 0) + 1
