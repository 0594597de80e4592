"""Which columns tell the bias level of a row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.overscan import measure_overscan
from goodman_live.pipeline.core.zerolevel import zero_columns

BLUE = Window(0, 1100, 2071, 948, 2, 2)


def frame(seed, *, step=4.0, trail=0.0, drift=0.0):
    """Return a Blue frame of 2x2 with a star, and its true level.

    The virtual columns lie `step` higher, hold a share `trail` of the light of their row, and
    `drift` ADU more at the last row than at the first.
    """
    rng = np.random.default_rng(seed)
    level = 500.3 + gaussian_filter1d(rng.normal(0, 12, BLUE.ny), 60)
    light = 200.0 + 8000.0 * np.exp(-0.5 * ((np.arange(BLUE.ny) - 400.0) / 3) ** 2)
    mean = np.repeat(level[:, None], BLUE.nx, axis=1)
    mean[:, 8:2056] += light[:, None]
    mean[:, 2056:] += step + trail * light[:, None] + drift * np.linspace(0, 1, BLUE.ny)[:, None]
    return np.rint(mean + rng.normal(0, 3.4, mean.shape)), level


def test_columns_after_the_light_serve_where_they_follow_the_first():
    plain, joined = [], []
    for seed in range(12):
        data, level = frame(seed)
        strip = zero_columns(data, None, "Blue", BLUE)
        assert strip.shape == (948, 8 + 13)
        joined.append(measure_overscan(strip).level - level)
        plain.append(measure_overscan(data[:, :8]).level - level)
    assert abs(np.mean(joined)) < 0.05
    assert np.std(joined) < 0.8 * np.std(plain)


@pytest.mark.parametrize(
    "fault", [{"trail": 0.01}, {"drift": 3.0}, {"step": 60.0}], ids=["trail", "drift", "step"]
)
def test_columns_that_hold_anything_else_do_not_serve(fault):
    data, _ = frame(1, **fault)
    assert zero_columns(data, None, "Blue", BLUE).shape == (948, 8)


@pytest.mark.parametrize(
    ("camera", "window", "count"),
    [
        ("Red", BLUE, 22),
        ("Blue", Window(0, 1100, 500, 948, 2, 2), 8),
        ("Blue", Window(0, 1100, 1380, 632, 3, 3), 5 + 8),
        ("Blue", Window(0, 1100, 4142, 948, 1, 2), 16 + 26),
    ],
)
def test_the_window_decides_which_there_are(camera, window, count):
    data = np.random.default_rng(0).normal(500, 3, (window.ny, window.nx))
    assert zero_columns(data, None, camera, window).shape == (window.ny, count)


def test_a_window_past_the_first_columns_has_none():
    window = Window(16, 0, 4100, 100)
    assert zero_columns(np.zeros((100, 4100)), None, "Blue", window) is None


def test_missing_pixels_leave_the_first_columns_alone():
    data, _ = frame(2)
    missing = np.zeros(data.shape, dtype=bool)
    missing[100:110, 2060] = True
    strip = zero_columns(data, missing, "Blue", BLUE)
    assert strip.shape == (948, 8)
    assert np.isfinite(strip).all()
