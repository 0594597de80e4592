"""What became possible: the jobs that a raw frame needs now, and what it still waits for.

`plan` compares what should exist, given the catalogue as it is, with what exists or is on its
way, and queues the difference. It can be run again at any time: equal work has an equal key. An
arc or a master that arrives makes other keys for just the frames it serves, so a change redoes
what it touches and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from goodman_live.hub.accounts.models import utc_now
from goodman_live.hub.accounts.proposals import CALIBRATE
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.info import Kind
from goodman_live.server_extension.catalogue.frames import UNFINISHED
from goodman_live.server_extension.catalogue.models import LIVE_STATES, Frame, Job
from goodman_live.server_extension.catalogue.reading import by_index
from goodman_live.server_extension.engine import jobs, products
from goodman_live.server_extension.engine.blocks import (
    ACQUISITION,
    FOCUS,
    ROLES,
    SUMMARIES,
    is_available,
)
from goodman_live.server_extension.engine.drafts import (
    draft_extract,
    draft_master,
    draft_reduce,
    draft_wavelength,
    group_members,
    group_of,
    settings_for,
    shared_arcs,
    sticky,
)
from goodman_live.server_extension.engine.events import frame_event
from goodman_live.server_extension.engine.fields import draft_field
from goodman_live.server_extension.engine.fluxes import (
    ROLE,
    draft_flux,
    draft_sensitivity,
    is_standard,
    mispointed,
    served_by,
)
from goodman_live.server_extension.engine.minimums import (
    least_frames,
    minimum_of,
    waiting_calibrations,
    wants_fewer,
)
from goodman_live.server_extension.engine.pointing import (
    draft_focus,
    draft_pointing,
    helped_by,
    is_acquisition,
)
from goodman_live.server_extension.engine.priority import newest_night, priority_of
from goodman_live.server_extension.engine.remembered import remembered
from goodman_live.server_extension.engine.stacks import (
    draft_image_stack,
    draft_stacks,
    grown_by,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.engine.draft import Draft

CALIBRATIONS = frozenset({Kind.BIAS.value, Kind.FLAT.value})
"""Kinds that wait for each other to become a master."""
REDUCED = frozenset({"arc", "spectrum", "image", "acquisition"})
"""Kinds that the reduce block runs on by itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a raw frame stands after a look."""

    state: str
    waits_for: str = ""
    provisional: bool = False


def out_dir(product_root: Path, frame: Frame) -> Path:
    """Return the folder of the products of a frame."""
    return product_root / (frame.night or "unknown") / "REDUCED"


def plan(session: Session, raw: Frame, product_root: Path) -> None:
    """Queue what `raw` needs now, and write down where it stands."""
    if raw.data_type != 0 or raw.checksum is None or not raw.is_current:
        return
    if raw.kind in CALIBRATIONS:
        plan_master(session, raw, product_root)
        return
    if raw.kind in REDUCED:
        _plan_smaller_masters(session, raw, product_root)
        settle(session, raw, _plan_chain(session, raw, product_root))
    elif raw.kind == Kind.FOCUS:
        settle(session, raw, _plan_focus(session, raw, product_root))
    else:
        text = f"{raw.kind.capitalize()} frames are kept, not reduced."
        settle(session, raw, Outcome("kept", text))


def _plan_smaller_masters(session: Session, raw: Frame, product_root: Path) -> None:
    """Build masters that the proposal of `raw` is content with and the observatory is not."""
    if not wants_fewer(session, raw, settings_for(session, CALIBRATE)):
        return
    groups = {group_of(frame): frame for frame in waiting_calibrations(session, raw)}
    for frame in groups.values():
        plan_master(session, frame, product_root)


def settle(session: Session, raw: Frame, outcome: Outcome) -> None:
    """Write down where a frame stands, and tell if that is new."""
    before = raw.state, raw.waits_for, raw.provisional
    after = outcome.state, outcome.waits_for, outcome.provisional
    if before != after:
        raw.state, raw.waits_for, raw.provisional = after
        raw.last_modified = utc_now()
        frame_event(session, "frame.state", raw)


def _plan_chain(session: Session, raw: Frame, root: Path) -> Outcome:
    kept = sticky(session, raw, 2)
    draft = draft_reduce(session, raw, kept.spec["overrides"] if kept else None)
    if (outcome := _ensure(session, draft, raw, root)) is not None:
        return outcome
    if raw.kind != Kind.SPECTRUM:
        return _plan_field(session, raw, root, draft)
    reduced = _current(session, raw, 2)
    if not reduced:
        return Outcome("waiting", "Its reduced frame was removed.")
    kept = sticky(session, raw, 3)
    wishes: dict[str, Any] = kept.spec if kept else {"apertures": remembered(session, raw)}
    extract = draft_extract(session, reduced[0], wishes.get("overrides"), wishes.get("apertures"))
    if (outcome := _ensure(session, extract, raw, root)) is not None:
        return outcome
    return _plan_wavelengths(session, raw, root, draft)


def _plan_focus(session: Session, raw: Frame, root: Path) -> Outcome:
    """Queue the focus run that a frame belongs to; a frame that tells nothing is kept."""
    draft = draft_focus(session, raw)
    outcome = _ensure(session, draft, raw, root)
    if outcome is not None and outcome.state == "working" and draft.frame.id == raw.id:
        return outcome  # the others of the run have been measured before
    failed = outcome.waits_for if outcome is not None else ""
    return Outcome("kept", f"Focus frames are measured, not reduced. {failed}".strip())


def _plan_field(session: Session, raw: Frame, root: Path, reduction: Draft) -> Outcome:
    """Queue slit and coordinates of an image; without either it is done all the same."""
    done = _done(reduction)
    said, busy = [done.waits_for], False
    for draft in (draft_pointing(session, raw, reduction), draft_field(session, raw, reduction)):
        outcome = _ensure(session, draft, raw, root) if draft is not None else None
        if outcome is not None and outcome.state == "failed":
            said.append(outcome.waits_for)
        busy = busy or (outcome is not None and outcome.state == "working")
    if raw.kind == Kind.IMAGE and not busy and not is_acquisition(raw):
        stack = draft_image_stack(session, raw)
        if stack is not None:
            _ensure(session, stack, raw, root)
    return Outcome("done", " ".join(text for text in said if text), done.provisional)


def _plan_wavelengths(session: Session, raw: Frame, root: Path, reduced: Draft) -> Outcome:
    kept = sticky(session, raw, 4)
    busy: Outcome | None = None
    drafts = []
    for spectrum in _current(session, raw, 3):
        overrides = kept.spec["overrides"] if kept else None
        try:
            draft = draft_wavelength(session, spectrum, overrides)
        except MissingCalibrationError as error:
            return Outcome("waiting", _arc_on_its_way(session, raw) or error.message)
        drafts.append(draft)
        outcome = _ensure(session, draft, raw, root)
        if outcome is not None and (busy is None or outcome.state == "failed"):
            busy = outcome
    if busy is not None:
        return busy
    flux = _plan_flux(session, raw, root)
    for stack in draft_stacks(session, raw):
        _ensure(session, stack, raw, root)
    done = _done(reduced)
    if any(draft.provisional for draft in drafts) and not done.provisional:
        arcs = [arc for draft in drafts for arc in draft.inputs["arcs"]]
        text = (
            "Provisional until its arc is reduced with this night's bias."
            if any(arc.night == raw.night for arc in arcs)
            else "Provisional: calibrated with an arc of another night."
        )
        return Outcome("done", f"{text} {flux}".strip(), provisional=True)
    return Outcome("done", f"{done.waits_for} {flux}".strip(), done.provisional)


def _plan_flux(session: Session, raw: Frame, root: Path) -> str:
    """Queue what standards make possible, and say what is in its way.

    A frame is done without flux and does not wait for it.
    """
    if is_standard(raw):
        sensitivity = draft_sensitivity(session, raw)
        outcome = _ensure(session, sensitivity, raw, root) if sensitivity is not None else None
        if outcome is not None:  # its flux follows when the sensitivity function is there
            return outcome.waits_for if outcome.state == "failed" else ""
    said = [mispointed(raw)]
    kept = sticky(session, raw, 5)
    overrides = kept.spec["overrides"] if kept else None
    for spectrum in _current(session, raw, 4):
        try:
            draft = draft_flux(session, spectrum, overrides)
        except MissingCalibrationError:
            break  # no standard yet: most nights begin so
        outcome = _ensure(session, draft, raw, root)
        if outcome is not None and outcome.state == "failed":
            said.append(outcome.waits_for)
    return " ".join(text for text in dict.fromkeys(said) if text)


def _done(reduced: Draft) -> Outcome:
    if not reduced.provisional:
        return Outcome("done")
    lacks = []
    for role, reasons in reduced.reasons.items():
        chosen = reduced.inputs.get(role)
        if not chosen or chosen[0].night != reduced.frame.night:
            lacks.append(f"master {role}: {'; '.join(reasons)}")
    text = f"Provisional until this night's calibrations are there ({', '.join(lacks)})."
    return Outcome("done", text, provisional=True)


def _arc_on_its_way(session: Session, raw: Frame) -> str:
    arc: str | None = session.scalar(
        select(Frame.file_name)
        .join(Job, Job.frame_id == Frame.id)
        .where(
            Frame.kind == "arc",
            Frame.data_type == 0,
            Frame.night == raw.night,
            Frame.grating == raw.grating,
            Frame.camera == raw.camera,
            Frame.xbin == raw.xbin,
            Frame.ybin == raw.ybin,
            or_(*shared_arcs(raw)),
            Job.state.in_(LIVE_STATES),
        )
        .limit(1)
    )
    return f"Its arc {arc} is being reduced." if arc else ""


def _ensure(session: Session, draft: Draft, raw: Frame, root: Path) -> Outcome | None:
    """Queue `draft` unless equal work exists; None if that is done."""
    job = jobs.find_equal(session, draft)
    if job is None:
        if not is_available(draft.block):
            text = f"{_words(draft.block.name)} is not part of this installation."
            return Outcome("waiting", text)
        jobs.withdraw(session, draft)
        jobs.enqueue(
            session,
            draft,
            out_dir=out_dir(root, raw),
            priority=priority_of(
                raw,
                newest_night(session),
                redo=_has_product(session, draft),
                summary=draft.block.name in SUMMARIES,
            ),
        )
        return Outcome("working", f"{_words(draft.block.name)} is queued.")
    if job.state == "done":
        # It may have ended after a job that was asked for later, or have been replaced by work
        # on inputs that are gone again.
        if products.is_replaced(session, job):
            products.make_current(session, job)
        return None
    if job.state in LIVE_STATES:
        return Outcome("working", f"{_words(job.block)} is {job.state}.")
    return _stopped(session, job)


def _stopped(session: Session, job: Job) -> Outcome:
    if job.state == "cancelled":
        return Outcome("waiting", f"{_words(job.block)} was cancelled; run it again by hand.")
    if jobs.revive(session, job):
        return Outcome("working", f"{_words(job.block)} is queued.")
    text = f"{_words(job.block)} failed: {job.error.get('message', '')}"
    return Outcome("failed", f"{text} {job.error.get('remedy', '')}".strip())


def _has_product(session: Session, draft: Draft) -> bool:
    """Tell whether there is something to look at already: then there is less hurry."""
    if draft.group:
        return False
    made = select(Frame.id).where(
        Frame.parent_id == draft.frame.id
        if draft.block.takes == 0
        else Frame.original_id == draft.frame.original_file_id,
        Frame.data_type == draft.block.makes,
        Frame.role == "",
    )
    if draft.frame.target is not None:
        made = made.where(Frame.target == draft.frame.target)
    return session.scalar(made.limit(1)) is not None


def _words(block: str) -> str:
    return block.replace("_", " ").capitalize()


def _current(session: Session, raw: Frame, data_type: int) -> list[Frame]:
    return list(
        session.scalars(
            select(Frame)
            .where(
                Frame.original_id == raw.id,
                Frame.data_type == data_type,
                Frame.is_current,
                Frame.owner_id.is_(None),
                Frame.role == "",
            )
            .order_by(Frame.target, Frame.id)
        )
    )


def plan_master(session: Session, raw: Frame, product_root: Path) -> None:
    """Queue the master of the group of `raw`, and say on each member where it stands."""
    members = group_members(session, raw)
    try:
        draft = draft_master(session, raw, frames=members)
    except MissingCalibrationError as error:
        outcome = Outcome("waiting", error.message)
    else:
        outcome = _ensure(session, draft, draft.frame, product_root) or Outcome("done")
    for member in members:
        settle(session, member, outcome)


def master_is_due(session: Session, raw: Frame) -> bool:
    """Tell whether the group of `raw` has its minimum and no master yet: then nobody waits."""
    least = least_frames(
        session, raw, getattr(settings_for(session, CALIBRATE), minimum_of(raw.kind))
    )
    if len(group_members(session, raw)) < least:
        return True  # nothing to build: only the sentence changes
    query = select(Job.id).where(Job.group == group_of(raw)).limit(1)
    return session.scalar(query) is None


def touched_by(session: Session, made: Frame) -> list[int]:
    """Return the raw frames whose plan a new master, reduced arc or spectrum may change."""
    if made.role == ROLE:
        return served_by(session, made)
    if made.role in {ROLES[FOCUS.name], ROLES[ACQUISITION.name]}:
        return helped_by(session, made)
    if made.data_type >= products.EXTRACTED:
        return grown_by(session, made)
    same = [Frame.camera == made.camera, Frame.xbin == made.xbin, Frame.ybin == made.ybin]
    if made.data_type == 1:
        kinds = ["flat", *REDUCED] if made.kind == Kind.BIAS else ["spectrum", "image"]
    elif made.data_type == 2 and made.kind == Kind.ARC:
        kinds = ["spectrum"]
        same.append(Frame.grating == made.grating)
    elif made.data_type == 2 and made.kind == Kind.IMAGE:
        return grown_by(session, made)
    else:
        return []
    query = select(Frame.id).where(
        Frame.data_type == 0, Frame.kind.in_(kinds), *same, Frame.is_current
    )
    # Each by its own index: together they would be looked for among all of the set-up.
    found = {
        number
        for way in (Frame.night == made.night, UNFINISHED)
        for number in session.scalars(query.where(way))
    }
    return sorted(found)


def unsettled(session: Session) -> list[int]:
    """Return the raw frames that are not at rest, newest night first: the work of a restart."""
    query = select(Frame.id).where(
        Frame.data_type == 0,
        Frame.is_current,
        Frame.state.in_(("new", "waiting", "working")),
    )
    query = by_index(query, "ix_frames_state")
    return list(session.scalars(query.order_by(Frame.night.desc(), Frame.id)))
