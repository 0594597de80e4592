from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.noise import (
    expected_counts,
    header_noise_adu,
    pixel_variance,
    trusted_noise_adu,
)

GAIN, RDNOISE = 1.48, 3.89


def exposure(rng, mean):
    electrons = rng.poisson(mean * GAIN) + rng.normal(0, RDNOISE, mean.shape)
    return np.rint(electrons / GAIN).astype(np.float32)


@pytest.mark.parametrize("level", [0.5, 3.0, 50.0, 3000.0])
def test_pulls_of_flat_light_have_unit_width_and_no_bias(level):
    rng = np.random.default_rng(1)
    mean = np.full((300, 400), level)
    noise = header_noise_adu(RDNOISE, GAIN)
    data = exposure(rng, mean)
    counts = expected_counts(data, gain=GAIN, rdnoise_adu=noise)
    pulls = (data - mean) / np.sqrt(pixel_variance(counts, gain=GAIN, rdnoise_adu=noise))
    assert pulls.std() == pytest.approx(1, abs=0.015)
    assert abs(pulls.mean()) < 0.015


def test_pulls_on_lines_and_traces():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:300, :400]
    mean = 10 + 4000 * np.exp(-(((x - 200) / 1.5) ** 2) / 2)
    mean += 800 * np.exp(-(((y - 150) / 2.0) ** 2) / 2)
    noise = header_noise_adu(RDNOISE, GAIN)
    data = exposure(rng, mean)
    counts = expected_counts(data, gain=GAIN, rdnoise_adu=noise)
    pulls = (data - mean) / np.sqrt(pixel_variance(counts, gain=GAIN, rdnoise_adu=noise))
    bright = mean > 300
    assert pulls[bright].std() == pytest.approx(1, abs=0.04)
    assert pulls.std() == pytest.approx(1, abs=0.02)


def test_measured_noise_comes_first_within_reason():
    assert trusted_noise_adu(2.9, 5.27, 1.47) == 2.9
    assert trusted_noise_adu(4.2, 8.62, 5.67) == 4.2  # a real Blue frame at 400 kHz
    assert trusted_noise_adu(None, 3.89, 1.48) == pytest.approx(np.hypot(3.89 / 1.48, 12**-0.5))
    assert trusted_noise_adu(400.0, 3.89, 1.48) == header_noise_adu(3.89, 1.48)
