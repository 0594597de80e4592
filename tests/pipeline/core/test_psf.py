"""Fluxes weighted by the profile, against stars that were put in."""

import numpy as np
import pytest

from goodman_live.pipeline.core.psf import MoffatStar, fit_profile, psf_counts

SHAPE = (300, 320)
NOISE = 8.0


def sky(rng, x, y, flux, fwhm=4.0, beta=3.0):
    """Return an image less its background, and its one sigma."""
    star = MoffatStar(fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1)), beta)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    light = np.zeros(SHAPE)
    for a, b, f in zip(x, y, flux, strict=True):
        near = np.s_[max(0, int(b) - 50) : int(b) + 50, max(0, int(a) - 50) : int(a) + 50]
        light[near] += f * star.at(columns[near] - a, rows[near] - b)
    sigma = np.sqrt(NOISE**2 + light)
    return (light + rng.normal(0, sigma)).astype(np.float32), sigma


def grid(rng, step=40):
    rows, columns = np.mgrid[30 : SHAPE[0] - 20 : step, 30 : SHAPE[1] - 20 : step]
    return tuple(g.ravel() + rng.uniform(-0.5, 0.5, g.size) for g in (columns, rows))


NOTHING = np.zeros(SHAPE, dtype=bool)


@pytest.mark.parametrize(("fwhm", "beta"), [(2.5, 3.0), (4.0, 4.5), (7.0, 2.5)])
def test_the_profile_of_a_frame_is_found(fwhm, beta):
    rng = np.random.default_rng(1)
    x, y = grid(rng)
    level, _ = sky(rng, x, y, np.full(len(x), 2e5), fwhm, beta)
    found = fit_profile(level, NOTHING, x, y, 4.0)
    assert found.fwhm == pytest.approx(fwhm, rel=0.03)
    assert found.beta == pytest.approx(beta, rel=0.1)


def test_faint_stars_are_measured_without_bias_and_with_true_errors():
    rng = np.random.default_rng(2)
    pulls, gain = [], []
    for _ in range(12):
        x, y = grid(rng)
        flux = rng.uniform(300, 3000, len(x))
        level, sigma = sky(rng, x, y, flux)
        profile = MoffatStar(4.0 / (2 * np.sqrt(2 ** (1 / 3.0) - 1)), 3.0)
        counts, errors = psf_counts(level, sigma, NOTHING, x, y, profile)
        pulls.append((counts - flux) / errors)
        held = 1 - (1 + (4.0 / profile.alpha) ** 2) ** -2  # of the light
        aperture = NOISE * np.sqrt(np.pi) * 4.0 / held
        gain.append(aperture / errors.min())
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 0.15
    assert pulls.std() == pytest.approx(1.0, abs=0.1)
    assert min(gain) > 1.05  # better than an aperture of one FWHM


@pytest.mark.parametrize("apart", [0.9, 1.5])
def test_neighbours_do_not_take_each_others_light(apart):
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(10):
        x, y = grid(rng)
        faint_x = x + apart * 4.0
        flux = np.concatenate([np.full(len(x), 20_000.0), np.full(len(x), 5_000.0)])
        everything = np.concatenate([x, faint_x]), np.concatenate([y, y])
        level, sigma = sky(rng, *everything, flux)
        profile = MoffatStar(4.0 / (2 * np.sqrt(2 ** (1 / 3.0) - 1)), 3.0)
        counts, errors = psf_counts(level, sigma, NOTHING, *everything, profile)
        ratios.append((counts - flux) / errors)
    pulls = np.concatenate(ratios)
    assert abs(pulls.mean()) < 0.15
    assert pulls.std() == pytest.approx(1.0, abs=0.1)


def test_a_star_without_good_pixels_is_not_a_number_and_a_double_is_shared():
    rng = np.random.default_rng(4)
    x, y = np.array([60.0, 150.0, 150.0, 250.0]), np.array([60.0, 150.0, 150.0, 250.0])
    level, sigma = sky(rng, x[[0, 1, 3]], y[[0, 1, 3]], [1e4, 1e4, 1e4])
    masked = NOTHING.copy()
    masked[40:80, 40:80] = True
    profile = MoffatStar(4.0 / (2 * np.sqrt(2 ** (1 / 3.0) - 1)), 3.0)
    counts, errors = psf_counts(level, sigma, masked, x, y, profile)
    assert np.isnan(counts[0])
    assert np.isnan(errors[0])
    assert counts[1] + counts[2] == pytest.approx(1e4, rel=0.03)
    assert counts[3] == pytest.approx(1e4, rel=0.03)
    assert psf_counts(level, sigma, masked, x[:0], y[:0], profile)[0].shape == (0,)


def test_a_crowd_that_hangs_together_is_solved_too():
    rng = np.random.default_rng(5)
    x, y = rng.uniform(20, 280, (2, 900))
    flux = rng.uniform(3e3, 3e4, 900)
    level, sigma = sky(rng, x, y, flux)
    profile = MoffatStar(4.0 / (2 * np.sqrt(2 ** (1 / 3.0) - 1)), 3.0)
    counts, errors = psf_counts(level, sigma, NOTHING, x, y, profile)
    lonely = np.array([np.sort(np.hypot(x - a, y - b))[1] for a, b in zip(x, y, strict=True)]) > 5
    assert abs(np.median((counts - flux)[lonely] / flux[lonely])) < 0.02  # wings of the others
    assert np.all(np.isfinite(errors))
