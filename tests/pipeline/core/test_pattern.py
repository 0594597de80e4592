"""The fixed pattern of a master bias, told from the noise of its frames."""

import numpy as np
import pytest

from goodman_live.pipeline.core.pattern import settle_pattern

NOISE = 0.8


def settled(truth, seed=0):
    noisy = truth + np.random.default_rng(seed).normal(0, NOISE, truth.shape)
    sigma = np.full(truth.shape, NOISE, np.float32)
    return settle_pattern(noisy.astype(np.float32), sigma)


def common(shape):
    """Return a pattern that rows and columns have in common."""
    rng = np.random.default_rng(9)
    return rng.normal(0, 2, (shape[0], 1)) + rng.normal(0, 3, shape[1])


def test_noise_is_left_out_and_rows_and_columns_stay():
    truth = common((300, 500))
    pattern, _ = settled(truth)
    assert (pattern - truth).std() < 0.2 * NOISE


@pytest.mark.parametrize("scatter", [0.5, 1.0, 3.0])
def test_pixels_that_differ_are_kept_and_the_uncertainty_is_true(scatter):
    truth = common((300, 500)) + np.random.default_rng(1).normal(0, scatter, (300, 500))
    pattern, sigma = settled(truth)
    assert (pattern - truth).std() < NOISE
    assert 0.85 < ((pattern - truth) / sigma).std() < 1.25


def test_hot_pixels_and_broken_columns_are_kept():
    truth = common((400, 300))
    spots = np.random.default_rng(2).integers(0, truth.size, 50)
    truth.ravel()[spots] += 40
    truth[:200, 77] += 20
    truth[150:, 200] += 2
    off = settled(truth)[0] - truth
    assert np.abs(off.ravel()[spots]).max() < 5 * NOISE
    assert abs(off[:200, 77].mean()) < 0.1
    assert np.abs(off[170:, 200]).mean() < 0.5


def test_a_small_or_exact_bias_is_as_it_was():
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert settle_pattern(data, np.ones_like(data))[0] is data
    assert settle_pattern(data, np.zeros_like(data))[0] is data
