"""Flux, once wavelengths are known: standards give sensitivity functions, spectra get flux."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from goodman_live.pipeline.core.choose import Choice, choose_sensitivity, flux_key
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.info import Kind
from goodman_live.pipeline.core.standards import name_against_pointing, recognise
from goodman_live.server_extension.catalogue.facts import info_of
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.engine import blocks
from goodman_live.server_extension.engine.drafts import (
    NEAREST,
    draft_of,
    original_of,
    settings_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.engine.draft import Draft

ROLE = "sensitivity"
"""Role of a sensitivity function among the masters."""


def is_standard(raw: Frame) -> bool:
    """Tell whether a frame was pointed at a standard star of the library."""
    if raw.mid is None:
        return False
    info = info_of(raw)
    return recognise(info.object_name, info.ra_deg, info.dec_deg, info.mid) is not None


def mispointed(raw: Frame) -> str:
    """Say that a frame bears a standard star's name but was pointed elsewhere; empty otherwise."""
    if raw.mid is None:
        return ""
    return name_against_pointing(raw.object_name, raw.ra_deg, raw.dec_deg, raw.mid)


def draft_sensitivity(session: Session, raw: Frame) -> Draft | None:
    """Return the sensitivity function that the standards of this set-up and night give.

    Parameters
    ----------
    raw : Frame
        One of their frames.

    Returns
    -------
    Draft or None
        None while none of them has wavelengths.
    """
    spectra = _standards_like(session, raw)
    if not spectra:
        return None
    settings = settings_for(session, raw.proposal_id)
    inputs: dict[str, Sequence[Frame]] = {"spectra": spectra}
    first = spectra[0]
    return draft_of(
        session, blocks.SENSITIVITY, first, original_of(session, first), inputs, settings, {}, None
    )


def draft_flux(
    session: Session, calibrated: Frame, overrides: Mapping[str, Any] | None = None
) -> Draft:
    """Return the flux calibration of a spectrum with the best sensitivity function there is.

    Sensitivity functions are masters: they show nobody's target, and all use them.

    Raises
    ------
    MissingCalibrationError
        If no standard of this set-up has been observed.
    """
    raw = original_of(session, calibrated)
    rows = list(
        session.scalars(
            select(Frame)
            .where(
                Frame.kind == Kind.SPECTRUM.value,
                Frame.data_type == blocks.SENSITIVITY.makes,
                Frame.role == ROLE,
                Frame.is_current,
                Frame.owner_id.is_(None),
                Frame.camera == raw.camera,
                Frame.grating == raw.grating,
                Frame.mid.is_not(None),
            )
            .order_by(Frame.mid.desc())
            .limit(NEAREST)
        )
    )
    choice = choose_sensitivity(info_of(raw), [info_of(row) for row in rows])
    if choice.index is None:
        raise MissingCalibrationError(
            f"{choice.reason[:1].upper()}{choice.reason[1:]}.",
            remedy="Observe a standard star in this set-up.",
            field=ROLE,
        )
    inputs: dict[str, Sequence[Frame]] = {"calibrated": [calibrated], ROLE: [rows[choice.index]]}
    choices: dict[str, Choice] = {ROLE: choice}
    settings = settings_for(session, calibrated.proposal_id, overrides)
    return draft_of(session, blocks.FLUX, calibrated, raw, inputs, settings, choices, overrides)


def served_by(session: Session, made: Frame) -> list[int]:
    """Return the raw spectra whose flux a new sensitivity function may change."""
    rows = session.scalars(
        select(Frame.id).where(
            Frame.data_type == 0,
            Frame.kind == Kind.SPECTRUM.value,
            Frame.camera == made.camera,
            Frame.grating == made.grating,
            Frame.night == made.night,
            Frame.is_current,
        )
    )
    return list(rows)


def _standards_like(session: Session, raw: Frame) -> list[Frame]:
    """Return the brightest spectrum of each standard's frame in the set-up of `raw`."""
    wanted = flux_key(info_of(raw))
    rows = session.scalars(
        select(Frame)
        .where(
            Frame.data_type == blocks.FLUX.takes,
            Frame.role == "",
            Frame.is_current,
            Frame.owner_id.is_(None),
            Frame.night == raw.night,
            Frame.camera == raw.camera,
            Frame.grating == raw.grating,
            Frame.proposal_id == raw.proposal_id,
        )
        .order_by(Frame.start, Frame.id)
    )
    best: dict[int, Frame] = {}
    for row in rows:
        origin = original_of(session, row)
        if flux_key(info_of(origin)) != wanted or not is_standard(origin):
            continue
        known = best.get(origin.id)
        if known is None or _brightness(session, row) > _brightness(session, known):
            best[origin.id] = row
    return list(best.values())


def _brightness(session: Session, calibrated: Frame) -> float:
    extracted = session.get(Frame, calibrated.parent_id) if calibrated.parent_id else None
    value = (extracted.quality if extracted is not None else {}).get("snr_total")
    return float(value) if isinstance(value, int | float) else 0.0
