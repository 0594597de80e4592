"""What is known of a frame from its mended header: the value that every choice is made on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from goodman_live.pipeline.core.frame import Window


class Kind(StrEnum):
    """The role of a frame in a reduction."""

    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    ARC = "arc"
    SPECTRUM = "spectrum"
    IMAGE = "image"
    ACQUISITION = "acquisition"
    FOCUS = "focus"
    UNKNOWN = "unknown"


class Technique(StrEnum):
    """How the light came to the detector, in the words of the public API."""

    SPECTROSCOPY = "Spectroscopy"
    IMAGING = "Imaging"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Repair:
    """One header card that the overlay mends; the raw file keeps its own."""

    keyword: str
    """FITS keyword."""
    found: str
    """Value as found, or an empty string where the card is missing."""
    used: str
    """Value used instead."""
    reason: str
    """Why, in a sentence."""


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Canonical facts of one frame, whatever the spelling and era of its header."""

    file_name: str
    """Name of the file without its folder."""
    camera: str
    """``Red`` or ``Blue``."""
    kind: Kind
    """Role in a reduction."""
    technique: Technique
    """Spectroscopy, Imaging or Unknown."""
    obstype: str
    """OBSTYPE as written, stripped."""
    object_name: str
    """OBJECT as written, stripped."""
    start: datetime
    """Opening of the shutter, UTC (GPS where believable, else DATE-OBS)."""
    mid: datetime
    """Middle of the exposure, UTC."""
    exptime_s: float
    """Exposure time in seconds."""
    night: str
    """Local-evening date, ``YYYYMMDD``."""
    window: Window
    """Place on the detector, with binning."""
    roi: str
    """ROI text; inferred where it is missing."""
    gain: float
    """Electrons per ADU."""
    rdnoise: float
    """Read noise in electrons."""
    saturation: float
    """Published saturation value in ADU of the readout mode (may exceed 65535)."""
    grating: str
    """Canonical grating name such as ``400_SYZY``, or ``NO_GRATING``."""
    lines_mm: int
    """Grating lines per mm, 0 without a grating."""
    wavmode: str
    """Canonical mode such as ``400_M1``, ``CUSTOM``, ``IMAGING``."""
    filter: str
    """First filter wheel, ``NO_FILTER`` if empty."""
    filter2: str
    """Second filter wheel, ``NO_FILTER`` if empty."""
    slit: str
    """Canonical slit such as ``1.0_LONG_SLIT``, or ``NO_MASK``."""
    slit_arcsec: float | None
    """Slit width in arcsec, None without a slit."""
    cam_ang: float
    """Camera angle as measured, degrees."""
    grt_ang: float
    """Grating angle as measured, degrees."""
    cam_targ: float
    """Camera angle as commanded, degrees."""
    grt_targ: float
    """Grating angle as commanded, degrees."""
    lamps: frozenset[str]
    """Arc lamps that are on: of ``HGA NE AR FE CU``."""
    ra_deg: float | None
    """Target right ascension, degrees."""
    dec_deg: float | None
    """Target declination, degrees."""
    obsra: str
    """Target right ascension, normalised sexagesimal, empty if unknown."""
    obsdec: str
    """Target declination, normalised sexagesimal, empty if unknown."""
    airmass: float | None
    """AIRMASS of the header."""
    posangle: float | None
    """Position angle, degrees east of north."""
    rotator: float | None
    """Rotator angle, degrees."""
    proposal_id: str
    """PROPID, else PROPOSAL; empty if none."""
    observation_id: int | None
    configuration_id: int | None
    block_id: int | None
    image_id: int | None
    public_date: datetime | None
    """L1PUBDAT, UTC, if the header has one."""
    repairs: tuple[Repair, ...] = ()
    """What the overlay mends, in the order it was found."""
