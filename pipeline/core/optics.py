"""What stands in the light, in one spelling for all years: grating, filters, slit, angles."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.info import Repair
from goodman_live.pipeline.core.instrument import find_mode, modes

if TYPE_CHECKING:
    from goodman_live.pipeline.core.cards import Cards

NO_GRATING = "NO_GRATING"
NO_FILTER = "NO_FILTER"
NO_MASK = "NO_MASK"

_BRACKETS = re.compile(r"[<>\"']")
_BLANKS = re.compile(r"[\s_]+")
_LINES = re.compile(r"(?<!\d)(\d{3,4})(?!\d)")
_OUT = frozenset({"OPEN", "CLEAR", "EMPTY", "OUT"})
_CANONICAL = "One spelling for all years."


@dataclass(frozen=True, slots=True)
class Optics:
    """What stands in the light."""

    grating: str
    lines_mm: int | None
    """0 without a grating, None where nothing tells."""
    wavmode: str
    filter: str
    filter2: str
    slit: str
    cam_ang: float
    grt_ang: float
    cam_targ: float
    grt_targ: float


def read_optics(cards: Cards, repairs: list[Repair]) -> Optics:
    """Read and complete the optical set-up; what was mended is added to `repairs`.

    A missing mode is named from lines and commanded angles, a missing grating from the mode,
    missing angles from their measured or commanded twin or from the mode. An angle that nothing
    tells is NaN.
    """
    wavmode = canonical_mode(cards.text("WAVMODE"))
    grating, lines_mm = _grating(cards, wavmode, repairs)
    angles = _angles(cards, wavmode, repairs)
    wavmode = _mode(cards, grating, lines_mm, angles, repairs)
    return Optics(
        grating=grating,
        lines_mm=lines_mm,
        wavmode=wavmode,
        filter=_respelled(cards, "FILTER", canonical_filter(cards.text("FILTER")), repairs),
        filter2=_respelled(cards, "FILTER2", canonical_filter(cards.text("FILTER2")), repairs),
        slit=_respelled(cards, "SLIT", canonical_slit(cards.text("SLIT")), repairs),
        **angles,
    )


def _joined(text: str) -> str:
    return _BLANKS.sub("_", _BRACKETS.sub("", text).strip())


def canonical_grating(text: str) -> str:
    """Return a grating name with its lines first, such as ``600_SYZY_OLD``.

    Examples
    --------
    >>> canonical_grating("SYZY_600-OLD"), canonical_grating("<NO GRATING>")
    ('600_SYZY_OLD', 'NO_GRATING')
    """
    words = _joined(text).upper().replace("-", "_").split("_")
    if not any(words) or words[0] == "NO" or words[0] in _OUT:
        return NO_GRATING
    words.sort(key=lambda word: not _LINES.fullmatch(word))
    return "_".join(word for word in words if word)


def lines_of(grating: str) -> int:
    """Return the lines per mm in a grating name, 0 for none."""
    found = _LINES.search(grating)
    return int(found[1]) if found else 0


def canonical_mode(text: str) -> str:
    """Return a mode name in upper case with underscores, such as ``400_M1``; empty if empty."""
    return _joined(text).upper()


def canonical_filter(text: str) -> str:
    """Return a filter name without brackets and blanks; letters keep their case (u, U differ)."""
    name = _joined(text)
    return NO_FILTER if not name or name.upper() in {"NO_FILTER", "NOFILTER", *_OUT} else name


def canonical_slit(text: str) -> str:
    """Return a slit name such as ``1.03_LONG_SLIT``, or ``NO_MASK``."""
    name = _joined(text).upper()
    return NO_MASK if not name or name in {"NO_MASK", "NO_SLIT", "NOMASK", *_OUT} else name


def slit_width(slit: str) -> float | None:
    """Return the width in arcsec that a canonical slit name begins with, or None."""
    found = re.match(r"(\d+\.?\d*|\.\d+)(?=_|$|[A-Z])", slit)
    return float(found[1]) if found and 0 < float(found[1]) < 60 else None


def _respelled(cards: Cards, key: str, used: str, repairs: list[Repair]) -> str:
    found = cards.text(key)
    if found != used:
        reason = _CANONICAL if found else "The card is missing or empty: nothing in the light."
        repairs.append(Repair(key, found, used, reason))
    return used


def _grating(cards: Cards, wavmode: str, repairs: list[Repair]) -> tuple[str, int | None]:
    found = cards.text("GRATING")
    if found:
        grating = _respelled(cards, "GRATING", canonical_grating(found), repairs)
        return grating, lines_of(grating)
    lines_mm = lines_of(wavmode)
    if lines_mm:
        reason = f"The card is missing; lines taken from the mode {wavmode}."
        repairs.append(Repair("GRATING", "", str(lines_mm), reason))
        return str(lines_mm), lines_mm
    return NO_GRATING, 0 if wavmode == "IMAGING" else None


def _angles(cards: Cards, wavmode: str, repairs: list[Repair]) -> dict[str, float]:
    named = next((mode for mode in modes() if mode.name == wavmode), None)
    angles = {}
    for measured, commanded, nominal in (
        ("CAM_ANG", "CAM_TARG", named.cam_targ if named else math.nan),
        ("GRT_ANG", "GRT_TARG", named.grt_targ if named else math.nan),
    ):
        for key, twin in ((measured, commanded), (commanded, measured)):
            value, source = cards.number(key), ""
            if value is None:
                value, source = cards.number(twin), twin
            if value is None:
                value, source = nominal, "WAVMODE"
            if source and not math.isnan(value):
                repairs.append(
                    Repair(key, cards.text(key), f"{value:g}", f"Missing; taken from {source}.")
                )
            angles[key.lower()] = value
    return angles


def _mode(
    cards: Cards,
    grating: str,
    lines_mm: int | None,
    angles: dict[str, float],
    repairs: list[Repair],
) -> str:
    found = cards.text("WAVMODE")
    wavmode = canonical_mode(found)
    if wavmode:
        if lines_mm and re.fullmatch(r"M\d|UV|BLUE|MID|RED|CANIR", wavmode):
            wavmode = f"{lines_mm}_{wavmode}"
        if wavmode != found:
            repairs.append(Repair("WAVMODE", found, wavmode, _CANONICAL))
        return wavmode
    if lines_mm:
        named = find_mode(lines_mm, angles["cam_targ"], angles["grt_targ"], grating)
        used = named.name if named else "CUSTOM"
    else:
        used = "IMAGING" if abs(angles["cam_targ"]) < 1.0 else "CUSTOM"
    reason = "The card is missing or empty; named from grating and commanded angles."
    repairs.append(Repair("WAVMODE", found, used, reason))
    return used
