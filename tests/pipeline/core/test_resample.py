"""Resampling keeps the flux and knows its error."""

import numpy as np
import pytest
from astropy.io.fits import Header

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.resample import linear_grid, pixel_edges, resample
from goodman_live.pipeline.core.spectrum import Spectrum


def spectrum(flux, wavelength, sigma=1.0, flags=None):
    n = len(flux)
    return Spectrum(
        flux=np.asarray(flux, float),
        uncertainty=np.full(n, sigma),
        flags=np.zeros(n, np.uint8) if flags is None else flags,
        sky=np.zeros(n),
        column=np.arange(n, dtype=float),
        trace=np.zeros(n),
        header=Header(),
        wavelength=wavelength,
        wavelength_uncertainty=np.full(n, 0.1),
    )


@pytest.fixture
def curved():
    x = np.arange(500.0)
    return 4000 + 2 * x + 3e-4 * x**2


def test_flux_is_conserved(curved):
    flux = np.random.default_rng(1).uniform(10, 100, 500)
    edges = pixel_edges(curved)
    wide = np.linspace(edges[0] - 20, edges[-1] + 20, 400)
    out = resample(spectrum(flux, curved), wide)
    assert out.flux.sum() == pytest.approx(flux.sum(), rel=1e-12)


def test_the_edges_of_a_curved_axis_are_exact(curved):
    x = np.arange(-0.5, 500)
    assert pixel_edges(curved)[1:-1] == pytest.approx((4000 + 2 * x + 3e-4 * x**2)[1:-1], abs=1e-8)


def test_pulls_of_resampled_pixels_have_unit_width(curved):
    rng = np.random.default_rng(2)
    grid = linear_grid(curved)
    pulls = []
    for _ in range(200):
        out = resample(spectrum(rng.normal(0, 3, 500), curved, sigma=3.0), grid)
        pulls.append((out.flux / out.uncertainty)[2:-2])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.02)


def test_a_line_keeps_its_wavelength(curved):
    line = np.exp(-0.5 * ((curved - 4501.3) / 5) ** 2) * np.gradient(curved)
    out = resample(spectrum(line, curved), linear_grid(curved))
    assert np.sum(out.flux * out.wavelength) / out.flux.sum() == pytest.approx(4501.3, abs=0.01)


def test_bad_pixels_and_ends_are_flagged(curved):
    flags = np.zeros(500, np.uint8)
    flags[250] = Flag.COSMIC.value
    grid = np.arange(curved[0] - 50, curved[-1] + 50, 2.0)
    out = resample(spectrum(np.ones(500), curved, flags=flags), grid)
    near = np.argmin(np.abs(grid - curved[250]))
    assert out.flags[near] & Flag.COSMIC.value
    assert out.flags[0] & Flag.NO_DATA.value
    assert out.flags[100] == 0


def test_a_falling_axis_is_refused(curved):
    with pytest.raises(ValueError, match="rise"):
        resample(spectrum(np.ones(500), curved[::-1].copy()), linear_grid(curved))
