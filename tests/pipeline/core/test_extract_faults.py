"""Faults that were found in the public pipeline, each as a test of ours.

The rows are those of the study of that pipeline: target identification, trace, extraction. What
other modules already test is listed in ``docs/faults.md``.
"""

import dataclasses

import numpy as np
import pytest

from goodman_live.pipeline.core.aperture import Aperture
from goodman_live.pipeline.core.extract import extract_targets
from tests.pipeline.core.slit_scene import GAIN, Star, ideal_sigma, scene

NX = 400


def one(truth, **kwargs):
    return extract_targets(truth.frame, **kwargs).targets[0]


def with_light(truth, electrons):
    """Return the frame with more light (electrons), its photon noise left out."""
    data = truth.frame.data + np.asarray(electrons / GAIN, dtype=np.float32)
    variance = truth.frame.uncertainty**2 + np.maximum(electrons, 0) / GAIN**2
    sigma = np.sqrt(variance).astype(np.float32)
    return dataclasses.replace(truth.frame, data=data, uncertainty=sigma)


def relative_bias(target, flux):
    return np.nanmean(target.spectrum.flux) / flux.mean() - 1


def test_two_stars_of_which_each_is_fitted_alone_do_not_collapse_onto_the_brightest():
    truth = scene(20, [Star(120, 8000.0), Star(131, 900.0), Star(170, 400.0)], nx=NX)
    rows = sorted(t.quality["row_unbinned"] for t in extract_targets(truth.frame).targets)
    expected = [truth.row_unbinned(path[NX // 2]) for path in truth.paths]
    assert rows == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("fwhm", [1.6, 3.0, 12.0, 30.0])
def test_no_limit_on_widths_hangs_on_the_slit(fwhm):
    truth = scene(21, [Star(150, 4000.0, fwhm=fwhm)], nx=NX)
    target = one(truth)
    assert target.quality["fwhm_px"] == pytest.approx(fwhm, rel=0.12)
    assert abs(relative_bias(target, truth.fluxes[0])) < 0.03


@pytest.mark.parametrize("slope", [0.005, 0.01])
def test_a_leaning_trace_does_not_broaden_the_profile(slope):
    truth = scene(22, [Star(150, 4000.0, slope=slope, curve=0.0)], nx=NX)
    assert one(truth).quality["fwhm_px"] == pytest.approx(3.0, rel=0.03)


def test_columns_without_light_do_not_pull_the_trace():
    flux = np.where(np.arange(800) < 500, 1500.0, 0.0)
    truth = scene(23, [Star(150, flux, slope=0.005, curve=1.5)])
    error = one(truth).spectrum.trace - truth.row_unbinned(truth.paths[0])
    assert np.sqrt(np.mean(error[:500] ** 2)) / 2 < 0.03
    assert np.abs(error).max() / 2 < 0.6, "beyond the light the trace goes on as it was"


def test_neither_neighbours_nor_cosmic_rays_pull_the_trace():
    star, neighbour = Star(150, 400.0, slope=0.004), Star(163, 8000.0, slope=0.004)
    truth = scene(24, [star, neighbour], nx=NX)
    rng = np.random.default_rng(4)
    hits = np.zeros(truth.frame.data.shape)
    rows, columns = rng.integers(140, 160, 60), rng.integers(0, NX, 60)
    hits[rows, columns] = rng.uniform(500, 20000, 60)
    targets = extract_targets(with_light(truth, hits)).targets
    rows = np.array([t.quality["row_unbinned"] for t in targets])
    target = targets[int(np.abs(rows - truth.row_unbinned(150)).argmin())]
    error = target.spectrum.trace - truth.row_unbinned(truth.paths[0])
    assert np.sqrt(np.mean(error**2)) / 2 < 0.1


@pytest.mark.parametrize("method", ["optimal", "fractional"])
def test_hits_and_neighbours_in_the_zones_do_not_enter(method):
    star = Star(150, 1000.0, slope=0.001, curve=0.0)
    truth = scene(25, [star, Star(168, 6000.0, slope=0.001, curve=0.0)], nx=NX)
    alone = scene(25, [star], nx=NX)
    hits = np.zeros(truth.frame.data.shape)
    rng = np.random.default_rng(5)
    hits[rng.integers(125, 142, 80), rng.integers(0, NX, 80)] = 30000.0
    found = extract_targets(with_light(truth, hits), method=method).targets
    target = min(found, key=lambda t: abs(t.quality["row_unbinned"] - truth.row_unbinned(150)))
    clean = one(alone, method=method)
    apart = np.nanmedian(target.spectrum.flux) / np.nanmedian(clean.spectrum.flux) - 1
    assert abs(apart) < 0.02


@pytest.mark.parametrize("method", ["optimal", "fractional"])
def test_a_background_that_leans_and_bends_is_followed(method):
    star = Star(150, 1000.0, slope=0.001, curve=0.0)
    truth = scene(26, [star], nx=NX)
    y = np.arange(300)[:, None] - 150.0
    glow = (60 + 0.25 * y + 0.0004 * y**2) * np.ones(NX)
    level = one(truth, method=method)
    target = one(dataclasses.replace(truth, frame=with_light(truth, glow)), method=method)
    lost = np.nanmean(target.spectrum.flux - level.spectrum.flux) / truth.fluxes[0].mean()
    assert abs(lost) < 0.01


@pytest.mark.parametrize("method", ["optimal", "fractional"])
@pytest.mark.parametrize("row", [3, 296])
def test_an_aperture_over_the_edge_neither_wraps_nor_fails(row, method):
    star = Star(row, 3000.0, slope=0.0, curve=0.0)
    bright = Star(297 - row, 50000.0, slope=0.0, curve=0.0)
    truth = scene(27, [star, bright], nx=NX)
    found = extract_targets(truth.frame, method=method).targets
    target = min(found, key=lambda t: abs(t.quality["row_unbinned"] - truth.row_unbinned(row)))
    share = np.nanmean(target.spectrum.flux) / truth.fluxes[0].mean()
    assert 0.85 < share < 1.06


@pytest.mark.parametrize("method", ["optimal", "fractional"])
def test_a_slit_without_room_for_zones_is_extracted(method):
    star = Star(7, 3000.0, slope=0.0, curve=0.0)
    truth = scene(28, [star], ny=15, nx=NX)
    aperture = Aperture(row=truth.row_unbinned(7), lower=-7, upper=7)
    spectrum = one(truth, method=method, apertures=[aperture]).spectrum
    assert np.isfinite(spectrum.flux).all()
    # what is sky and what the star's wings nobody can tell where the slit ends in them
    assert np.mean(spectrum.flux) == pytest.approx(truth.fluxes[0].mean(), rel=0.12)


def test_the_sky_of_the_aperture_is_a_product():
    truth = scene(29, [Star(150, 2000.0, slope=0.0, curve=0.0)], nx=NX)
    target = one(truth)
    width = (target.upper - target.lower) / 2
    expected = truth.sky[150] * width
    pick = expected > np.median(expected)
    assert np.median(target.spectrum.sky[pick] / expected[pick]) == pytest.approx(1, abs=0.01)


def fractional_sum(data, path, low, high):
    """Return pixels and the fractions of pixels between two distances from a path, summed."""
    rows = np.arange(data.shape[0])[:, None]
    share = np.minimum(rows + 0.5, path + high) - np.maximum(rows - 0.5, path + low)
    return (np.clip(share, 0, 1) * data).sum(axis=0)


def test_fractional_is_the_sum_that_the_public_service_makes():
    """One FWHM each way, less the mean of two zones as wide, three FWHM beyond its edges."""
    truth = scene(30, [Star(150, 5000.0, slope=0.001, curve=0.0)], nx=NX)
    target = one(truth, method="fractional")
    path = (target.spectrum.trace - truth.row_unbinned(0)) / 2
    data, fwhm = truth.frame.data.astype(float), target.quality["fwhm_px"]
    assert target.lower / 2 == pytest.approx(-fwhm)
    assert target.zones[0] == pytest.approx((-12 * fwhm, -8 * fwhm))
    assert target.zones[1] == pytest.approx((8 * fwhm, 12 * fwhm))
    zones = fractional_sum(data, path, -6 * fwhm, -4 * fwhm)
    zones += fractional_sum(data, path, 4 * fwhm, 6 * fwhm)
    expected = fractional_sum(data, path, -fwhm, fwhm) - zones / 2
    off = target.spectrum.flux - expected
    assert abs(np.median(off)) < 0.002 * expected.mean()
    # the zones are fitted where theirs are summed: the same but for noise and sky lines' bend
    assert np.median(np.abs(off) / target.spectrum.uncertainty) < 0.3


@pytest.mark.parametrize(("electrons", "theirs"), [(3000, 0.94), (600, 0.83), (60, 0.69)])
def test_optimal_reaches_what_the_sum_does_not(electrons, theirs):
    """S/N as a share of the ideal, beside the share that was measured of the public pipeline."""
    star = Star(150.3, float(electrons), slope=0.001, curve=0.0)
    off = []
    for seed in range(4):
        truth = scene(seed, [star], nx=NX)
        flux = one(truth).spectrum.flux
        off.append((flux - truth.fluxes[0]) / ideal_sigma(truth, 0, star))
    share = 1 / np.sqrt(np.mean(np.square(off)))
    assert share > max(0.93, theirs)
