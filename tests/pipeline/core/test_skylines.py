"""Flexure from sky lines, and the barycentric correction."""

from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.io.fits import Header
from astropy.time import Time
from astropy.utils import iers

from goodman_live.pipeline.core.skylines import SKY_LINES, measure_flexure
from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.pipeline.core.velocity import (
    HEIGHT_M,
    LATITUDE_DEG,
    LONGITUDE_DEG,
    barycentric_kms,
)


def night(shift_px, rng, bright=400.0):
    n = 2030
    wavelength = 5000 + 1.98 * np.arange(n)
    sky = np.full(n, 50.0)
    for line, _ in SKY_LINES:
        place = (line - 5000) / 1.98 + shift_px
        sky += bright * np.exp(-0.5 * ((np.arange(n) - place) / 1.5) ** 2)
    sky += rng.normal(0, 3, n)
    empty = np.zeros(n)
    return Spectrum(
        empty, empty + 1, empty.astype(np.uint8), sky, empty, empty, Header(), "adu", wavelength
    )


@pytest.mark.parametrize("shift", [-1.3, -0.2, 0.0, 0.45, 1.7])
def test_the_shift_is_measured(shift):
    found = measure_flexure(night(shift, np.random.default_rng(1)), fwhm_px=3.5)
    assert found is not None
    assert found.n_used >= 5
    assert found.shift_px == pytest.approx(shift, abs=0.05)
    assert 0 < found.sigma_px < 0.1


@pytest.mark.parametrize("scale", [0.3, 0.65, 1.0, 1.98])
@pytest.mark.parametrize("shift", [-1.1, 0.3])
def test_the_sodium_doublet_alone_gives_the_shift(scale, shift):
    rng = np.random.default_rng(5)
    index = np.arange(400)
    wavelength = 5893 + scale * (index - 200)
    sky = np.full(400, 50.0)
    for line, bright in ((5889.951, 500), (5895.924, 300)):
        place = (line - wavelength[0]) / scale + shift
        sky += bright * np.exp(-0.5 * ((index - place) / 1.4) ** 2)
    sky += rng.normal(0, 3, 400)
    empty = np.zeros(400)
    spectrum = Spectrum(
        empty, empty + 1, empty.astype(np.uint8), sky, empty, empty, Header(), "adu", wavelength
    )
    found = measure_flexure(spectrum, fwhm_px=3.3)
    assert found is not None
    assert [line.species for line in found.lines if line.used] == ["Na I"]
    assert found.shift_px == pytest.approx(shift, abs=max(0.06, 3.5 * found.sigma_px))
    assert found.sigma_px < 0.3


def test_no_sky_gives_no_shift():
    faint = night(0.5, np.random.default_rng(2), bright=0.0)
    assert measure_flexure(faint, fwhm_px=3.5) is None


def test_the_earth_flies_towards_a_star_and_half_a_year_later_away():
    mid = datetime(2022, 7, 5, 9, 0, tzinfo=UTC)
    half_a_year_on = datetime(2023, 1, 4, 1, 0, tzinfo=UTC)
    one, other = (barycentric_kms(26.017, -15.9375, t) for t in (mid, half_a_year_on))
    assert 15 < one < 30.5
    assert -30.5 < other < -15


@pytest.mark.parametrize("year", [2016, 2021, 2027])
def test_the_barycentric_correction_is_that_of_astropy(year):
    site = EarthLocation.from_geodetic(LONGITUDE_DEG, LATITUDE_DEG, HEIGHT_M)
    for month, hour, ra, dec in ((1, 3, 12.0, -80.0), (5, 0, 200.0, 5.0), (9, 9, 310.0, 27.0)):
        mid = datetime(year, month, 17, hour, 21, 8, tzinfo=UTC)
        with (
            iers.conf.set_temp("auto_download", False),
            iers.conf.set_temp("auto_max_age", None),
            iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        ):
            when = Time(mid.replace(tzinfo=None), scale="utc", location=site)
            target = SkyCoord(ra, dec, unit="deg")
            known = target.radial_velocity_correction("barycentric", obstime=when)
        assert barycentric_kms(ra, dec, mid) == pytest.approx(known.to_value("km/s"), abs=0.01)
