"""Repeated exposures as one image, against the truth of what was drawn."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits import Header

from goodman_live.pipeline.core.coadd import coadd
from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.frame import Flag, Frame, Window

SHAPE = (240, 300)
READ = 4.0


def stars(rng, count=40):
    return np.column_stack(
        [
            rng.uniform(10, 290, count),
            rng.uniform(10, 230, count),
            10 ** rng.uniform(2.5, 4.5, count),
        ]
    )


def light(places, move=(0, 0), fwhm=4.0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    s2 = (fwhm / 2.3548) ** 2
    image = np.zeros(SHAPE)
    for column, row, flux in places:
        r2 = (x - column - move[0]) ** 2 + (y - row - move[1]) ** 2
        image += flux * np.exp(-r2 / 2 / s2) / (2 * np.pi * s2)
    return image


def slit(move=0, flux=400.0):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    lines = 300.0 * (np.abs(x % 60 - 30) < 2)
    return flux * np.exp(-((y - 110.0 - move) ** 2) / 8) + lines


def shot(rng, image, *, sky=100.0, scale=1.0, sky_only=1.0):
    electrons = image * scale + sky * sky_only
    sigma = np.sqrt(electrons + READ**2)
    return Frame(
        data=(electrons + rng.normal(0, sigma)).astype(np.float32),
        uncertainty=sigma.astype(np.float32),
        flags=np.zeros(SHAPE, np.uint8),
        header=Header({"EXPTIME": 100.0 * scale}),
        window=Window(0, 0, SHAPE[1], SHAPE[0]),
    )


@pytest.mark.parametrize("count", [2, 5])
def test_pulls_and_signal_of_a_stack_are_true(count):
    rng = np.random.default_rng(1)
    widths, gains, biases = [], [], []
    for _ in range(4):
        places = stars(rng)
        moves = [(0, 0), *(tuple(rng.integers(-9, 10, 2)) for _ in range(count - 1))]
        scales = [1.0, *rng.uniform(0.6, 1.0, count - 1)]
        frames = [
            shot(rng, light(places, move), scale=s) for move, s in zip(moves, scales, strict=True)
        ]
        done = coadd(frames, spectra=False)
        assert done.measured
        assert [(-a, -b) for a, b in done.shifts] == [tuple(map(int, move)) for move in moves]
        np.testing.assert_allclose(done.scales, scales, rtol=0.02)
        inner = (slice(12, -12), slice(12, -12))
        truth = light(places)[inner] + np.median(frames[0].data) - np.median(light(places))
        pull = (done.frame.data[inner] - truth) / done.frame.uncertainty[inner]
        widths.append(np.std(pull))
        biases.append(np.mean(pull))
        noise = np.array([np.sqrt(100.0 + READ**2) / s for s in scales])
        ideal = 1 / np.sqrt(np.sum(1 / noise**2))
        gains.append(ideal / np.median(done.frame.uncertainty[inner]))
    assert 0.95 < np.mean(widths) < 1.05
    assert abs(np.mean(biases)) < 0.1
    assert np.mean(gains) > 0.98


def test_a_cosmic_ray_of_one_exposure_is_left_out():
    rng = np.random.default_rng(2)
    places = stars(rng)
    for count in (2, 3):
        frames = [shot(rng, light(places)) for _ in range(count)]
        hit = frames[1].data.copy()
        hit[100:103, 150] += 3000
        frames[1] = replace(frames[1], data=hit)
        done = coadd(frames, spectra=False)
        truth = light(places)[100:103, 150] + 100
        assert np.all(np.abs(done.frame.data[100:103, 150] - truth) < 60)
        assert done.rejected[1] >= 3
        # next to nothing else is lost, also in stars
        assert sum(done.rejected) < 3 + 1e-3 * count * np.prod(SHAPE)


def test_stars_of_another_seeing_are_not_taken_for_outliers():
    rng = np.random.default_rng(3)
    places = stars(rng)
    frames = [shot(rng, light(places, fwhm=width)) for width in (4.0, 4.0, 4.4, 4.2)]
    done = coadd(frames, spectra=False)
    core = light(places) > 200
    lost = coadd_counts(frames, done, core)
    assert lost < 0.02


def coadd_counts(frames, done, core):
    """Return the share of core pixels whose uncertainty shows that an exposure is missing."""
    full = np.sqrt(
        sum((f.uncertainty * w) ** 2 for f, w in zip(frames, done.weights, strict=True))
    )
    return float(np.mean(done.frame.uncertainty[core] > 1.08 * full[core]))


def test_spectra_are_moved_along_the_slit_only():
    rng = np.random.default_rng(4)
    moves = (0, 3, -5, 2)
    frames = [shot(rng, slit(move), scale=1.0) for move in moves]
    done = coadd(frames, spectra=True)
    assert done.shifts == tuple((0, -move) for move in moves)
    trace = done.frame.data - np.median(done.frame.data, axis=0)
    assert np.argmax(trace.mean(axis=1)) == 110
    inner = (slice(10, -10), slice(None))
    pull = (done.frame.data - slit() - 100)[inner] / done.frame.uncertainty[inner]
    assert 0.93 < np.std(pull) < 1.07


def test_flagged_pixels_do_not_count():
    rng = np.random.default_rng(5)
    places = stars(rng)
    frames = [shot(rng, light(places)) for _ in range(3)]
    flags = np.zeros(SHAPE, np.uint8)
    flags[50:60, 50:60] = Flag.SATURATED
    everywhere = [replace(one, flags=flags) for one in frames]
    done = coadd(everywhere, spectra=False)
    assert np.all(done.frame.flags[50:60, 50:60])
    assert not done.frame.flags[:50].any()
    once = coadd([everywhere[0], *frames[1:]], spectra=False).frame
    assert not once.flags[50:60, 50:60].any()
    assert np.median(once.uncertainty[50:60, 50:60]) == pytest.approx(
        np.median(once.uncertainty) * np.sqrt(1.5), rel=0.05
    )


def test_what_does_not_belong_together_is_refused():
    rng = np.random.default_rng(6)
    one = shot(rng, light(stars(rng)))
    small = replace(
        one, data=one.data[:200], uncertainty=one.uncertainty[:200], flags=one.flags[:200],
        window=Window(0, 0, SHAPE[1], 200),
    )  # fmt: skip
    with pytest.raises(BadFrameError, match="one window"):
        coadd([one, small], spectra=False)
    with pytest.raises(BadFrameError, match="at least two"):
        coadd([one], spectra=False)


def test_empty_exposures_are_not_moved():
    rng = np.random.default_rng(7)
    done = coadd([shot(rng, np.zeros(SHAPE)) for _ in range(3)], spectra=False)
    assert not done.measured
    assert done.shifts == ((0, 0),) * 3


def test_an_exposure_of_another_field_is_left_out():
    rng = np.random.default_rng(8)
    places, other = stars(rng), stars(rng)
    frames = [shot(rng, light(one)) for one in (places, other, places)]
    done = coadd(frames, spectra=False)
    assert done.left_out == (1,)
    assert len(done.weights) == 2
    with pytest.raises(BadFrameError, match="same field"):
        coadd(frames[:2], spectra=False)


@pytest.mark.parametrize("spectra", [False, True])
def test_a_few_sources_tell_the_shift_or_it_is_declined(spectra):
    """Two of a few stars that are not the same make a peak as clear as the true one."""
    right = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        places = np.column_stack([stars(rng, 3)[:, :2], 10 ** rng.uniform(3, 5, 3)])
        move = (0 if spectra else int(rng.integers(-60, 61)), int(rng.integers(-60, 61)))
        seen = [slit_of(places[:, 1] + step) if spectra else light(places, (dx, step))
                for dx, step in ((0, 0), move)]  # fmt: skip
        try:
            done = coadd([shot(rng, one) for one in seen], spectra=spectra)
        except BadFrameError:
            continue
        if done.measured:
            assert np.abs(np.add(done.shifts[1], move)).max() <= 1
            right += 1
    assert right >= 7


def slit_of(rows):
    y = np.arange(SHAPE[0])[:, None]
    trace = sum(300 / (k + 1) * np.exp(-((y - row) ** 2) / 8) for k, row in enumerate(rows))
    return np.broadcast_to(trace, SHAPE)


def test_a_star_that_the_other_exposure_has_elsewhere_does_not_tell_the_shift():
    rng = np.random.default_rng(12)
    first = light(np.array([[60.0, 80, 2e4], [240, 150, 6e4]]))
    # the bright one has left the field, and the faint one stands where it was
    other = light(np.array([[240.0, 150, 2e4]]))
    with pytest.raises(BadFrameError, match="too little of it"):
        coadd([shot(rng, first), shot(rng, other)], spectra=False)
