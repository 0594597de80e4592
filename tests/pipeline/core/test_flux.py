"""Standards, air, sensitivity and flux against truth that the calibration does not know."""

from dataclasses import replace
from datetime import UTC, datetime

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from goodman_live.pipeline.core.atmosphere import airmass, altitude_deg, extinction, mean_airmass
from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.fluxcal import FLUX_UNIT, ab_magnitude, calibrate, limits
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.sensitivity import Observed, fit_sensitivity, telluric
from goodman_live.pipeline.core.standards import (
    ab_to_flux,
    name_against_pointing,
    plain_name,
    recognise,
    standards,
)
from goodman_live.pipeline.core.telluric import correct, measure_absorption

from .one_d import GAIN, STARS, observe, star_magnitude, target_magnitude

WHEN = datetime(2026, 8, 16, 2, tzinfo=UTC)
BLUE = {"low": 3500.0, "high": 7000.0}
RED = {"low": 4600.0, "high": 8900.0, "edge": 4550.0}


def observed(name, rng, *, airmass=1.1, **options):
    exptime_s = 60.0 if STARS[name].ab.mean() > 8 else 5.0
    spectrum = observe(
        star_magnitude(name), rng, exptime_s=exptime_s, airmass=airmass, grey=0.8, **options
    )
    return Observed(name, spectrum, STARS[name], airmass, exptime_s, GAIN)


def shape(calibrated, sensitivity):
    """Return (rms of the shape in 40-pixel bins, width of the pulls) less one grey factor."""
    wave = calibrated.wavelength
    truth = ab_to_flux(target_magnitude(wave), wave)
    kept = ~telluric(wave, np.full(len(wave), 60.0)) & sensitivity.covers(wave)
    ratio = calibrated.flux[kept] / truth[kept]
    grey = np.median(ratio)
    binned = (ratio / grey)[: len(ratio) // 40 * 40].reshape(-1, 40).mean(axis=1)
    pull = (calibrated.flux[kept] - grey * truth[kept]) / calibrated.uncertainty[kept]
    return binned.std(), pull.std()


# -- standards


@pytest.mark.parametrize(
    "text", ["LTT7379", "ltt 7379", "LTT-7379", "LTT_7379", "LTT 7379 1.0slit", "std LTT7379"]
)
def test_a_standard_is_known_by_any_spelling(text):
    found = recognise(text, None, None, WHEN)
    assert found is not None
    assert found.standard.name == "LTT 7379"


@pytest.mark.parametrize(
    ("text", "name"),
    [("CD-34d241", "LTT 377"), ("Feige-110", "Feige 110"), ("EG21", "EG 21"),
     ("HD 38666", "HR 1996"), ("hr9087", "HR 9087")],
)  # fmt: skip
def test_aliases_are_known(text, name):
    assert recognise(text, None, None, WHEN).standard.name == name


@pytest.mark.parametrize("text", ["SN2026abc", "GD 500", "HR 79", "Feige", "", "NGC 7292"])
def test_other_names_are_no_standards(text):
    assert recognise(text, None, None, WHEN) is None


def test_a_nameless_standard_is_known_by_its_position():
    star = STARS["HR 1996"]
    found = recognise("Calibration-Star", star.ra_deg, star.dec_deg + 5 / 3600, WHEN)
    assert found.standard.name == "HR 1996"
    assert "position" in found.reason
    assert recognise("Calibration-Star", star.ra_deg, star.dec_deg + 0.02, WHEN) is None


def test_a_name_kept_from_the_target_before_is_not_believed():
    assert recognise("LTT7379", 100.0, -20.0, WHEN) is None
    assert "LTT 7379, but the telescope pointed 1" in name_against_pointing(
        "ltt-7379", 100.0, -20.0, WHEN
    )
    star = STARS["LTT 7379"]
    near = (star.ra_deg, star.dec_deg + 0.05)
    assert "3.0 arcmin" in name_against_pointing("LTT7379", *near, WHEN)
    assert name_against_pointing("LTT7379", star.ra_deg, star.dec_deg, WHEN) == ""
    assert name_against_pointing("SN2026abc", 100.0, -20.0, WHEN) == ""


def test_a_fast_star_is_looked_for_where_it_is_now():
    star = STARS["LTT 4364"]
    ra, dec = star.position(WHEN)
    moved = np.hypot((ra - star.ra_deg) * np.cos(np.radians(dec)), dec - star.dec_deg) * 3600
    assert moved == pytest.approx(2.68 * 26.6, rel=0.02)
    assert recognise("acquisition 7", ra, dec, WHEN).standard is star


def test_the_library_holds_what_is_observed_at_soar():
    assert len(standards()) >= 35
    for name in ("HR 1996", "HR 5501", "HR 7596", "HR 9087", "LTT 7379", "EG 274", "Feige 110"):
        star = STARS[name]
        assert np.all(np.diff(star.wavelength) > 0)
        assert star.reference
    names = [plain_name(star.name) for star in standards()]
    assert len(set(names)) == len(names)


def test_published_magnitudes_become_flux():
    # Hamuy et al. (1992): LTT 7379 has 1835.7e-16 erg/s/cm2/A at 3300 A
    star = STARS["LTT 7379"]
    assert star.flux()[0] == pytest.approx(1835.7e-16, rel=2e-3)


# -- air


@pytest.mark.parametrize(
    ("ra", "dec"), [(279.1, -44.3), (350.0, -5.0), (200.0, 10.0), (60.0, -80.0)]
)
def test_altitude_agrees_with_astropy(ra, dec):
    site = EarthLocation.from_geodetic(-70.733642, -30.237892, 2738 * u.m)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        frame = AltAz(obstime=Time("2020-08-16T02:00:00"), location=site)
        truth = SkyCoord(ra, dec, unit="deg").transform_to(frame).alt.deg
    assert altitude_deg(ra, dec, datetime(2020, 8, 16, 2, tzinfo=UTC)) == pytest.approx(
        truth, abs=0.02
    )


def test_airmass_is_that_of_the_middle_of_the_exposure():
    assert airmass(90.0) == pytest.approx(1.0, abs=1e-3)
    assert airmass(30.0) == pytest.approx(1.995, abs=0.01)
    long = mean_airmass(200.0, -30.0, WHEN, 3600.0)
    short = mean_airmass(200.0, -30.0, WHEN, 1.0)
    assert long > short > 1
    assert mean_airmass(200.0, 80.0, WHEN, 60.0) is None


def test_the_air_is_thinner_on_pachon():
    wave = np.array([3500.0, 5000.0, 7000.0])
    less = np.array([0.62, 0.19, 0.068]) - extinction(wave)  # published for CTIO
    assert 0.02 < less[0] < 0.05
    assert np.all(np.diff(less) < 0)
    assert np.all(less > 0)


# -- sensitivity and flux


@pytest.mark.parametrize(
    ("star", "window"),
    [("LTT 7379", BLUE), ("EG 274", BLUE), ("HR 1996", BLUE), ("LTT 3218", RED), ("HR 7596", RED),
     ("Feige 110", BLUE)],
)  # fmt: skip
@pytest.mark.parametrize(("off", "up", "bar"), [(1.1, 1.8, 0.02), (0.9, 1.3, 0.02)])
def test_flux_keeps_its_shape_under_air_it_does_not_know(star, window, off, up, bar):
    rng = np.random.default_rng(7)
    widths, pulls = [], []
    for _ in range(3):
        sensitivity = fit_sensitivity([observed(star, rng, off=off, **window)])
        spectrum = observe(
            target_magnitude, rng, exptime_s=900.0, airmass=up, grey=0.6, off=off, **window
        )
        done = calibrate(spectrum, sensitivity, airmass=up, exptime_s=900.0, gain=GAIN)
        width, pull = shape(done, sensitivity)
        widths.append(width)
        pulls.append(pull)
    assert np.mean(widths) <= bar
    assert 0.75 < np.mean(pulls) < 1.25


@pytest.mark.parametrize(
    ("star", "window"), [("LTT 7379", BLUE), ("EG 274", BLUE), ("LTT 3218", RED)]
)
def test_flux_is_good_to_a_per_cent_under_the_air_it_knows(star, window):
    rng = np.random.default_rng(8)
    widths = []
    for _ in range(3):
        options = {**window, "curve": extinction}
        sensitivity = fit_sensitivity([observed(star, rng, **options)])
        spectrum = observe(
            target_magnitude, rng, exptime_s=900.0, airmass=1.7, grey=0.6, **options
        )
        done = calibrate(spectrum, sensitivity, airmass=1.7, exptime_s=900.0, gain=GAIN)
        widths.append(shape(done, sensitivity)[0])
    assert np.mean(widths) <= 0.01


def test_faint_pulls_are_those_of_the_photons():
    rng = np.random.default_rng(9)
    sensitivity = fit_sensitivity([observed("LTT 3218", rng, **RED)])
    spectrum = observe(
        lambda w: target_magnitude(w) + 5, rng, exptime_s=900.0, airmass=1.3, sky=0.3, **RED
    )
    done = calibrate(spectrum, sensitivity, airmass=1.3, exptime_s=900.0, gain=GAIN)
    wave = done.wavelength
    truth = ab_to_flux(target_magnitude(wave) + 5, wave)
    kept = ~telluric(wave, np.full(len(wave), 60.0)) & sensitivity.covers(wave)
    grey = np.sum((done.flux * truth)[kept]) / np.sum(truth[kept] ** 2)
    pull = (done.flux - grey * truth)[kept] / done.uncertainty[kept]
    assert 0.94 < pull.std() < 1.06


def test_several_standards_share_one_curve_and_keep_their_levels():
    rng = np.random.default_rng(10)
    exposures = [
        observed(name, rng, airmass=x, **RED) for name, x in (("LTT 3218", 1.1), ("HR 7596", 1.5))
    ]
    dim = replace(
        exposures[1],
        spectrum=replace(
            exposures[1].spectrum,
            flux=exposures[1].spectrum.flux * 0.5,
            uncertainty=exposures[1].spectrum.uncertainty * 0.5,
        ),
    )
    sensitivity = fit_sensitivity([exposures[0], dim])
    assert sensitivity.bands[0].grey == pytest.approx(0.0, abs=0.01)
    assert sensitivity.bands[1].grey == pytest.approx(2.5 * np.log10(2), abs=0.02)
    assert sensitivity.grey_error > 0.3  # two that disagree by a factor of two say so


def test_counts_from_another_readout_mode_serve():
    rng = np.random.default_rng(11)
    star = observed("LTT 3218", rng, **RED)
    other = replace(
        star,
        gain=3.0,
        spectrum=replace(
            star.spectrum,
            flux=star.spectrum.flux * GAIN / 3,
            uncertainty=star.spectrum.uncertainty * GAIN / 3,
        ),
    )
    wave = np.linspace(4700, 8700, 50)
    one, two = fit_sensitivity([star]), fit_sensitivity([other])
    np.testing.assert_allclose(one.magnitude(wave), two.magnitude(wave), atol=1e-6)


def test_a_cosmic_ray_on_the_standard_does_no_harm():
    rng = np.random.default_rng(12)
    star = observed("LTT 3218", rng, **RED)
    hit = star.spectrum.flux.copy()
    hit[[400, 401, 1200]] *= 3
    wave = np.linspace(4700, 8700, 50)
    clean = fit_sensitivity([star]).magnitude(wave)
    spoilt = replace(star, spectrum=replace(star.spectrum, flux=hit))
    assert np.abs(fit_sensitivity([spoilt]).magnitude(wave) - clean).max() < 0.01


def test_a_standard_that_does_not_cover_the_set_up_is_refused():
    rng = np.random.default_rng(13)
    narrow = observed("LTT 3218", rng, low=7590.0, high=7700.0)
    with pytest.raises(UntrustedSolutionError, match="bands"):
        fit_sensitivity([narrow])


def test_what_lies_beyond_the_standard_is_flagged_and_doubted():
    rng = np.random.default_rng(14)
    sensitivity = fit_sensitivity([observed("HR 7596", rng, **BLUE)])
    spectrum = observe(
        target_magnitude, rng, low=3300.0, high=7600.0, exptime_s=900.0, airmass=1.1
    )
    done = calibrate(spectrum, sensitivity, airmass=1.1, exptime_s=900.0, gain=GAIN)
    beyond = done.wavelength > 7100
    assert np.all(done.flags[beyond] & Flag.EXTRAPOLATED)
    assert not np.any(done.mask[beyond])
    assert np.all(sensitivity.error(done.wavelength[beyond]) > 0.1)
    assert done.unit == FLUX_UNIT


def test_an_exposure_of_no_time_is_refused():
    rng = np.random.default_rng(15)
    star = observed("LTT 3218", rng, **RED)
    with pytest.raises(ValueError, match="no time"):
        calibrate(star.spectrum, fit_sensitivity([star]), airmass=1.0, exptime_s=0.0, gain=GAIN)


def test_limits_are_stated():
    plain = limits(("NO_FILTER", "NO_FILTER"), 1.0, 0.05)
    blocked = limits(("NO_FILTER", "GG455"), 1.0, 0.05)
    assert plain.second_order_from == 6400
    assert blocked.second_order_from == 9100
    assert "1 arcsec" in plain.slit_loss


def test_a_synthetic_magnitude_is_that_of_a_flat_spectrum():
    rng = np.random.default_rng(16)
    star = observed("LTT 3218", rng, **RED)
    wave = star.spectrum.wavelength
    even = replace(star.spectrum, flux=ab_to_flux(np.full(len(wave), 15.0), wave),
                   uncertainty=np.full(len(wave), 1e-17))  # fmt: skip
    centre = np.linspace(5000, 6500, 30)
    passed = np.exp(-(((centre - 5700) / 300) ** 2))
    value, error = ab_magnitude(even, centre, passed)
    assert value == pytest.approx(15.0 - 0.01, abs=2e-3)  # zero of 48.59 against 48.60
    assert 0 < error < 0.01
    assert np.isnan(ab_magnitude(even, centre + 3500, passed)[0])


# -- telluric


@pytest.mark.parametrize(
    ("at", "up", "moved"), [(1.1, 1.1, 0.0), (1.1, 1.7, 1.0), (1.6, 1.1, -2.0)]
)
def test_the_a_band_is_divided_out(at, up, moved):
    rng = np.random.default_rng(17)
    left = []
    for name in ("LTT 3218", "HR 7596"):
        star = observed(name, rng, airmass=at, **RED)
        sensitivity = fit_sensitivity([star])
        absorption = measure_absorption(star, sensitivity)
        spectrum = observe(target_magnitude, rng, exptime_s=900.0, airmass=up, **RED)
        seen = replace(spectrum, wavelength=spectrum.wavelength + moved)
        done = calibrate(seen, sensitivity, airmass=up, exptime_s=900.0, gain=GAIN)
        clean, fit = correct(done, absorption, airmass=up)
        assert fit.fitted
        assert fit.shift_aa == pytest.approx(moved, abs=0.4)
        wave = clean.wavelength - moved
        ratio = clean.flux / ab_to_flux(target_magnitude(wave), wave)
        band, near = (wave > 7592) & (wave < 7690), (wave > 7450) & (wave < 7560)
        resolved = (ratio / np.median(ratio[near]))[band][:44].reshape(-1, 4).mean(axis=1)
        left.append(resolved.std())
    assert np.mean(left) <= 0.02


def test_a_faint_spectrum_is_corrected_by_airmass_alone():
    rng = np.random.default_rng(18)
    star = observed("LTT 3218", rng, **RED)
    sensitivity = fit_sensitivity([star])
    absorption = measure_absorption(star, sensitivity)
    faint = observe(
        lambda w: target_magnitude(w) + 7, rng, exptime_s=900.0, airmass=1.5, sky=0.3, **RED
    )
    _, fit = correct(faint, absorption, airmass=1.5)
    assert not fit.fitted
    assert fit.shift_aa == 0
    assert fit.strength == pytest.approx((1.5 / 1.1) ** 0.55)
