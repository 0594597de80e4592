"""Extraction of frames that came through the reduce block: flats, hits, bad columns and all."""

import numpy as np
import pytest

from goodman_live.pipeline.core.errors import NoTargetError
from goodman_live.pipeline.core.extract import extract_targets
from tests.pipeline.core.reduced_scene import Bench, measured, random_star


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Return a function (camera, binning) that gives a bench, made once."""
    made = {}

    def give(camera, binning):
        key = (camera, binning)
        if key not in made:
            made[key] = Bench(tmp_path_factory.mktemp(f"{camera}{binning}"), camera, binning)
        return made[key]

    return give


SET_UPS = [
    ("Red", 2, 3),
    pytest.param("Red", 2, 30, marks=pytest.mark.slow),
    pytest.param("Blue", 2, 30, marks=pytest.mark.slow),
    pytest.param("Red", 1, 12, marks=pytest.mark.slow),
    pytest.param("Blue", 1, 12, marks=pytest.mark.slow),
]


def series(bench, camera, binning, magnitude, count):
    results = []
    for seed in range(count):
        one = bench(camera, binning)
        star = random_star(np.random.default_rng(seed), magnitude)
        frame, truth = one.frame(seed + 100, [star])
        targets = extract_targets(frame).targets
        rows = np.array([target.quality["row_unbinned"] for target in targets])
        nearest = int(np.abs(rows - star.row).argmin())
        results.append(measured(one, frame, truth, targets[nearest]))
    return results


def mean(results, name):
    return np.mean([getattr(one, name) for one in results])


@pytest.mark.parametrize(("camera", "binning", "count"), SET_UPS)
def test_bright_star(bench, camera, binning, count):
    results = series(bench, camera, binning, 16.0, count)
    assert abs(mean(results, "bias")) < 0.005
    assert abs(mean(results, "drift")) < 0.005
    assert mean(results, "efficiency") > 0.96
    assert 0.96 < mean(results, "width") < 1.04
    assert mean(results, "within") > 0.99
    assert mean(results, "trace_rms") < 0.03


SIXTY = {("Red", 2): 20.75, ("Blue", 2): 20.5, ("Red", 1): 20.0, ("Blue", 1): 19.75}
"""Magnitudes of stars of about 60 electrons a column."""


@pytest.mark.parametrize(("camera", "binning", "count"), SET_UPS[1:])
def test_faint_star(bench, camera, binning, count):
    results = series(bench, camera, binning, SIXTY[camera, binning], count)
    error = np.std([one.bias for one in results]) / np.sqrt(count)
    assert abs(mean(results, "bias")) < max(3 * error, 0.005)
    # 0.97 and more, less the error of the mean of so few
    assert mean(results, "efficiency") > 0.96
    assert 0.96 < mean(results, "width") < 1.04


@pytest.mark.slow
@pytest.mark.parametrize("binning", [2, 1])
@pytest.mark.parametrize("camera", ["Red", "Blue"])
def test_blank_sky_has_no_target(bench, camera, binning):
    """150 frames of each camera and binning; every fourth without a flat, so without slit trim."""
    wrong = []
    for seed in range(150):
        rng = np.random.default_rng(seed + 1000)
        frame, _ = bench(camera, binning).frame(
            seed + 5000,
            exptime_s=float(rng.choice([300, 900, 1800])),
            sky=float(rng.uniform(20, 21.8)),
            flat=seed % 4 != 3,
        )
        try:
            found = extract_targets(frame)
        except NoTargetError:
            continue
        wrong.append((seed, [t.quality["row_unbinned"] for t in found.targets]))
    assert len(wrong) <= 1, wrong
