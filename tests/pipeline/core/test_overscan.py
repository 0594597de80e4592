from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from goodman_live.pipeline.core.overscan import measure_overscan


def strip(rng, ny=948, nx=22, noise=2.63, drift=1.0):
    level = 500.3 + drift * gaussian_filter1d(rng.normal(0, 12, ny), 60)
    return np.rint(level[:, None] + rng.normal(0, noise, (ny, nx))), level


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_level_is_good_to_a_tenth_of_a_count(drift):
    rng = np.random.default_rng(1)
    errors, noises, pulls = [], [], []
    for _ in range(20):
        values, level = strip(rng, drift=drift)
        over = measure_overscan(values)
        errors.append((over.level - level).std())
        noises.append(over.noise)
        pulls.append((over.level - level) / over.uncertainty)
    assert np.mean(errors) < 0.1  # a row alone has 0.56
    assert np.mean(noises) == pytest.approx(np.hypot(2.63, 12**-0.5), rel=0.01)
    assert np.std(pulls) < 1.4


BINNED = {
    "Red 2x2": (948, 22, 2.63),
    "Red 3x3": (632, 14, 2.63),
    "Blue 2x2": (948, 21, 3.4),
    "Blue 2x2 without the columns after the light": (948, 8, 3.4),
    "Blue 3x3": (632, 13, 3.4),
}
"""Rows, columns that never see light, and noise of one pixel, ADU."""


def rms_error(ny, nx, noise, drift, *, lean=0.0, count=12):
    rng = np.random.default_rng(7)
    squares = []
    for _ in range(count):
        level = 492 + lean * np.linspace(0, 1, ny)
        level += drift * gaussian_filter1d(rng.normal(0, 12, ny), 60)
        values = np.rint(level[:, None] + rng.normal(0, noise, (ny, nx)))
        squares.append(np.mean((measure_overscan(values).level - level) ** 2))
    return np.sqrt(np.mean(squares))


@pytest.mark.parametrize("name", BINNED)
def test_a_drift_as_real_frames_have_leaves_less_than_a_tenth_of_a_count(name):
    """Real frames lean by 0.3 ADU in 400 rows, and wander about that by less than 0.1."""
    assert rms_error(*BINNED[name], 0.1, lean=1.5) < 0.1


@pytest.mark.parametrize("name", BINNED)
def test_a_drift_ten_times_that_is_followed_as_far_as_noise_allows(name):
    """Against the filter that knows the drift's spectrum and the noise (Wiener 1949)."""
    ny, nx, noise = BINNED[name]
    wander = gaussian_filter1d(np.eye(ny), 60, axis=0) * 12
    drift = wander @ wander.T + 100.0
    row = (noise**2 + 1 / 12) / nx
    left = drift - drift @ np.linalg.solve(drift + row * np.eye(ny), drift)
    ideal = np.sqrt(np.trace(left) / ny)
    assert rms_error(ny, nx, noise, 1.0, count=30) < 1.25 * ideal


def test_rows_that_jump_are_followed():
    rng = np.random.default_rng(2)
    values, level = strip(rng)
    values[400:] += 30
    over = measure_overscan(values)
    error = over.level - level - np.where(np.arange(948) >= 400, 30, 0)
    assert np.abs(error[:350]).max() < 2
    assert np.abs(error[450:]).max() < 2


def test_charge_that_leaks_into_a_few_columns_does_no_harm():
    rng = np.random.default_rng(3)
    values, level = strip(rng)
    values[300:306, :4] += rng.uniform(100, 40000, (6, 4))
    over = measure_overscan(values)
    assert np.abs(over.level - level)[290:316].max() < 0.4
    assert over.noise == pytest.approx(2.65, rel=0.02)


def test_a_row_spoilt_all_along_is_bridged():
    values, level = strip(np.random.default_rng(4))
    values[500] += 50
    over = measure_overscan(values)
    assert over.spoilt_rows == 1
    assert abs(over.level[500] - level[500]) < 0.4


def test_missing_values_are_left_out():
    values, level = strip(np.random.default_rng(5))
    values[100:103] = np.nan
    values[:, 3] = np.nan
    over = measure_overscan(values)
    assert np.isfinite(over.level).all()
    assert np.abs(over.level - level).max() < 0.5


@pytest.mark.parametrize(("ny", "nx"), [(948, 1), (948, 2), (5, 20), (1, 8), (2, 1)])
def test_few_rows_or_columns(ny, nx):
    values, level = strip(np.random.default_rng(6), ny=ny, nx=nx)
    over = measure_overscan(values)
    assert over.level.shape == (ny,)
    assert np.abs(over.level - level).max() < 9  # one value alone has 2.6
    assert (over.uncertainty > 0).all()


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="no overscan"):
        measure_overscan(np.full((10, 4), np.nan))
    with pytest.raises(ValueError, match="no overscan"):
        measure_overscan(np.zeros((10, 0)))
