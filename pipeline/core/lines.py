"""Laboratory lines of the arc lamps, and how likely each lamp is to show them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

GASES = {
    "HGA": ("Hg", "Ar"),
    "NE": ("Ne",),
    "AR": ("Ar",),
    "CU": ("Cu", "He", "Ar"),
    "FE": ("Fe", "He", "Ar"),
}
"""Elements that shine in each lamp; the buffer gases come with the cathode."""

CATHODES = frozenset({"CU", "FE"})
"""Hollow-cathode lamps, the only ones that show ionised argon well."""

_SEEN, _SAME_GAS, _LISTED, _IONISED, _AVOID = 1.0, 0.3, 0.06, 0.01, 0.02
"""Chance scale that a line shows: seen in this lamp, in another lamp of the gas, never, ..."""
_ELSEWHERE, _MISSED = 0.6, 0.15
"""The same for a line seen in this lamp, but with other gratings only; and where arcs of this
grating cover the line and none shows it, unresolved or too faint."""


@dataclass(frozen=True, slots=True, eq=False)
class LineList:
    """Lines that a set of lamps may show, in order of wavelength."""

    wavelength: NDArray[np.float64]
    """Air wavelength, Angstrom, shape (n,)."""
    element: NDArray[np.str_]
    """Species such as ``Ne I``, shape (n,)."""
    lamp: NDArray[np.str_]
    """Lamp or lamps that the line comes from, such as ``NE`` or ``AR+HGA``, shape (n,)."""
    chance: NDArray[np.float64]
    """How likely the line is to show, 0 to 1, shape (n,)."""
    strength: NDArray[np.float64]
    """Rank of the laboratory intensity within the species, 0 to 1, shape (n,)."""
    clean: NDArray[np.bool_]
    """False for lines that published arcs show blended or misidentified, shape (n,)."""

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.wavelength)

    def between(self, low: float, high: float) -> LineList:
        """Return the lines between two wavelengths in Angstrom."""
        return self.take((self.wavelength >= low) & (self.wavelength <= high))

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> LineList:
        """Return the chosen lines."""
        return LineList(
            self.wavelength[chosen],
            self.element[chosen],
            self.lamp[chosen],
            self.chance[chosen],
            self.strength[chosen],
            self.clean[chosen],
        )


@cache
def _rows() -> tuple[dict[str, str], ...]:
    source = resources.files("goodman_live.pipeline") / "data" / "laboratory_lines.csv"
    text = source.read_text("utf-8").splitlines()
    return tuple(csv.DictReader(line for line in text if not line.startswith("#")))


@cache
def _ranks() -> tuple[float, ...]:
    """Return the rank of each line's intensity within its species, 0 (weakest) to 1."""
    intensity = np.array([float(row["intensity"]) for row in _rows()])
    species = np.array([f"{row['element']} {row['ion']}" for row in _rows()])
    rank = np.zeros(len(intensity))
    for name in np.unique(species):
        same = species == name
        values = intensity[same]
        below = (values[:, None] > values[None, :]).sum(axis=1)
        rank[same] = below / max(len(values) - 1, 1)
    return tuple(rank)


def _chance(row: dict[str, str], lamps: tuple[str, ...], lines_mm: int | None) -> float:
    seen = row["seen_in"].split()
    if row["standing"] == "avoid":
        return _AVOID
    if any(lamp in seen for lamp in lamps):
        return _SEEN if lines_mm is None else _chance_at(row, lamps, lines_mm)
    ionised = row["ion"] != "I" and not CATHODES.intersection(lamps)
    if ionised:
        return _IONISED
    return _SAME_GAS if seen else _LISTED


def _chance_at(row: dict[str, str], lamps: tuple[str, ...], lines_mm: int) -> float:
    """Return the chance scale of a line that these lamps are known to show, for one grating."""
    here = {f"{lamp}{lines_mm}" for lamp in lamps}
    if here.intersection(row["seen_at"].split()):
        return _SEEN
    return _MISSED if here.intersection(row["missed_at"].split()) else _ELSEWHERE


@cache
def _lines_for(lamps: tuple[str, ...], lines_mm: int | None) -> LineList:
    chosen, sources, chances = [], [], []
    for index, row in enumerate(_rows()):
        own = tuple(lamp for lamp in lamps if row["element"] in GASES[lamp])
        if own:
            chosen.append(index)
            sources.append("+".join(own))
            chances.append(_chance(row, own, lines_mm))
    rows = [_rows()[index] for index in chosen]
    ranks = _ranks()
    return LineList(
        wavelength=np.array([float(row["wavelength_aa"]) for row in rows]),
        element=np.array([f"{row['element']} {row['ion']}" for row in rows]),
        lamp=np.array(sources),
        chance=np.array(chances),
        strength=np.array([ranks[index] for index in chosen]),
        clean=np.array([row["standing"] != "avoid" for row in rows]),
    )


def lines_for(lamps: Iterable[str], lines_mm: int | None = None) -> LineList:
    """Return the laboratory lines that a set of lamps may show.

    Parameters
    ----------
    lamps : iterable of str
        Any of ``HGA NE AR CU FE``.
    lines_mm : int, optional
        Grating, lines per mm. Where the lines come with no brightness, what published arcs of
        this grating show is all there is to tell likely lines from unlikely ones.

    Raises
    ------
    ValueError
        If there is no lamp, or one that is not known.
    """
    names = tuple(sorted(set(lamps)))
    unknown = [name for name in names if name not in GASES]
    if unknown or not names:
        raise ValueError(f"lamps {sorted(names)} are not among {sorted(GASES)}")
    return _lines_for(names, lines_mm)
