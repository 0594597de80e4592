"""A fitted line is compared with the line that was put in: values, and errors that are true."""

import numpy as np
import pytest
from scipy.special import erf

from goodman_live.pipeline.core.linefit import FWHM, LineFitError, fit_line

STEP = 0.9


def spectrum(rng, *, area, centre, fwhm, noise, level=50.0, slope=0.02, step=STEP):
    """Return x, flux and sigma of one line, averaged over pixels as a detector does."""
    x = np.arange(6400.0, 6700.0, step)
    root = np.sqrt(2.0) * fwhm / FWHM
    inside = erf((x + step / 2 - centre) / root) - erf((x - step / 2 - centre) / root)
    truth = level + slope * (x - 6550.0) + 0.5 * area * inside / step
    return x, truth + rng.normal(0, noise, x.size), np.full(x.size, noise)


CASES = {
    "emission": {"area": 900.0, "centre": 6563.4, "fwhm": 5.0, "noise": 3.0},
    "absorption": {"area": -120.0, "centre": 6549.0, "fwhm": 8.0, "noise": 1.0},
    "narrow": {"area": 300.0, "centre": 6561.03, "fwhm": 1.9, "noise": 4.0},
    "wide": {"area": 4000.0, "centre": 6540.0, "fwhm": 40.0, "noise": 4.0},
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_what_was_put_in_is_found_within_honest_errors(case):
    rng = np.random.default_rng(11)
    pulls = {"centre": [], "fwhm": [], "flux": [], "equivalent_width": []}
    for _ in range(120):
        x, flux, sigma = spectrum(rng, **case)
        found = fit_line(x, flux, sigma, 6460.0, 6640.0)
        continuum = 50.0 + 0.02 * (case["centre"] - 6550.0)
        truth = {
            "centre": case["centre"],
            "fwhm": case["fwhm"],
            "flux": case["area"],
            "equivalent_width": -case["area"] / continuum,
        }
        for name, list_of in pulls.items():
            error = getattr(found, f"{name}_error")
            list_of.append((getattr(found, name) - truth[name]) / error)
    for name, list_of in pulls.items():
        scatter = np.std(list_of)
        assert abs(np.mean(list_of)) < 0.35, name
        assert 0.75 < scatter < 1.25, (name, scatter)


def test_a_clean_line_is_found_to_a_part_in_a_thousand():
    x, flux, sigma = spectrum(
        np.random.default_rng(1), area=500.0, centre=6562.8, fwhm=4.2, noise=1e-4
    )
    found = fit_line(x, flux, sigma, 6500.0, 6620.0)
    assert found.centre == pytest.approx(6562.8, abs=1e-4)
    assert found.fwhm == pytest.approx(4.2, rel=1e-4)
    assert found.flux == pytest.approx(500.0, rel=1e-4)
    assert found.equivalent_width == pytest.approx(-500.0 / (50 + 0.02 * 12.8), rel=1e-4)
    np.testing.assert_allclose(found.model, flux[(x >= 6500) & (x <= 6620)], atol=1e-3)


def test_bad_pixels_inside_the_line_cost_precision_and_nothing_else():
    x, flux, sigma = spectrum(np.random.default_rng(5), **CASES["emission"])
    flux[np.abs(x - 6563.4) < 1.2] = np.nan
    found = fit_line(x, flux, sigma, 6500.0, 6630.0)
    assert abs(found.flux - 900.0) < 4 * found.flux_error
    assert np.isfinite(found.model).all()


def test_errors_grow_where_the_noise_is_larger_than_was_said():
    x, flux, sigma = spectrum(np.random.default_rng(6), **CASES["emission"])
    honest = fit_line(x, flux, sigma, 6460.0, 6640.0)
    proud = fit_line(x, flux, sigma / 10, 6460.0, 6640.0)
    assert proud.flux_error == pytest.approx(honest.flux_error, rel=0.15)
    assert proud.chi2 == pytest.approx(100 * honest.chi2, rel=0.01)


def test_units_of_flux_calibrated_spectra_make_no_difference():
    x, flux, sigma = spectrum(np.random.default_rng(7), **CASES["emission"])
    here = fit_line(x, flux, sigma, 6460.0, 6640.0)
    there = fit_line(x, flux * 1e-17, sigma * 1e-17, 6460.0, 6640.0)
    assert there.flux / here.flux == pytest.approx(1e-17, rel=1e-5)
    assert there.equivalent_width == pytest.approx(here.equivalent_width, rel=1e-5)
    assert there.fwhm_error == pytest.approx(here.fwhm_error, rel=1e-3)


def test_noise_alone_is_no_significant_line():
    rng = np.random.default_rng(8)
    found = []
    for _ in range(40):
        x, flux, sigma = spectrum(rng, area=0.0, centre=6550.0, fwhm=5.0, noise=1.0)
        found.append(fit_line(x, flux, sigma, 6520.0, 6580.0).significance)
    assert np.median(found) < 5


def test_too_few_pixels_are_refused_by_name():
    x, flux, sigma = spectrum(np.random.default_rng(9), **CASES["emission"])
    with pytest.raises(LineFitError, match="good pixels") as refused:
        fit_line(x, flux, sigma, 6560.0, 6564.0)
    assert refused.value.field == "low"
    with pytest.raises(LineFitError):
        fit_line(x, np.full_like(flux, np.nan), sigma, 6460.0, 6640.0)
    with pytest.raises(LineFitError):
        fit_line(x, flux, sigma, 9000.0, 9100.0)


def test_a_continuum_below_zero_has_no_equivalent_width():
    x, flux, sigma = spectrum(np.random.default_rng(10), **CASES["emission"], level=-50.0)
    found = fit_line(x, flux, sigma, 6460.0, 6640.0)
    assert np.isnan(found.equivalent_width)
    assert abs(found.flux - 900.0) < 5 * found.flux_error
