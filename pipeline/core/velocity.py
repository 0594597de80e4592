"""Barycentric correction of an exposure: stored beside the wavelengths, never applied.

The routines of the IAU are called directly: ``astropy.coordinates`` calls the same ones, but costs
a worker half a second and a hundred megabytes for this one number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import erfa
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGITUDE_DEG, LATITUDE_DEG, HEIGHT_M = -70.733642, -30.237892, 2738.0
"""The SOAR telescope on Cerro Pachon."""

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_UTC_TO_TT_S = 69.184
"""With the leap seconds since 2017; one more or less would change the velocity by 6 mm/s."""
_C_KMS = 299792.458
_AU_KM = 149597870.7
_DAY_S = 86400.0
_SUN_KM = 1.4766250
"""Half the sun's Schwarzschild radius."""
_EARTH_KM = 4.4350e-6
"""Half the earth's Schwarzschild radius."""


def barycentric_kms(ra_deg: float, dec_deg: float, mid: datetime) -> float:
    """Return the velocity to add to a measured one to refer it to the barycentre, km/s.

    Good to about 10 m/s: the ephemeris VSOP2000 as ERFA has it, UT1 taken for UTC, and the target
    at rest (Wright & Eastman 2014, PASP 126, 838).

    Parameters
    ----------
    ra_deg, dec_deg : float
        Target, degrees (ICRS).
    mid : datetime
        Middle of the exposure, UTC.
    """
    utc = mid.replace(tzinfo=UTC) if mid.tzinfo is None else mid
    place, velocity, sun_km = _observer((utc - _J2000).total_seconds() / _DAY_S)
    star = erfa.s2c(np.radians(ra_deg), np.radians(dec_deg))
    beta = velocity / _C_KMS
    gravity = _SUN_KM / sun_km + _EARTH_KM / place
    gamma = 1 / np.sqrt(1 - beta @ beta)
    return float(_C_KMS * (gamma * (1 + beta @ star) / (1 + gravity) - 1))


def _observer(days: float) -> tuple[float, NDArray[np.float64], float]:
    """Return distance from the earth's centre, velocity (3,) and distance of the sun.

    Of the telescope, in km and km/s, as seen from the barycentre `days` of UTC after J2000.
    """
    terrestrial = (erfa.DJ00, days + _UTC_TO_TT_S / _DAY_S)
    around_sun, around_barycentre = erfa.epv00(*terrestrial)
    on_earth = erfa.pvtob(
        np.radians(LONGITUDE_DEG), np.radians(LATITUDE_DEG), HEIGHT_M, 0.0, 0.0, 0.0,
        erfa.era00(erfa.DJ00, days),
    )  # fmt: skip
    to_celestial = erfa.c2i06a(*terrestrial).T
    velocity = around_barycentre["v"] * (_AU_KM / _DAY_S) + to_celestial @ on_earth["v"] / 1000
    sun_km = float(np.linalg.norm(around_sun["p"])) * _AU_KM
    return float(np.linalg.norm(on_earth["p"])) / 1000, velocity, sun_km
