"""Spectrophotometric standard stars: who they are, where, and how bright at each wavelength."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

AB_ZERO = 48.59
"""m = -2.5 log10(F_nu) - 48.59 in the tables carried here (Hamuy et al. 1992, PASP 104, 533)."""
SPEED_OF_LIGHT = 2.99792458e18
"""Angstrom per second."""

NAMED_WITHIN_ARCSEC = 120.0
"""How far a frame whose OBJECT names a standard may point from it."""
UNNAMED_WITHIN_ARCSEC = 30.0
"""How near a frame of another OBJECT must point to be taken for a standard."""

_REFERENCES = {
    "hamuy": "Hamuy et al. 1992, PASP 104, 533; 1994, PASP 106, 566",
    "hst": "HST standards: Turnshek et al. 1990, AJ 99, 1243; Bohlin et al. 1990, ApJS 73, 413",
}


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """One star with its published spectrum."""

    name: str
    """Name such as ``LTT 7379``."""
    ra_deg: float
    """Right ascension, ICRS, epoch 2000, degrees."""
    dec_deg: float
    """Declination, ICRS, epoch 2000, degrees."""
    motion_mas: tuple[float, float]
    """Proper motion in right ascension (times cos dec) and declination, mas a year; zeros where
    it is below one arcsec a year."""
    aliases: tuple[str, ...]
    """Other names, as `plain_name` writes them."""
    reference: str
    """Where the spectrum was published."""
    note: str
    """What to know: ``model``, ``red half only`` or nothing."""
    wavelength: NDArray[np.float64]
    """Middle of each band, air, Angstrom, shape (n,), rising."""
    ab: NDArray[np.float64]
    """AB magnitude in each band (zero `AB_ZERO`), shape (n,)."""
    band: NDArray[np.float64]
    """Width of each band, Angstrom, shape (n,)."""

    def flux(self) -> NDArray[np.float64]:
        """Return the flux density in each band, erg/s/cm2/A, shape (n,)."""
        return ab_to_flux(self.ab, self.wavelength)

    def position(self, when: datetime) -> tuple[float, float]:
        """Return right ascension and declination at a date, degrees."""
        years = (when.year - 2000) + (when.timetuple().tm_yday - 1) / 365.25
        dec = self.dec_deg + years * self.motion_mas[1] / 3.6e6
        ra = self.ra_deg + years * self.motion_mas[0] / 3.6e6 / np.cos(np.radians(dec))
        return float(ra % 360), float(dec)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A frame's target as a standard star, and why."""

    standard: Standard
    reason: str
    """A sentence for the reader."""
    separation_arcsec: float | None
    """Distance of the pointing from the star at that epoch, None without a position."""


def ab_to_flux(ab: NDArray[np.float64], wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return erg/s/cm2/A of AB magnitudes (zero `AB_ZERO`) at wavelengths in Angstrom."""
    density: NDArray[np.float64] = 10 ** (-0.4 * (ab + AB_ZERO)) * SPEED_OF_LIGHT / wavelength**2
    return density


def plain_name(text: str) -> str:
    """Return a name in capitals without blanks, dashes or signs: ``CD-34d241`` is ``CD34241``."""
    letters = re.sub(r"[^A-Z0-9]", "", text.upper())
    return re.sub(r"(?<=\d)D(?=\d)", "", letters)


@cache
def standards() -> tuple[Standard, ...]:
    """Return the stars of the library, the Hamuy set first."""
    bands = {name: _bands(f"{name}.csv") for name in _REFERENCES}
    found = []
    for row in _rows("stars.csv"):
        wavelength, ab, band = bands[row["set"]][row["name"]].T
        found.append(
            Standard(
                name=row["name"],
                ra_deg=float(row["ra"]),
                dec_deg=float(row["dec"]),
                motion_mas=(float(row["pm_ra"] or 0), float(row["pm_dec"] or 0)),
                aliases=tuple(plain_name(alias) for alias in row["aliases"].split()),
                reference=_REFERENCES[row["set"]],
                note=row["note"],
                wavelength=wavelength,
                ab=ab,
                band=band,
            )
        )
    return tuple(found)


def recognise(
    object_name: str, ra_deg: float | None, dec_deg: float | None, when: datetime
) -> Recognised | None:
    """Tell whether a frame was pointed at a standard star.

    A name alone is not believed against the pointing: OBJECT often keeps the name of the target
    before. A pointing alone is believed within `UNNAMED_WITHIN_ARCSEC`.

    Parameters
    ----------
    object_name : str
        OBJECT of the header; blanks, dashes and case do not matter.
    ra_deg, dec_deg : float or None
        Pointing, degrees.
    when : datetime
        Time of the exposure; the stars' positions are moved to it.

    Returns
    -------
    Recognised or None
        None if the target is no standard of the library.
    """
    named = _named(object_name)
    if ra_deg is None or dec_deg is None:
        if named is None:
            return None
        return Recognised(named, f"{named.name} by its name; the header has no position.", None)
    if named is not None:
        away = _separation_arcsec(named, ra_deg, dec_deg, when)
        if away <= NAMED_WITHIN_ARCSEC:
            return Recognised(named, f'{named.name} by name, {away:.0f}" from its position.', away)
    near = min(standards(), key=lambda star: _separation_arcsec(star, ra_deg, dec_deg, when))
    away = _separation_arcsec(near, ra_deg, dec_deg, when)
    if away <= UNNAMED_WITHIN_ARCSEC:
        return Recognised(near, f'{near.name} by its position, {away:.0f}" away.', away)
    return None


def name_against_pointing(
    object_name: str, ra_deg: float | None, dec_deg: float | None, when: datetime
) -> str:
    """Say that a frame is named after a standard star but points elsewhere; empty otherwise.

    Parameters
    ----------
    object_name, ra_deg, dec_deg, when
        As `recognise` takes them.
    """
    named = _named(object_name)
    if named is None or ra_deg is None or dec_deg is None:
        return ""
    away = _separation_arcsec(named, ra_deg, dec_deg, when)
    if away <= NAMED_WITHIN_ARCSEC:
        return ""
    far = f"{away / 60:.1f} arcmin" if away < 3600 else f"{away / 3600:.1f} deg"
    return f"OBJECT says {named.name}, but the telescope pointed {far} from it: no standard."


def _named(text: str) -> Standard | None:
    """Return the star that a text names, alone or as its first word or words."""
    words = [word for word in re.split(r"[^A-Za-z0-9+]+", text) if word]
    tries = [plain_name(text)]
    tries += [plain_name("".join(words[i:j])) for i in range(len(words)) for j in (i + 2, i + 1)]
    index = _by_name()
    return next((index[name] for name in tries if name in index), None)


@cache
def _by_name() -> dict[str, Standard]:
    names: dict[str, Standard] = {}
    for star in standards():
        for name in (plain_name(star.name), *star.aliases):
            names.setdefault(name, star)
    return names


def _separation_arcsec(star: Standard, ra_deg: float, dec_deg: float, when: datetime) -> float:
    ra, dec = np.radians(star.position(when))
    ra2, dec2 = np.radians((ra_deg, dec_deg))
    half = np.sin((dec - dec2) / 2) ** 2 + np.cos(dec) * np.cos(dec2) * np.sin((ra - ra2) / 2) ** 2
    return float(np.degrees(2 * np.arcsin(np.sqrt(min(half, 1.0)))) * 3600)


def _rows(name: str) -> list[dict[str, str]]:
    source = resources.files("goodman_live.pipeline") / "data" / "standards" / name
    lines = source.read_text("utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _bands(name: str) -> dict[str, NDArray[np.float64]]:
    table: dict[str, list[tuple[float, float, float]]] = {}
    for row in _rows(name):
        band = float(row["wavelength"]), float(row["ab"]), float(row["band"])
        table.setdefault(row["star"], []).append(band)
    return {star: np.array(sorted(rows)) for star, rows in table.items()}
