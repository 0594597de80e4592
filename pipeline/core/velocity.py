"""Barycentric correction of an exposure: stored beside the wavelengths, never applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

LONGITUDE_DEG, LATITUDE_DEG, HEIGHT_M = -70.733642, -30.237892, 2738.0
"""The SOAR telescope on Cerro Pachon."""


def barycentric_kms(ra_deg: float, dec_deg: float, mid: datetime) -> float:
    """Return the velocity to add to a measured one to refer it to the barycentre, km/s.

    Good to about 10 m/s: astropy's built-in ephemeris, and the earth's rotation as far as the
    installed tables know it (Wright & Eastman 2014, PASP 126, 838). Nothing is downloaded.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Target, degrees (ICRS).
    mid : datetime
        Middle of the exposure, UTC.
    """
    # a second of imports, for the one number that needs them
    import astropy.units as u  # noqa: PLC0415
    from astropy.coordinates import EarthLocation, SkyCoord  # noqa: PLC0415
    from astropy.time import Time  # noqa: PLC0415
    from astropy.utils import iers  # noqa: PLC0415

    site = EarthLocation.from_geodetic(LONGITUDE_DEG, LATITUDE_DEG, HEIGHT_M)
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
    ):
        target = SkyCoord(ra_deg, dec_deg, unit="deg")
        when = Time(mid.replace(tzinfo=None), scale="utc", location=site)
        velocity = target.radial_velocity_correction("barycentric", obstime=when)
        return float(velocity.to_value(u.km / u.s))
