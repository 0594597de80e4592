"""What a frame is for: decided on all evidence, because OBSTYPE alone is often wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.info import Kind, Technique
from goodman_live.pipeline.core.lamps import from_name

if TYPE_CHECKING:
    from goodman_live.pipeline.core.frame import Window

_OBSTYPES = {
    "BIAS": Kind.BIAS,
    "ZERO": Kind.BIAS,
    "DARK": Kind.DARK,
    "FLAT": Kind.FLAT,
    "LAMPFLAT": Kind.FLAT,
    "DOMEFLAT": Kind.FLAT,
    "SKYFLAT": Kind.FLAT,
    "COMP": Kind.ARC,
    "ARC": Kind.ARC,
    "FOCUS": Kind.FOCUS,
}
_SCIENCE = frozenset({"OBJECT", "SPECTRUM", "EXPOSE"})
_FOCUS = re.compile(r"(?:^|[^a-z])focus(?:[^a-z]|$)", re.IGNORECASE)
_FLAT = re.compile(
    r"(?:^|[\s_\-])(?:d|dome|sky|twi|twilight|q|quartz|lamp|int)?[\s_\-]*flats?(?![a-z]{2})",
    re.IGNORECASE,
)
_LONGEST_BIAS_S = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the header tells about the purpose of a frame."""

    file_name: str
    obstype: str
    object_name: str
    exptime_s: float | None
    arc_lamps: frozenset[str] | None
    """Arc lamps switched on, None where the header has no switches."""
    continuum_lamps: frozenset[str] | None
    """Quartz, bulb and dome lamps switched on, None where the header has no switches."""
    lines_mm: int | None
    """Lines per mm of the grating, 0 for none in the light, None where nothing tells."""
    cam_deg: float | None
    """Camera angle, commanded or else measured."""
    slit_in: bool
    wavmode: str
    roi: str
    window: Window
    by_hand: Technique | None = None
    """Technique that a person set; it is not doubted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Role and technique, with the reason where OBSTYPE says something else."""

    kind: Kind
    technique: Technique
    reason: str = ""


def classify(evidence: Evidence) -> Verdict:
    """Decide kind and technique of a frame.

    Parameters
    ----------
    evidence : Evidence
        Facts of the mended header.

    Returns
    -------
    Verdict
        First matching rule, in this order: focus; bias; dark; arc lamps on; OBSTYPE arc or
        flat; continuum lamp on; lamp or flat by name; then spectrum, image or acquisition by
        the light path.
    """
    technique = find_technique(evidence)
    kind, reason = _kind(evidence, technique)
    if kind in (Kind.BIAS, Kind.DARK) and evidence.by_hand is None:
        technique = _technique_of_region(evidence) or technique
    return Verdict(kind, technique, reason)


def find_technique(evidence: Evidence) -> Technique:
    """Return how the light came to the detector, from grating and camera angle first."""
    if evidence.by_hand is not None:
        return evidence.by_hand
    dispersed = evidence.cam_deg is not None and abs(evidence.cam_deg) > 1.0
    grating = bool(evidence.lines_mm)
    if grating and (dispersed or evidence.cam_deg is None):
        return Technique.SPECTROSCOPY
    if evidence.lines_mm == 0 and not dispersed:
        return Technique.IMAGING
    # a card is missing, or the two contradict each other because one is stale
    says_image = evidence.wavmode == "IMAGING" or evidence.obstype.upper() == "EXPOSE"
    if says_image or "IMAGING" in evidence.roi.upper():
        return Technique.IMAGING
    obstype = evidence.obstype.upper()
    says_spectrum = "SPECTROSCOPIC" in evidence.roi.upper() or obstype in {"SPECTRUM", "ARC"}
    return Technique.SPECTROSCOPY if grating or says_spectrum else Technique.UNKNOWN


def _technique_of_region(evidence: Evidence) -> Technique | None:
    """Return the technique of a frame without light, from the region that was read out."""
    roi = evidence.roi.upper()
    if "SPECTROSCOPIC" in roi:
        return Technique.SPECTROSCOPY
    if "IMAGING" in roi:
        return Technique.IMAGING
    width = evidence.window.nx * evidence.window.xbin
    if evidence.window.x0 == 0 and width > 4000:
        return Technique.SPECTROSCOPY
    return None


def _kind(evidence: Evidence, technique: Technique) -> tuple[Kind, str]:
    stated = _OBSTYPES.get(evidence.obstype.upper())
    dark = _kind_without_light(evidence, stated)
    if dark is not None:
        return dark
    spectral = technique is not Technique.IMAGING
    if evidence.arc_lamps and spectral:
        lamps = ", ".join(sorted(evidence.arc_lamps))
        return Kind.ARC, "" if stated is Kind.ARC else f"Arc lamps are on: {lamps}."
    if evidence.continuum_lamps and stated is not Kind.FLAT:
        lamps = ", ".join(sorted(evidence.continuum_lamps))
        return Kind.FLAT, f"Only continuum lamps are on: {lamps}."
    if stated in (Kind.ARC, Kind.FLAT):
        return stated, ""
    return _kind_by_name(evidence, spectral=spectral) or _kind_by_light_path(evidence, technique)


def _kind_without_light(evidence: Evidence, stated: Kind | None) -> tuple[Kind, str] | None:
    """Return focus, bias or dark, or None."""
    if stated is Kind.FOCUS:
        return Kind.FOCUS, ""
    if stated in (None, Kind.FLAT, Kind.ARC) and any(
        _FOCUS.search(name) for name in (evidence.file_name, evidence.object_name)
    ):
        return Kind.FOCUS, "The name says focus."
    if evidence.exptime_s == 0.0:
        return Kind.BIAS, "" if stated is Kind.BIAS else "The exposure time is zero."
    if stated is Kind.BIAS:
        return _exposed_bias(evidence)
    return (Kind.DARK, "") if stated is Kind.DARK else None


def _exposed_bias(evidence: Evidence) -> tuple[Kind, str] | None:
    if evidence.exptime_s is None or evidence.exptime_s <= _LONGEST_BIAS_S:
        return Kind.BIAS, ""
    if evidence.arc_lamps or evidence.continuum_lamps:
        return None
    return Kind.DARK, f"Labelled a bias, but exposed for {evidence.exptime_s:g} s."


def _kind_by_name(evidence: Evidence, *, spectral: bool) -> tuple[Kind, str] | None:
    """Return arc or flat where an old frame, without lamp switches, is named as one."""
    switches = evidence.arc_lamps is not None
    if spectral:
        lamps = from_name(evidence.object_name, any_case=False)
        whole_name = re.fullmatch(r"(?:Hg|Ar|Ne|Cu|Fe|He)+", evidence.object_name)
        if lamps and whole_name and (not switches or len(evidence.object_name) > 2):
            return Kind.ARC, f"OBJECT {evidence.object_name} names a lamp."
    if not switches and _FLAT.search(evidence.object_name):
        return Kind.FLAT, f"OBJECT {evidence.object_name} names a flat."
    return None


def _kind_by_light_path(evidence: Evidence, technique: Technique) -> tuple[Kind, str]:
    stated = evidence.obstype.upper()
    if technique is Technique.SPECTROSCOPY:
        wrong = stated not in {"OBJECT", "SPECTRUM"}
        return Kind.SPECTRUM, "Grating and camera angle disperse the light." if wrong else ""
    if technique is Technique.IMAGING:
        kind = Kind.ACQUISITION if evidence.slit_in else Kind.IMAGE
        wrong = stated not in {"OBJECT", "EXPOSE"}
        return kind, "No grating in the light, camera straight ahead." if wrong else ""
    if stated in _SCIENCE:
        return Kind.UNKNOWN, "Grating and camera angle contradict each other."
    return Kind.UNKNOWN, "Neither OBSTYPE nor the light path tells what this frame is."
