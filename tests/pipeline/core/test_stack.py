"""Stacks of repeated exposures against the ideal."""

from dataclasses import replace

import numpy as np
import pytest

from goodman_live.pipeline.core.stack import exposures_to_reach, signal_to_noise, stack_spectra

from .one_d import observe, target_magnitude

WINDOW = {"low": 4600.0, "high": 8900.0, "exptime_s": 900.0, "airmass": 1.1}


def exposures(rng, magnitude, levels, **options):
    return [observe(magnitude, rng, grey=level, sky=0.3, **WINDOW, **options) for level in levels]


@pytest.mark.parametrize("fainter", [0.0, 3.0, 5.0])
def test_five_exposures_reach_the_ideal_signal_to_noise(fainter):
    rng = np.random.default_rng(1)

    def magnitude(wave):
        return target_magnitude(wave) + fainter

    reached = []
    for _ in range(12):
        levels = rng.uniform(0.5, 1.0, 5)
        stack = stack_spectra(exposures(rng, magnitude, levels)).spectrum
        clean = exposures(None, magnitude, levels)
        ideal = np.sqrt(sum((one.flux / one.uncertainty) ** 2 for one in clean))
        truth = clean[0].flux
        level = np.median(stack.flux / truth)
        noise = np.std((stack.flux - level * truth) / stack.uncertainty) * stack.uncertainty
        reached.append(np.median(level * truth / noise / ideal))
    assert np.mean(reached) >= 0.98
    assert np.mean(reached) < 1.02


def test_the_uncertainty_of_a_stack_is_true():
    rng = np.random.default_rng(2)
    widths = []
    for _ in range(12):
        stack = stack_spectra(exposures(rng, target_magnitude, (1.0, 0.8, 0.9))).spectrum
        truth = exposures(None, target_magnitude, (1.0,))[0].flux
        level = np.median(stack.flux / truth)
        widths.append(np.std((stack.flux - level * truth) / stack.uncertainty))
    assert 0.97 < np.mean(widths) < 1.03


def test_a_missed_cosmic_ray_is_left_out():
    rng = np.random.default_rng(3)
    frames = exposures(rng, target_magnitude, (1.0, 0.9, 0.8))
    hit = frames[1].flux.copy()
    hit[700] += 50 * frames[1].uncertainty[700]
    hit[700] *= 1.5
    stack = stack_spectra([frames[0], replace(frames[1], flux=hit), frames[2]])
    assert stack.rejected[1] >= 1
    assert stack.count[700] == 2
    clean = stack_spectra(frames).spectrum
    assert abs(stack.spectrum.flux[700] - clean.flux[700]) < 4 * clean.uncertainty[700]


def test_masked_pixels_are_filled_from_the_other_exposures():
    rng = np.random.default_rng(4)
    frames = exposures(rng, target_magnitude, (1.0, 1.0))
    flags = frames[0].flags.copy()
    flags[100:110] = 4
    both = frames[1].flags.copy()
    both[105] = 4
    stack = stack_spectra([replace(frames[0], flags=flags), replace(frames[1], flags=both)])
    assert not stack.spectrum.mask[100]
    assert stack.spectrum.mask[105]
    assert stack.count[100] == 1


def test_shifted_exposures_are_aligned_by_their_wavelengths():
    rng = np.random.default_rng(5)
    here = observe(target_magnitude, rng, **WINDOW)
    there = observe(target_magnitude, rng, **{**WINDOW, "low": 4603.3, "high": 8903.3})
    stack = stack_spectra([here, there])
    inside = stack.count == 2
    assert inside.sum() > 1990
    truth = observe(target_magnitude, None, **WINDOW).flux
    pull = (stack.spectrum.flux - truth)[inside] / stack.spectrum.uncertainty[inside]
    assert abs(pull.mean()) < 0.1


def test_what_cannot_be_stacked_is_refused():
    frame = observe(target_magnitude, None, **WINDOW)
    with pytest.raises(ValueError, match="nothing"):
        stack_spectra([])
    with pytest.raises(ValueError, match="wavelengths"):
        stack_spectra([replace(frame, wavelength=None)])
    with pytest.raises(ValueError, match="units"):
        stack_spectra([frame, replace(frame, unit="electron")])


def test_signal_to_noise_and_what_is_missing():
    rng = np.random.default_rng(6)
    frame = observe(target_magnitude, rng, **WINDOW)
    assert signal_to_noise(frame, 4) == pytest.approx(2 * signal_to_noise(frame, 1))
    assert exposures_to_reach(20, 10, 2) == 6
    assert exposures_to_reach(10, 20, 2) == 0
    assert exposures_to_reach(10, 0, 2) is None
