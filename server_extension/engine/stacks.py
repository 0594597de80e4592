"""Running stacks: repeated exposures of one target, combined as each is calibrated."""

from __future__ import annotations

from math import cos, hypot, radians
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from goodman_live.pipeline.core.choose import GRADES, POSITION_DEG, stack_key
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.repeats import repeats_of
from goodman_live.server_extension.catalogue.facts import info_of
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.engine import blocks
from goodman_live.server_extension.engine.draft import Draft
from goodman_live.server_extension.engine.drafts import original_of, raws_like, settings_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

MOST = 50
"""Exposures in a stack at most, the newest: hundreds of short ones would be read each time."""

MOST_PIXELS = 20_000_000
"""Pixels of all exposures of a stack in two dimensions at most, the newest exposures."""


def draft_stacks(session: Session, raw: Frame) -> list[Draft]:
    """Return the stacks that end with the exposure `raw`.

    Parameters
    ----------
    raw : Frame
        Raw frame of a spectrum.

    Returns
    -------
    list of Draft
        One per target and data type that an earlier exposure has too; empty unless `raw` is the
        newest exposure of its sequence that is calibrated, for there is one running stack.
    """
    sequence = sequence_of(session, raw)
    drafts = []
    for block in blocks.STACKS:
        done = _calibrated(session, sequence, block.takes)
        if len(done) < 2 or next(reversed(done)) != raw.id:
            continue
        for spectrum in done[raw.id].values():
            same = _same_target(session, done, spectrum)
            if len(same) > 1:
                drafts.append(_draft(session, block, raw, same))
    return drafts


def draft_image_stack(session: Session, raw: Frame) -> Draft | None:
    """Return the stack in two dimensions that ends with the image `raw`.

    Returns
    -------
    Draft or None
        None unless `raw` is the newest of several exposures that are reduced.
    """
    sequence = [one for one in sequence_of(session, raw) if _same_pointing(raw, one)]
    done = _calibrated(session, sequence, blocks.FRAME_STACK.takes)
    if len(done) < 2 or next(reversed(done)) != raw.id:
        return None
    newest = next(iter(done[raw.id].values()))
    return _draft(session, blocks.FRAME_STACK, raw, _same_target(session, done, newest))


def _same_pointing(raw: Frame, other: Frame) -> bool:
    """Tell whether two images are of one field: names alone may be empty, or kept from before."""
    places = (raw.ra_deg, raw.dec_deg, other.ra_deg, other.dec_deg)
    if any(one is None for one in places):
        return bool((raw.object_name or "").strip())
    ra, dec, other_ra, other_dec = (float(one) for one in places if one is not None)
    across = ((ra - other_ra + 180) % 360 - 180) * cos(radians(dec))
    return hypot(across, dec - other_dec) <= 2 * POSITION_DEG


def draft_stack(
    session: Session,
    block: blocks.Block,
    spectrum: Frame,
    overrides: Mapping[str, Any] | None = None,
) -> Draft:
    """Return the stack of a spectrum with all exposures of its target before it.

    Raises
    ------
    MissingCalibrationError
        If there is no other exposure of this target in this set-up and night.
    """
    raw = original_of(session, spectrum)
    before = [one for one in sequence_of(session, raw) if _when(one) <= _when(raw)]
    done = _calibrated(session, before, block.takes)
    done[raw.id] = {**done.pop(raw.id, {}), spectrum.target or 1: spectrum}
    same = _same_target(session, done, spectrum)
    if len(same) < 2:
        raise MissingCalibrationError(
            f"No exposure of {raw.object_name or 'this target'} before it, in this set-up and "
            "night, has a spectrum of this kind yet.",
            remedy="Take another exposure, or wait until it is calibrated.",
            field="id",
        )
    return _draft(session, block, raw, same, overrides)


def sequence_of(session: Session, raw: Frame) -> list[Frame]:
    """Return the raw frames that repeat `raw`, itself included, oldest first, at most `MOST`."""
    wanted = stack_key(info_of(raw))
    same = (Frame.proposal_id == raw.proposal_id, Frame.grating == raw.grating)
    rows = raws_like(session, raw, *same)
    return [row for row in rows if stack_key(info_of(row)) == wanted][-MOST:]


def grown_by(session: Session, made: Frame) -> list[int]:
    """Return the newest exposure of the sequence that a new spectrum or image belongs to."""
    kinds = {block.takes for block in (*blocks.STACKS, blocks.FRAME_STACK)}
    if made.data_type not in kinds or made.role:
        return []
    raw = original_of(session, made)
    sequence = sequence_of(session, raw)
    done = _calibrated(session, sequence, made.data_type)
    return [next(reversed(done))] if len(done) > 1 else []


def _calibrated(
    session: Session, sequence: Sequence[Frame], data_type: int
) -> dict[int, dict[int, Frame]]:
    """Return current spectra by raw frame and target, raw frames in their order."""
    numbers = [raw.id for raw in sequence]
    if not numbers:
        return {}
    rows = session.scalars(
        select(Frame).where(
            Frame.original_id.in_(numbers),
            Frame.data_type == data_type,
            Frame.role == "",
            Frame.is_current,
            Frame.owner_id.is_(None),
        )
    )
    found: dict[int, dict[int, Frame]] = {}
    for row in rows:
        if row.original_id is not None:
            found.setdefault(row.original_id, {})[row.target or 1] = row
    return {number: found[number] for number in numbers if number in found}


def _same_target(
    session: Session, done: Mapping[int, Mapping[int, Frame]], spectrum: Frame
) -> list[Frame]:
    """Return the spectra of the target of `spectrum`, which is of the newest, oldest first."""
    *earlier, newest = done.values()
    places = [{n: _row(session, one) for n, one in each.items()} for each in (*earlier, newest)]
    target = spectrum.target or 1
    which = repeats_of(target, places[-1], places[:-1])
    found = [
        each[number] for each, number in zip(earlier, which, strict=True) if number is not None
    ]
    return [*found, spectrum]


def _when(raw: Frame) -> tuple[str, int]:
    return raw.start.isoformat() if raw.start else "", raw.id


def _name(block: blocks.Block, first: Frame) -> str:
    """Return what the jobs of one running stack have in common."""
    raw = first.original_name or first.file_name
    return f"stack {block.takes} of {raw} target {first.target or 1}"[:255]


def _row(session: Session, spectrum: Frame) -> float:
    """Return where the target lay along the slit, from the step that extracted it."""
    step: Frame | None = spectrum
    while step is not None:
        row = step.quality.get("row_unbinned")
        if isinstance(row, int | float):
            return float(row)
        step = session.get(Frame, step.parent_id) if step.parent_id else None
    return 0.0


def _draft(
    session: Session,
    block: blocks.Block,
    raw: Frame,
    oldest_first: Sequence[Frame],
    overrides: Mapping[str, Any] | None = None,
) -> Draft:
    group = _name(block, oldest_first[0])  # one running stack: who began the sequence names it
    if block is blocks.FRAME_STACK:
        # All their pixels are in memory at once.
        size = max(1, *(one.nx * one.ny for one in oldest_first))
        oldest_first = oldest_first[-max(2, MOST_PIXELS // size) :]
    newest = oldest_first[-1]
    return Draft(
        block=block,
        frame=newest,
        inputs={block.main: list(reversed(oldest_first))},
        settings=settings_for(session, raw.proposal_id, overrides),
        overrides=dict(overrides or {}),
        provisional=any(one.provisional for one in oldest_first),
        grade=max((one.grade for one in oldest_first if one.grade), default=GRADES[0]),
        group=group,
    )
