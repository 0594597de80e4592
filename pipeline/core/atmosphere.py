"""The air above Cerro Pachon: extinction, and how much of it an exposure looked through."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.velocity import HEIGHT_M, LATITUDE_DEG, LONGITUDE_DEG

if TYPE_CHECKING:
    from numpy.typing import NDArray

CTIO_HEIGHT_M = 2215.0
"""Where the extinction curve was measured."""
SCALE_HEIGHT_M = 8000.0
"""Scale height of the air, for its Rayleigh scattering."""
EXTINCTION_ERROR = 0.11
"""Share by which the extinction of one night differs from the mean curve, one standard deviation:
a tenth from night to night, and half of that for the mean curve itself, in squares."""

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


@cache
def _curve() -> NDArray[np.float64]:
    source = resources.files("goodman_live.pipeline") / "data" / "standards" / "extinction.csv"
    lines = [x for x in source.read_text("utf-8").splitlines() if not x.startswith("#")]
    return np.array(
        [(float(row["wavelength"]), float(row["extinction"])) for row in csv.DictReader(lines)]
    )


def extinction(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean extinction on Cerro Pachon, magnitudes per airmass.

    The curve of CTIO (Stone & Baldwin 1983, MNRAS 204, 347; Baldwin & Stone 1984, MNRAS 206,
    241), less the Rayleigh scattering (Hayes & Latham 1975, ApJ 197, 593) of the 523 m of air
    between the two sites. The ends of the curve are held beyond them.

    Parameters
    ----------
    wavelength : ndarray of float64
        Angstrom, any shape.
    """
    measured = np.interp(wavelength, *_curve().T)
    micron = np.asarray(wavelength, dtype=float) / 1e4
    index = 0.23465 + 107.6 / (146 - micron**-2) + 0.93161 / (41 - micron**-2)
    rayleigh = 9.4977e-3 * micron**-4 * index**2

    def share(height: float) -> float:
        return float(np.exp(-height / SCALE_HEIGHT_M))

    less: NDArray[np.float64] = rayleigh * (share(CTIO_HEIGHT_M) - share(HEIGHT_M))
    return np.asarray(measured - less)


def airmass(altitude_deg: float) -> float:
    """Return the airmass at an apparent altitude in degrees (Pickering 2002, DIO 12, 1)."""
    altitude = max(altitude_deg, 0.0)
    return float(1 / np.sin(np.radians(altitude + 244 / (165 + 47 * altitude**1.1))))


def altitude_deg(ra_deg: float, dec_deg: float, when: datetime) -> float:
    """Return the altitude of a target above the telescope, degrees.

    Precession to the date (Lieske et al. 1977, A&A 58, 1) and mean sidereal time; nutation,
    aberration and refraction are left out: 0.02 deg, less than 0.002 of an airmass at two.

    Parameters
    ----------
    ra_deg, dec_deg : float
        ICRS, degrees.
    when : datetime
        UTC.
    """
    days = (when - _J2000).total_seconds() / 86400
    ra, dec = _precessed(np.radians(ra_deg), np.radians(dec_deg), days / 36525)
    sidereal = np.radians(280.46061837 + 360.98564736629 * days + LONGITUDE_DEG)
    hour = sidereal - ra
    latitude = np.radians(LATITUDE_DEG)
    sine = np.sin(latitude) * np.sin(dec) + np.cos(latitude) * np.cos(dec) * np.cos(hour)
    return float(np.degrees(np.arcsin(np.clip(sine, -1, 1))))


def mean_airmass(ra_deg: float, dec_deg: float, mid: datetime, exptime_s: float) -> float | None:
    """Return the airmass averaged over an exposure, None where the target was not up.

    Three points and Simpson's rule: the airmass at the start, which headers carry, is wrong by
    0.1 for a long exposure at airmass two.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Target, ICRS, degrees.
    mid : datetime
        Middle of the exposure, UTC.
    exptime_s : float
        Exposure time, seconds.
    """
    half = timedelta(seconds=exptime_s / 2)
    altitudes = [altitude_deg(ra_deg, dec_deg, when) for when in (mid - half, mid, mid + half)]
    if min(altitudes) < 5:
        return None
    first, middle, last = (airmass(altitude) for altitude in altitudes)
    return (first + 4 * middle + last) / 6


def _precessed(ra: float, dec: float, centuries: float) -> tuple[float, float]:
    """Return right ascension and declination in the mean equator of the date, radians."""
    zeta, z, theta = np.radians(
        np.array(
            [
                2306.2181 * centuries + 0.30188 * centuries**2,
                2306.2181 * centuries + 1.09468 * centuries**2,
                2004.3109 * centuries - 0.42665 * centuries**2,
            ]
        )
        / 3600
    )
    a = np.cos(dec) * np.sin(ra + zeta)
    b = np.cos(theta) * np.cos(dec) * np.cos(ra + zeta) - np.sin(theta) * np.sin(dec)
    c = np.sin(theta) * np.cos(dec) * np.cos(ra + zeta) + np.cos(theta) * np.sin(dec)
    return float(np.arctan2(a, b) + z), float(np.arcsin(np.clip(c, -1, 1)))
