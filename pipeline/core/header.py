"""The header doctor: from a raw header of any year to the facts that every choice is made on.

Nothing here touches a file. What had to be mended is listed with the reason; the raw frame
keeps its own header, and the list is an overlay beside it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from goodman_live.pipeline.core import clock, instrument, sexagesimal
from goodman_live.pipeline.core.cards import Cards
from goodman_live.pipeline.core.classify import Evidence, Verdict, classify
from goodman_live.pipeline.core.errors import BadHeaderError
from goodman_live.pipeline.core.geometry import place
from goodman_live.pipeline.core.info import FrameInfo, Kind, Repair, Technique
from goodman_live.pipeline.core.lamps import ARC_LAMPS, CONTINUUM_LAMPS, from_name, switched_on
from goodman_live.pipeline.core.optics import NO_MASK, Optics, read_optics, slit_width

if TYPE_CHECKING:
    from datetime import datetime

    from astropy.io.fits import Header

    from goodman_live.pipeline.core.frame import Window

_LONGEST_EXPOSURE_S = 86_400.0
_MOST_ELECTRONS = 100.0
"""Electrons per ADU, or of read noise, beyond which a card is no fact of a CCD: ten times those
of any readout mode."""

_OBSTYPE_OF = {
    Kind.BIAS: "BIAS",
    Kind.DARK: "DARK",
    Kind.FLAT: "LAMPFLAT",
    Kind.ARC: "ARC",
    Kind.FOCUS: "FOCUS",
    Kind.SPECTRUM: "SPECTRUM",
    Kind.IMAGE: "EXPOSE",
    Kind.ACQUISITION: "EXPOSE",
    Kind.UNKNOWN: "UNKNOWN",
}
"""Present-day OBSTYPE of each kind, used where a frame is labelled wrongly."""

TECHNIQUE_CARD = "GLTECHNQ"
"""Card of an overlay that sets the technique by hand."""


def describe(header: Header, *, file_name: str, shape: tuple[int, ...]) -> FrameInfo:
    """Read a header of any year into canonical facts, mending what is wrong.

    Parameters
    ----------
    header : Header
        Header of a raw frame or of a product; it is not changed.
    file_name : str
        Name of the file, for messages and for what names tell.
    shape : tuple of int
        Shape of the data array, rows before columns.

    Returns
    -------
    FrameInfo
        Its `repairs` are in the order found. Its `window` is what the controller read out, also
        where the array contradicts it; that is then a repair of ``NAXIS1,NAXIS2``.

    Raises
    ------
    BadHeaderError
        If camera, gain, read noise or date can neither be read nor inferred.
    """
    cards = Cards(header)
    repairs: list[Repair] = []
    camera = _camera(cards, file_name, repairs)
    gain = _positive(cards, "GAIN", file_name)
    rdnoise = _positive(cards, "RDNOISE", file_name)
    exptime_s = _exptime(cards, repairs)
    window, roi, found = place(cards, camera, shape)
    repairs += found
    optics = read_optics(cards, repairs)
    verdict, lamps = _verdict(
        cards, optics, repairs, file_name=file_name, exptime_s=exptime_s, roi=roi, window=window
    )
    start, mid = _shutter(cards, file_name, exptime_s, repairs)
    ra_deg, obsra = _right_ascension(cards, repairs)
    dec_deg, obsdec = _declination(cards, repairs)
    airmass = cards.number("AIRMASS")
    return FrameInfo(
        file_name=file_name,
        camera=camera,
        kind=verdict.kind,
        technique=verdict.technique,
        obstype=cards.text("OBSTYPE"),
        object_name=cards.text("OBJECT"),
        start=start,
        mid=mid,
        exptime_s=exptime_s or 0.0,
        night=clock.night_of(start),
        window=window,
        roi=roi,
        gain=gain,
        rdnoise=rdnoise,
        saturation=instrument.saturation_adu(camera, gain, rdnoise),
        grating=optics.grating,
        lines_mm=optics.lines_mm or 0,
        wavmode=optics.wavmode,
        filter=optics.filter,
        filter2=optics.filter2,
        slit=optics.slit,
        slit_arcsec=slit_width(optics.slit),
        cam_ang=optics.cam_ang,
        grt_ang=optics.grt_ang,
        cam_targ=optics.cam_targ,
        grt_targ=optics.grt_targ,
        lamps=lamps,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        obsra=obsra,
        obsdec=obsdec,
        airmass=airmass if airmass is not None and airmass >= 1 else None,
        posangle=cards.number("POSANGLE"),
        rotator=cards.number("ROTATOR"),
        proposal_id=cards.text("PROPID") or cards.text("PROPOSAL"),
        observation_id=cards.integer("OBSID"),
        configuration_id=cards.integer("CONFID"),
        block_id=cards.integer("BLKUID"),
        image_id=cards.integer("IMAGEID"),
        public_date=clock.parse_datetime(cards.text("L1PUBDAT")),
        repairs=tuple(repairs),
    )


def _camera(cards: Cards, file_name: str, repairs: list[Repair]) -> str:
    """Return the camera; CAMERA itself is never believed, it is wrong in 2017."""
    found = cards.text("INSTCONF")
    if found.capitalize() in instrument.CAMERAS:
        return found.capitalize()
    used, source = _infer_camera(cards)
    if not used:
        raise BadHeaderError(
            f"{file_name}: INSTCONF is {found!r} and neither INSTRUME nor the pair of GAIN and "
            "RDNOISE tells the camera.",
            remedy="Set INSTCONF to Red or Blue in the header overlay of this file.",
            field="INSTCONF",
        )
    repairs.append(Repair("INSTCONF", found, used, f"Missing; inferred from {source}."))
    return used


def _infer_camera(cards: Cards) -> tuple[str, str]:
    for camera in instrument.CAMERAS:
        if f"GHTS_{camera.upper()}" in cards.text("INSTRUME").upper():
            return camera, "INSTRUME"
    gain, rdnoise = cards.number("GAIN"), cards.number("RDNOISE")
    readout = instrument.find_readout(gain, rdnoise) if gain and rdnoise else None
    if readout:
        return readout.camera, "GAIN and RDNOISE"
    for key, camera in (("PG4_28", "Red"), ("PG1_25", "Blue")):
        if cards.integer(key) == instrument.CAMERAS[camera].prescan:
            return camera, f"the prescan in {key}"
    return "", ""


def _positive(cards: Cards, key: str, file_name: str) -> float:
    value = cards.number(key)
    if value is None or not 0 < value <= _MOST_ELECTRONS:
        found = cards.text(key)
        raise BadHeaderError(
            f"{file_name}: {key} is {found or 'missing'}, not a positive number up to "
            f"{_MOST_ELECTRONS:g}.",
            remedy=f"Set {key} in the header overlay of this file.",
            field=key,
        )
    return value


def _exptime(cards: Cards, repairs: list[Repair]) -> float | None:
    """Return the exposure time in seconds, or None where nothing tells it."""
    value = cards.number("EXPTIME")
    if value is not None and 0 <= value <= _LONGEST_EXPOSURE_S:
        return value
    used = clock.open_seconds(cards)
    reason = "Missing or not a time; taken from OPENTIME and CLOSETIM."
    if used is None:
        reason = "Missing or not a time; the middle of the exposure is taken to be its start."
    repairs.append(
        Repair("EXPTIME", cards.text("EXPTIME"), "" if used is None else f"{used:.3f}", reason)
    )
    return used


def _verdict(
    cards: Cards,
    optics: Optics,
    repairs: list[Repair],
    *,
    file_name: str,
    exptime_s: float | None,
    roi: str,
    window: Window,
) -> tuple[Verdict, frozenset[str]]:
    switches = switched_on(cards, ARC_LAMPS)
    angles = [optics.cam_targ, optics.cam_ang]
    evidence = Evidence(
        file_name=file_name,
        obstype=cards.text("OBSTYPE"),
        object_name=cards.text("OBJECT"),
        exptime_s=exptime_s,
        arc_lamps=switches,
        continuum_lamps=switched_on(cards, CONTINUUM_LAMPS),
        lines_mm=optics.lines_mm,
        cam_deg=next((angle for angle in angles if not math.isnan(angle)), None),
        slit_in=optics.slit != NO_MASK,
        wavmode=optics.wavmode,
        roi=roi,
        window=window,
        by_hand=_technique_by_hand(cards),
    )
    verdict = classify(evidence)
    if verdict.reason:
        used = _OBSTYPE_OF[verdict.kind]
        repairs.append(Repair("OBSTYPE", evidence.obstype, used, verdict.reason))
    return verdict, _lamps(evidence, verdict, repairs)


def _technique_by_hand(cards: Cards) -> Technique | None:
    """Return the technique that an overlay sets; no telescope writes this card."""
    found = cards.text(TECHNIQUE_CARD)
    return Technique(found) if found in set(Technique) else None


def _lamps(evidence: Evidence, verdict: Verdict, repairs: list[Repair]) -> frozenset[str]:
    """Return the arc lamps that are on; those of an old arc are named in OBJECT."""
    if evidence.arc_lamps or verdict.kind is not Kind.ARC:
        return evidence.arc_lamps or frozenset()
    lamps = from_name(evidence.object_name, any_case=True)
    reason = "No lamp is switched on in the header"
    if lamps:
        reason += f"; OBJECT {evidence.object_name} names them."
    else:
        reason += " and OBJECT names none."
    repairs.append(Repair("LAMP_*", "", " ".join(sorted(lamps)), reason))
    return lamps


def _shutter(
    cards: Cards, file_name: str, exptime_s: float | None, repairs: list[Repair]
) -> tuple[datetime, datetime]:
    found = clock.shutter(cards, exptime_s, repairs)
    if found is None:
        raise BadHeaderError(
            f"{file_name}: DATE-OBS is {cards.text('DATE-OBS') or 'missing'}, not a date, and "
            "no other card tells the time.",
            remedy="Set DATE-OBS (YYYY-MM-DDThh:mm:ss.sss) in the header overlay of this file.",
            field="DATE-OBS",
        )
    return found


def _right_ascension(cards: Cards, repairs: list[Repair]) -> tuple[float | None, str]:
    for key in ("OBSRA", "RA"):
        degrees = sexagesimal.ra_degrees(cards.text(key))
        if degrees is not None:
            return degrees, _position(cards, "OBSRA", key, sexagesimal.format_ra(degrees), repairs)
    return None, ""


def _declination(cards: Cards, repairs: list[Repair]) -> tuple[float | None, str]:
    for key in ("OBSDEC", "DEC"):
        degrees = sexagesimal.dec_degrees(cards.text(key))
        if degrees is not None:
            used = sexagesimal.format_dec(degrees)
            return degrees, _position(cards, "OBSDEC", key, used, repairs)
    return None, ""


def _position(cards: Cards, key: str, source: str, used: str, repairs: list[Repair]) -> str:
    found = cards.text(key)
    if source != key or not sexagesimal.is_normal(found):
        reason = "Written as [-]dd:mm:ss with 60 s carried."
        if source != key:
            reason = f"Missing or no position; taken from {source}."
        repairs.append(Repair(key, found, used, reason))
    return used
