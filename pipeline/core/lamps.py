"""Which lamps shone, from switches or from the names that observers gave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodman_live.pipeline.core.cards import Cards

ARC_LAMPS = ("HGA", "NE", "AR", "FE", "CU")
"""Arc lamps by the end of their keyword ``LAMP_*``."""

CONTINUUM_LAMPS = ("QUA", "BUL", "DOM")
"""Quartz, bulb and dome lamp."""

_ELEMENTS = re.compile(r"(?:Hg|Ar|Ne|Cu|Fe|He)+")
_ELEMENT = re.compile(r"Hg|Ar|Ne|Cu|Fe|He", re.IGNORECASE)
_WORDS = re.compile(r"[\s_\-+,.()/]+")
_NOT_NAMES = frozenset({"HE", "HEAR", "NEAR", "HEHE"})
"""Words made of element symbols that name no lamp of Goodman."""


def switched_on(cards: Cards, lamps: tuple[str, ...]) -> frozenset[str] | None:
    """Return the lamps whose switch is on; None if the header has no switch of this kind."""
    switches = {lamp: cards.switch(f"LAMP_{lamp}") for lamp in lamps}
    if all(state is None for state in switches.values()):
        return None
    return frozenset(lamp for lamp, state in switches.items() if state)


def from_name(name: str, *, any_case: bool) -> frozenset[str]:
    """Return the lamps that an OBJECT such as ``HgArNe`` or ``CuHeAr 600`` names.

    Parameters
    ----------
    name : str
        Value of OBJECT.
    any_case : bool
        Also take ``HGARNE``: right for a frame that is known to be an arc.

    Returns
    -------
    frozenset of str
        Of `ARC_LAMPS`. Argon and helium beside mercury, copper or iron fill the same lamp;
        empty where the name is no lamp.
    """
    lamps: set[str] = set()
    for word in _WORDS.split(name.strip()):
        whole = re.fullmatch(_ELEMENTS.pattern, word, re.IGNORECASE if any_case else 0)
        if whole and word.upper() not in _NOT_NAMES:
            lamps |= _lamps_of({element.capitalize() for element in _ELEMENT.findall(word)})
    return frozenset(lamps)


def _lamps_of(elements: set[str]) -> set[str]:
    named = {"Hg": "HGA", "Cu": "CU", "Fe": "FE", "Ne": "NE"}
    lamps = {lamp for element, lamp in named.items() if element in elements}
    if "Ar" in elements and not elements & {"Hg", "Cu", "Fe"}:
        lamps.add("AR")
    return lamps
