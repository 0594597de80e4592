"""Arc lamps: which laboratory lines shine, how bright, and displaced by how much."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LAMPS = ("HGA", "NE", "AR", "CU", "FE")
"""Lamps by the last letters of their header cards."""


@dataclass(frozen=True, slots=True)
class ArcLines:
    """Lines of the lamps that are on."""

    wavelength: NDArray[np.float64]
    """Air wavelengths, Angstrom, shape (n,)."""
    strength: NDArray[np.float64]
    """Relative flux of each line, shape (n,)."""
    lamp: NDArray[np.str_]
    """Lamp that each line comes from, shape (n,)."""
    offset: NDArray[np.float64]
    """Unbinned columns by which its lamp's light falls off the law, shape (n,)."""


@cache
def _table() -> NDArray[np.void]:
    source = files("goodman_live.pipeline.simulate") / "data" / "lamp_strengths.csv"
    lines = [x for x in source.read_text().splitlines() if not x.startswith("#")]
    return np.genfromtxt(lines, delimiter=",", names=True, dtype=None, encoding="utf-8")


def arc_lines(lamps: tuple[str, ...], offsets: Mapping[str, float] | None = None) -> ArcLines:
    """Return the lines of several lamps burning together.

    Parameters
    ----------
    lamps : tuple of str
        Any of ``HGA NE AR CU FE``.
    offsets : mapping, optional
        Unbinned columns by which each lamp fills the pupil off-centre; zero where not named.
    """
    table = _table()
    wavelength, strength, lamp, offset = [], [], [], []
    for name in lamps:
        shines = table[name] > 0
        wavelength.append(table["wavelength"][shines])
        strength.append(table[name][shines])
        lamp.append(np.full(shines.sum(), name))
        offset.append(np.full(shines.sum(), (offsets or {}).get(name, 0.0)))
    return ArcLines(*(np.concatenate(x) for x in (wavelength, strength, lamp, offset)))
