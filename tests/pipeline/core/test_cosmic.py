from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import label

from goodman_live.pipeline.core.cosmic import MERIT, choose_method, clean_cosmics
from goodman_live.pipeline.core.dcr import PARAMETERS, find_dcr, parameters_for
from goodman_live.pipeline.core.frame import Flag, Frame, Window
from goodman_live.pipeline.core.noise import expected_counts, pixel_variance
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.cosmics import cosmic_rays
from goodman_live.pipeline.simulate.detector import detector
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.scene import NEBULA, Source

REGION = Region("user-defined", 100, 1700, 900, 380)


def scene(seed, *, camera="Red", sources=None, rate=3.0, binning=(2, 2), mode="400_M1"):
    """Return a reduced frame, the hits in ADU and the noiseless light."""
    chosen = setup(camera, mode, binning=binning, region=REGION)
    if sources is None:
        lines = tuple((wave, 5 * rate) for wave, rate in NEBULA)
        sources = [Source(2100, 17.0), Source(1850, np.inf, lines=lines, fwhm_arcsec=0.7)]
    sim = frames.spectrum(chosen, sources, seed=seed, cosmic_rate=rate)
    truth, gain = sim.truth.exposure, chosen.readout.gain
    noise = chosen.readout.rdnoise / gain
    response = np.maximum(truth.expected - truth.bias, 0)
    data = (sim.data - truth.bias).astype(np.float32)
    counts = expected_counts(data, gain=gain, rdnoise_adu=noise)
    error = np.sqrt(pixel_variance(counts, gain=gain, rdnoise_adu=noise))
    flags = np.zeros(data.shape, np.uint8)
    flags[sim.data >= chosen.readout.clip_adu] = Flag.SATURATED
    dead = [c for c in range(data.shape[1]) if np.median(response[:, c]) < 0.3 * np.median(
        response[:, max(c - 3, 0) : c + 4])]  # fmt: skip
    flags[:, dead] = Flag.BAD
    window = Window(REGION.x0, REGION.y0, REGION.nx, REGION.ny, *binning)
    frame = Frame(data, error, flags, fits.Header(), window)
    sigma = np.sqrt(response / gain + noise**2)
    return frame, truth.cosmic / gain, response, sigma


def score(mask, frame, cosmic, sigma):
    """Return the shares of pixels over 5 sigma and of events found, and of false pixels."""
    judged = frame.flags == 0
    hit = (cosmic > 5 * sigma) & judged
    events = label(cosmic > 0, np.ones((3, 3)))[0]
    wanted = np.unique(events[hit])
    found = np.unique(events[mask & (cosmic > 0)])
    false = (mask & (cosmic <= 0) & judged).sum() / mask.size
    return (mask & hit).sum() / hit.sum(), np.isin(wanted, found).mean(), false


def mean_scores(seeds, setting="default", *, camera="Red", binning=(2, 2), **options):
    """Return the means of `score` over some scenes."""
    scores = []
    for seed in seeds:
        frame, cosmic, _, sigma = scene(seed, camera=camera, binning=binning, **options)
        method = choose_method(setting, camera, binning[0])
        mask = clean_cosmics(frame, method, camera=camera, spectrum=True).mask
        scores.append(score(mask, frame, cosmic, sigma))
    return np.mean(scores, axis=0)


@pytest.mark.parametrize("method", ["lacosmic", "dcr"])
@pytest.mark.parametrize("camera", ["Red", "Blue"])
def test_hits_are_found_and_light_is_left_alone(camera, method):
    pixels, events, false = mean_scores(range(4), method, camera=camera)
    assert pixels >= 0.95
    assert events >= 0.99
    assert false < 1e-4


@pytest.mark.parametrize("binning", [(1, 1), (3, 3), (1, 2)])
def test_default_reaches_its_figures_at_other_binnings(binning):
    pixels, events, false = mean_scores(range(3), binning=binning, rate=4.0)
    assert pixels >= 0.95
    assert events >= 0.99
    assert false < 1e-4


def lines(strength):
    return tuple((wave, strength * rate) for wave, rate in NEBULA)


LIGHT = {
    "red sky": ("600_RED", [Source(2100, 18.0)]),
    "red sky, high dispersion": ("1200_M7", [Source(2100, 18.0)]),
    "faint": ("400_M1", [Source(2100, 21.0)]),
    "bright": ("400_M1", [Source(2100, 12.0)]),
    "sharp": ("400_M1", [Source(2100, 13.0, fwhm_arcsec=0.6)]),
    "galaxy": ("400_M1", [Source(2000, 15.0, fwhm_arcsec=10.0)]),
    "nebula": ("600_MID", [Source(1850, np.inf, lines=lines(50), fwhm_arcsec=0.6)]),
    "wide nebula": ("600_MID", [Source(1950, np.inf, lines=lines(200), fwhm_arcsec=8.0)]),
    "crowded": ("400_M1", [Source(1750 + 40 * i, 15.0 + i, fwhm_arcsec=0.6) for i in range(14)]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("binning", [(1, 1), (2, 2), (1, 2), (3, 3)])
@pytest.mark.parametrize("camera", ["Red", "Blue"])
@pytest.mark.parametrize("light", LIGHT)
def test_900_s_through_every_kind_of_light(light, camera, binning):
    mode, sources = LIGHT[light]
    pixels, events, false = mean_scores(
        range(20, 24), camera=camera, binning=binning, mode=mode, sources=sources, rate=1.0
    )
    assert pixels >= 0.95
    assert events >= (0.99 if (camera, binning) == ("Red", (2, 2)) else 0.985)
    assert false < 1e-4


@pytest.mark.parametrize("spectrum", [True, False])
@pytest.mark.parametrize("wide", [1, 4])
def test_hits_beside_bad_columns_are_found(wide, spectrum):
    if spectrum:
        frame, *_, sigma = scene(6, rate=0.0, sources=[Source(2100, 18.0)])
    else:
        frame, _, sigma = image_scene(3, stars=300)
    without = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=spectrum).mask
    beside = [199, 200 + wide]
    frame.data[:, 200 : 200 + wide] = 3.0
    frame.flags[:, 200 : 200 + wide] = np.uint8(Flag.BAD)
    rows = np.arange(20, 360, 20)
    alone = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=spectrum).mask
    assert (alone & ~without).sum() <= 1  # light beside the gap makes no hits
    for column in beside:
        frame.data[rows, column] += 40 * sigma[rows, column]
    mask = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=spectrum).mask
    assert mask[rows][:, beside].mean() > 0.9


def test_a_track_along_the_dispersion_is_no_trace():
    frame, *_ = scene(5, rate=0.0, binning=(1, 1))
    frame.data[150:152, 300:322] += 400.0
    mask = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=True).mask
    assert mask[150:152, 300:322].mean() > 0.95


@pytest.mark.parametrize("method", ["lacosmic", "dcr"])
def test_without_cosmic_rays_next_to_nothing_is_marked(method):
    marked = []
    for seed in range(10, 13):
        frame, *_ = scene(seed, rate=0.0, mode="600_MID")
        marked.append(clean_cosmics(frame, method, camera="Red", spectrum=True).mask.mean())
    assert np.mean(marked) < 3e-5


@pytest.mark.parametrize("method", ["lacosmic", "dcr"])
@pytest.mark.parametrize("binning", [(1, 1), (2, 2), (3, 3)])
def test_bright_star_and_bright_lines_stand(binning, method):
    lines = tuple((wave, 200 * rate) for wave, rate in NEBULA)
    sources = [Source(2100, 13.0), Source(1850, 20.0, lines=lines, fwhm_arcsec=0.7)]
    frame, cosmic, _, sigma = scene(3, sources=sources, binning=binning)
    cleaned = clean_cosmics(frame, method, camera="Red", spectrum=True)
    assert score(cleaned.mask, frame, cosmic, sigma)[2] < 1e-4
    kept = (frame.flags == 0) & ~cleaned.mask
    np.testing.assert_array_equal(cleaned.frame.data[kept], frame.data[kept])


def test_filled_pixels_are_flagged_with_an_uncertainty_that_holds():
    pulls = []
    for seed in range(4):
        frame, _, response, _ = scene(seed)
        cleaned = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=True)
        assert (cleaned.frame.flags[cleaned.mask] & Flag.COSMIC).all()
        assert not (cleaned.frame.flags[~cleaned.mask] & Flag.COSMIC).any()
        judged = cleaned.mask & (frame.flags == 0)
        pulls.append(((cleaned.frame.data - response) / cleaned.frame.uncertainty)[judged])
    pulls = np.concatenate(pulls)
    assert (np.abs(pulls) < 3).mean() > 0.97
    assert abs(np.median(pulls)) < 0.2
    assert np.isfinite(pulls).all()


def test_the_frame_given_is_not_changed():
    frame, *_ = scene(1)
    data, flags = frame.data.copy(), frame.flags.copy()
    clean_cosmics(frame, "lacosmic", camera="Red", spectrum=True)
    np.testing.assert_array_equal(frame.data, data)
    np.testing.assert_array_equal(frame.flags, flags)


def test_a_saturated_trace_is_no_hit_but_a_saturated_hit_is():
    frame, *_ = scene(2, rate=0.0)
    data, flags = frame.data.copy(), frame.flags.copy()
    data[200:204, 100:700] = 64000
    flags[200:204, 100:700] = Flag.SATURATED
    data[50, 300] = data[51, 301] = 64800
    flags[50, 300] = flags[51, 301] = Flag.SATURATED
    full = Frame(data, frame.uncertainty, flags, frame.header, frame.window)
    mask = clean_cosmics(full, "lacosmic", camera="Red", spectrum=True).mask
    assert not mask[200:204].any()
    assert mask[50, 300]
    assert mask[51, 301]


@pytest.mark.parametrize("method", ["lacosmic", "dcr"])
def test_hits_at_the_very_edge_are_found(method):
    frame, *_ = scene(2, rate=0.0)
    data = frame.data.copy()
    for y, x in ((0, 200), (379, 400), (100, 0), (150, 899)):
        data[y, x] += 900
    full = Frame(data, frame.uncertainty, frame.flags, frame.header, frame.window)
    mask = clean_cosmics(full, method, camera="Red", spectrum=True).mask
    assert mask[0, 200]
    assert mask[379, 400]
    assert mask[100, 0]
    assert mask[150, 899]


def test_none_touches_nothing():
    frame, *_ = scene(1)
    cleaned = clean_cosmics(frame, "none", camera="Red", spectrum=True)
    assert cleaned.frame is frame
    assert not cleaned.mask.any()


@pytest.mark.parametrize("shape", [(8, 400), (400, 9), (5, 5)])
@pytest.mark.parametrize("method", ["lacosmic", "dcr"])
def test_tiny_frames_are_no_obstacle(shape, method):
    rng = np.random.default_rng(1)
    data = rng.normal(10, 2, shape).astype(np.float32)
    data[3, 3] = 900
    frame = Frame(
        data, np.full(shape, 2, np.float32), np.zeros(shape, np.uint8), fits.Header(),
        Window(0, 0, shape[1], shape[0], 2, 2),
    )  # fmt: skip
    cleaned = clean_cosmics(frame, method, camera="Red", spectrum=True)
    assert cleaned.mask.shape == shape


def test_choice_of_method():
    assert set(MERIT) == set(PARAMETERS)
    assert choose_method("dcr", "Red", 2) == "dcr"
    assert choose_method("default", "Blue", 4) == MERIT["Blue", 3]
    with pytest.raises(ValueError, match="no method"):
        choose_method("magic", "Red", 2)


def test_parameters_are_those_of_the_table():
    assert parameters_for("Red", 2).thresh == 4.0
    assert parameters_for("Red", 2).grad == 0
    assert (parameters_for("Blue", 1).xrad, parameters_for("Blue", 1).yrad) == (8, 8)
    assert parameters_for("Red", 5) == PARAMETERS["Red", 3]


def test_dcr_leaves_a_continuous_histogram_alone():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, (200, 220)).astype(np.float32)
    assert find_dcr(noise, parameters_for("Red", 2)).sum() <= 1
    noise[40:44, 60] += np.array([8, 40, 300, 9], np.float32)
    found = find_dcr(noise, parameters_for("Red", 2))
    assert found[41:43, 60].all()


def image_scene(seed, *, binning=2, exptime_s=120.0, fwhm_arcsec=0.9, side=500, stars=60, rate=0):
    """Return a flat-fielded image, the hits in ADU and the noise of each pixel.

    `rate` adds hits of so many exposures of 120 s to those of its own.
    """
    region = Region(f"Imaging {binning}x{binning}", 900, 900, side, side)
    chosen = setup("Red", None, region=region, binning=(binning, binning))
    sim = frames.image(
        chosen, seed=seed, exptime_s=exptime_s, stars=stars, fwhm_arcsec=fwhm_arcsec
    )
    truth, gain = sim.truth.exposure, chosen.readout.gain
    response = np.maximum(detector(chosen).response, 0.05)
    more = cosmic_rays(chosen, 120.0, np.random.default_rng(seed + 77), rate=rate) / gain
    data = ((sim.data - truth.bias + more) / response).astype(np.float32)
    light = truth.expected - truth.bias
    sigma = np.sqrt(light / gain + (chosen.readout.rdnoise / gain) ** 2)
    flags = np.where(response < 0.3, Flag.BAD, 0).astype(np.uint8)
    flags[sim.data >= chosen.readout.clip_adu] |= np.uint8(Flag.SATURATED)
    window = Window(900, 900, side, side, binning, binning)
    frame = Frame(data, (sigma / response).astype(np.float32), flags, fits.Header(), window)
    return frame, truth.cosmic / gain + more, sigma


def image_score(method, number=6, **options):
    """Return shares over several images: pixels and events found, false pixels."""
    scores = []
    for seed in range(number):
        frame, cosmic, sigma = image_scene(seed, **options)
        mask = clean_cosmics(frame, method, camera="Red", spectrum=False).mask
        scores.append(score(mask, frame, cosmic, sigma))
    return np.mean(scores, axis=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exptime_s": 600.0},
        {"fwhm_arcsec": 0.6},
        {"fwhm_arcsec": 1.6},
        {"binning": 1, "side": 800},
        {"binning": 3, "side": 400},
    ],
)
def test_images_keep_their_stars_and_lose_their_hits(options):
    pixels, events, false = image_score("lacosmic", rate=4, **options)
    # of hits at 5 sigma, noise takes one in six below the 4 sigma that a bright sky allows
    assert pixels >= 0.96
    assert events >= 0.95
    assert false < 1e-4


def test_dcr_leaves_stars_alone():
    assert image_score("dcr")[2] < 2e-5


@pytest.mark.parametrize("fwhm_arcsec", [0.6, 0.9, 1.4])
@pytest.mark.parametrize("exptime_s", [5.0, 120.0])
def test_crowded_fields_stay(exptime_s, fwhm_arcsec):
    """As many stars as would be 8,600 on a full frame, blends among them."""
    false = []
    for seed in range(3):
        frame, cosmic, _ = image_scene(
            seed, exptime_s=exptime_s, stars=900, fwhm_arcsec=fwhm_arcsec
        )
        mask = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=False).mask
        false.append((mask & (cosmic <= 0) & (frame.flags == 0)).mean())
    assert np.mean(false) < 1e-4


def test_the_edge_of_the_field_is_no_hit_and_hits_beyond_it_are_found():
    """A flat-fielded image: noisy where the field ends, not divided beyond."""
    false, missed = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:500, :500]
        share = np.clip((620 - np.hypot(x - 30, y - 30)) / 10, 0, 1)
        unexposed = share < 0.2
        response = np.where(unexposed, 1, share)
        light = 3000 * share
        noise = np.sqrt(light / 1.48 + 7)
        hits = np.zeros(light.shape)
        place = rng.integers(5, 495, (2, 120))
        hits[tuple(place)] = 400 + 20 * noise[tuple(place)]
        data = (light + rng.normal(0, noise) + hits) / response
        error = np.sqrt(noise**2 + hits / 1.48) / response
        flags = np.where(unexposed, Flag.UNEXPOSED, 0).astype(np.uint8)
        frame = Frame(
            data.astype(np.float32), error.astype(np.float32), flags, fits.Header(),
            Window(900, 900, 500, 500, 2, 2),
        )  # fmt: skip
        mask = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=False).mask
        rim = unexposed & (share > 0)
        false.append((mask & (hits == 0)).mean())
        missed.append(((hits > 0) & ~mask & ~rim).sum() / (hits > 0).sum())
    assert np.mean(false) < 1e-4
    assert np.mean(missed) < 0.05


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("binning", [(1, 1), (2, 2)])
def test_long_tracks_are_no_lines(upright, binning):
    """A muon that crosses the detector at a shallow angle looks like a trace or a sky line."""
    frame, *_ = scene(6, rate=0.0, binning=binning)
    length = 24 // binning[0]
    rows, columns = (length, 1) if upright else (1, length)
    frame.data[100 : 100 + rows, 300 : 300 + columns] += 500.0
    mask = clean_cosmics(frame, "lacosmic", camera="Red", spectrum=True).mask
    assert mask[100 : 100 + rows, 300 : 300 + columns].mean() > 0.9
