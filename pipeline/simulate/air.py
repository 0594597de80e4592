"""The air that a simulated exposure looks through, and standard stars as they are published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

_BANDS = (
    (6868, 6930, 0.35), (7165, 7320, 0.12), (7594, 7612, 1.3), (7616, 7680, 0.9),
    (8120, 8330, 0.1), (8960, 9780, 0.4),
)  # fmt: skip
"""Absorption of oxygen and water: edges in A, optical depth at the blue edge."""
_TYPICAL = 1.2
"""Airmass at which the throughput of `scene` was measured."""


@dataclass(frozen=True, slots=True)
class Air:
    """What one exposure looks through."""

    airmass: float = _TYPICAL
    off: float = 1.0
    """Extinction of the night relative to the mean curve of CTIO."""
    grey: float = 1.0
    """Share of the light that passes clouds and slit."""
    telluric: bool = True

    def transmission(self, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the transmission relative to the usual air, one band structure included."""
        curve = np.interp(wavelength, *_extinction())
        clear = self.grey * 10 ** (-0.4 * curve * (self.off * self.airmass - _TYPICAL))
        return np.asarray(clear * _bands(wavelength, self.airmass) if self.telluric else clear)


def air_for(ra: str, dec: str, mid: datetime, *, off: float = 1.0, grey: float = 1.0) -> Air:
    """Return the air towards a position at a time; low targets are held at airmass three."""
    import astropy.units as u  # noqa: PLC0415  (a second that most simulations do not need)
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord  # noqa: PLC0415
    from astropy.time import Time  # noqa: PLC0415
    from astropy.utils import iers  # noqa: PLC0415

    site = EarthLocation.from_geodetic(-70.733642, -30.237892, 2738 * u.m)
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
    ):
        frame = AltAz(obstime=Time(mid.replace(tzinfo=None)), location=site)
        altitude = SkyCoord(ra, dec, unit=("hourangle", "deg")).transform_to(frame).alt.deg
    sine = max(np.sin(np.radians(float(altitude))), 1 / 3)
    return Air(float(1 / sine), off, grey)


def star_magnitude(name: str, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the AB magnitude of a published standard above the atmosphere.

    The published spectra hold telluric absorption; they are bridged there.

    Raises
    ------
    KeyError
        If the star is not in the tables.
    """
    wave, magnitude = _stars()[name]
    clear = np.ones(len(wave), dtype=bool)
    for low, high, _ in _BANDS:
        clear &= (wave < low - 60) | (wave > high + 60)
    return np.asarray(np.interp(wavelength, wave[clear], magnitude[clear]))


def _bands(wavelength: NDArray[np.float64], airmass: float) -> NDArray[np.float64]:
    depth = np.zeros_like(wavelength)
    for low, high, tau in _BANDS:
        u = (wavelength - low) / (high - low)
        shape = np.clip(u * 12, 0, 1) * np.clip(1 - u, 0, 1)
        depth += tau * np.where((u > 0) & (u < 1), shape, 0)
    return np.asarray(np.exp(-depth * airmass**0.6))


def _lines(name: str) -> list[str]:
    source = resources.files("goodman_live.pipeline") / "data" / "standards" / name
    text = source.read_text("utf-8").splitlines()
    return [line for line in text if not line.startswith("#")][1:]


@cache
def _extinction() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wave, value = np.array(
        [[float(x) for x in row.split(",")] for row in _lines("extinction.csv")]
    ).T
    return wave, value


@cache
def _stars() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    rows: dict[str, list[tuple[float, float]]] = {}
    for line in (*_lines("hamuy.csv"), *_lines("hst.csv")):
        star, wave, magnitude, _ = line.split(",")
        rows.setdefault(star, []).append((float(wave), float(magnitude)))
    return {star: tuple(np.array(sorted(points)).T) for star, points in rows.items()}
