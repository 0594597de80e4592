from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.combine import Layer, combine
from goodman_live.pipeline.core.network import median_network, ragged_median, stack_median

SHAPE = (60, 90)


def frames(rng, number, level=500.0, noise=2.6, shape=SHAPE):
    return [np.rint(rng.normal(level, noise, shape)).astype(np.uint16) for _ in range(number)]


def layers(raws, level=500.0, **changes):
    return [Layer(raw, np.full(raw.shape[0], level, np.float32), **changes) for raw in raws]


@pytest.mark.parametrize("number", [2, 3, 4, 7, 10, 11, 16, 25, 64, 101])
def test_network_gives_the_median(number):
    stack = np.random.default_rng(number).normal(size=(number, 300)).astype(np.float32)
    np.testing.assert_allclose(stack_median(stack.copy()), np.median(stack, axis=0), rtol=1e-6)


def test_network_leaves_out_comparisons_the_middle_does_not_need():
    assert len(median_network(10)) < 31  # a full odd-even merge sort of ten has 31


def test_ragged_median_ignores_what_is_masked():
    stack = np.array([[1, np.inf], [3, np.inf], [np.inf, np.inf], [8, 5]], np.float32)
    median = ragged_median(stack, np.isfinite(stack).sum(axis=0))
    np.testing.assert_array_equal(median, [3, 5])
    assert np.isnan(ragged_median(np.full((3, 1), np.inf, np.float32), np.zeros(1, int))[0])


@pytest.mark.parametrize(("method", "worse"), [("mean", 1.0), ("median", 1.25)])
def test_uncertainty_is_the_true_scatter(method, worse):
    rng = np.random.default_rng(1)
    width, stated = [], []
    for _ in range(8):
        out = combine(layers(frames(rng, 10)), rdnoise_adu=2.6, method=method)
        width.append(out.data.std())
        stated.append(np.median(out.uncertainty))
    assert np.mean(width) == pytest.approx(worse * 2.616 / np.sqrt(10), rel=0.07)
    if method == "mean":
        assert np.mean(stated) / np.mean(width) == pytest.approx(1, abs=0.02)


def test_outlying_values_do_not_count():
    raws = frames(np.random.default_rng(2), 10)
    raws[3][20, 30] += 4000
    raws[7][20, 30] = 0
    out = combine(layers(raws), rdnoise_adu=2.6)
    assert out.count[20, 30] == 8
    assert abs(out.data[20, 30]) < 5
    assert out.count.mean() > 9.98


def test_a_pixel_noisier_than_its_model_says_so():
    rng = np.random.default_rng(3)
    raws = frames(rng, 10)
    for raw in raws:
        raw[5, 5] = rng.integers(300, 700)
    out = combine(layers(raws), rdnoise_adu=2.6)
    assert out.scatter[5, 5] > 10
    assert out.uncertainty[5, 5] > 10
    assert np.median(out.scatter) == pytest.approx(1, abs=0.1)


def test_saturated_and_missing_pixels_are_masked():
    raws = frames(np.random.default_rng(4), 5)
    for raw in raws:
        raw[1, 1] = 65535
    raws[0][2, 2] = 65535
    missing = np.zeros(SHAPE, bool)
    missing[3, 3] = True
    stack = layers(raws, ceiling=65535)
    stack[1] = Layer(raws[1], stack[1].offset, ceiling=65535, missing=missing)
    out = combine(stack, rdnoise_adu=2.6)
    assert np.isnan(out.data[1, 1])
    assert out.count[1, 1] == 0
    assert out.count[2, 2] == 4
    assert out.count[3, 3] == 4
    assert abs(out.data[2, 2]) < 10


def test_scaling_brings_frames_of_a_drifting_lamp_together():
    rng = np.random.default_rng(5)
    bright = [1.0, 0.8, 1.3, 1.1, 0.9]
    raws = [np.rint(500 + rng.poisson(20000 * b, SHAPE) / 1.5).astype(np.uint16) for b in bright]
    stack = [
        Layer(raw, np.full(SHAPE[0], 500, np.float32), scale=1 / b)
        for raw, b in zip(raws, bright, strict=True)
    ]
    out = combine(stack, rdnoise_adu=2.6, gain=1.5)
    assert out.data.mean() == pytest.approx(20000 / 1.5, rel=2e-3)
    pulls = (out.data - 20000 / 1.5) / out.uncertainty
    assert pulls.std() == pytest.approx(1, abs=0.06)


def test_agrees_with_ccdproc():
    import ccdproc  # noqa: PLC0415 (heavy)
    from astropy.nddata import CCDData  # noqa: PLC0415
    from astropy.stats import mad_std  # noqa: PLC0415

    raws = frames(np.random.default_rng(6), 9, shape=(20, 30))
    raws[2][4, 4] += 900
    ours = combine(layers(raws, level=0.0), rdnoise_adu=1e-3, clip=5.0)
    theirs = ccdproc.combine(
        [CCDData(raw.astype(np.float32), unit="adu") for raw in raws],
        method="average", sigma_clip=True, sigma_clip_low_thresh=5, sigma_clip_high_thresh=5,
        sigma_clip_func=np.ma.median, sigma_clip_dev_func=mad_std,
    )  # fmt: skip
    # pixels whose deviation is zero are clipped to their median by both
    assert np.median(np.abs(ours.data - theirs.data)) < 1e-3
    assert abs(ours.data[4, 4] - theirs.data[4, 4]) < 0.5


def test_refuses_what_cannot_be_combined():
    raws = frames(np.random.default_rng(7), 2)
    with pytest.raises(ValueError, match="at least two"):
        combine(layers(raws[:1]), rdnoise_adu=1)
    with pytest.raises(ValueError, match="differ in shape"):
        combine([*layers(raws), *layers([raws[0][:5]])], rdnoise_adu=1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("gain", [None, 1.5])
def test_of_two_frames_the_one_without_the_hit_counts(gain, masked):
    rng = np.random.default_rng(5)
    level = 2000.0 if gain else 0.0
    noise = np.sqrt(2.6**2 + (level / gain if gain else 0))
    data = (700 + level + rng.normal(0, noise, (2, 80, 90))).astype(np.float32)
    hit = rng.random((80, 90)) < 0.02
    data[1][hit] += 40 * noise
    missing = np.zeros((80, 90), bool)
    missing[:3] = masked
    layers = [
        Layer(data[0], np.full(80, 700, np.float32), missing=missing),
        Layer(data[1], np.full(80, 700, np.float32)),
    ]
    combined = combine(layers, rdnoise_adu=2.6, gain=gain)
    alone = hit & ~missing
    np.testing.assert_allclose(combined.data[alone], data[0][alone] - 700, atol=1e-2)
    assert (combined.count[alone] == 1).all()
    rest = ~hit & ~missing
    assert (combined.count[rest] == 2).mean() > 0.999
    pulls = (combined.data - level)[~hit] / combined.uncertainty[~hit]
    assert pulls.std() == pytest.approx(1, abs=0.05)
