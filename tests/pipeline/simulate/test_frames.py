"""Simulated frames hold what their truth says, by measurements that share no code with it."""

import json

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.cosmics import cosmic_rays
from goodman_live.pipeline.simulate.instrument import (
    MODES,
    SLIT_CENTRE_ROW,
    Region,
    custom_mode,
    setup,
)
from goodman_live.pipeline.simulate.law import nominal_law, random_law
from goodman_live.pipeline.simulate.optics import slit_illumination
from goodman_live.pipeline.simulate.scene import Source
from goodman_live.pipeline.simulate.truth import write_truth


def strip(binning=(1, 1), mode="400_M1", camera="Red", rows=96, **kwargs):
    """Return a set-up with a narrow window around mid slit."""
    xbin, ybin = binning
    origin = SLIT_CENTRE_ROW - rows // 2
    origin -= origin % ybin
    region = Region("user-defined", 0, origin, 4142 // xbin, rows // ybin)
    return setup(camera, mode, binning=binning, region=region, **kwargs)


def centroid(profile, guess, reach):
    lo, hi = int(guess) - reach, int(guess) + reach + 1
    x = np.arange(lo, hi)
    weight = profile[lo:hi] - np.median(profile)
    return float((x * weight).sum() / weight.sum())


def test_same_seed_is_the_same_frame_and_another_is_not():
    one, same, other = (frames.bias(strip(), seed=s).data for s in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_bias_noise_is_the_read_noise():
    frame = frames.bias(strip(), seed=1)
    residual = frame.data - frame.truth.exposure.expected
    readout = strip().readout
    assert residual.std() == pytest.approx(
        np.hypot(readout.rdnoise / readout.gain, 1 / np.sqrt(12)), rel=0.01
    )
    assert abs(residual.mean()) < 0.02


def test_photon_noise_follows_the_gain():
    frame = frames.flat(strip(), seed=1)
    expected = frame.truth.exposure.expected
    bright = expected - frame.truth.exposure.bias > 5000
    electrons = (expected - frame.truth.exposure.bias)[bright] * strip().readout.gain
    pulls = (frame.data - expected)[bright] * strip().readout.gain / np.sqrt(electrons)
    assert pulls.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("binning", [(1, 1), (2, 2), (3, 3)])
def test_arc_lines_fall_where_the_law_says_with_half_pixel_binning(binning):
    """A line at unbinned column x is centred on binned pixel (x - (b - 1) / 2) / b."""
    set_up = strip(binning, slit_arcsec=0.45)
    law = nominal_law(set_up.mode).shifted(0.37)
    frame = frames.arc(set_up, ("HGA",), seed=2, law=law, offsets={"HGA": 0.2}, peak_adu=30000)
    image = frame.truth.exposure.expected - frame.truth.exposure.bias
    row = image.shape[0] // 2
    y = set_up.region.y0 + row * set_up.ybin + (set_up.ybin - 1) / 2
    for wave in (4358.335, 5460.750):
        x = float(law.column(np.array([wave]))[0]) + 0.2 + float(law.displacement(np.array(y)))
        binned = (x - (set_up.xbin - 1) / 2) / set_up.xbin
        assert centroid(image[row], round(binned), 7 // set_up.xbin) == pytest.approx(
            binned, abs=0.03
        )


def test_binning_only_adds_pixels():
    fine, coarse = strip((1, 1)), strip((2, 2))
    law = nominal_law(fine.mode)
    source = Source(SLIT_CENTRE_ROW, 16)
    one, two = (
        frames.spectrum(s, [source], seed=1, law=law, cosmic_rate=0).truth for s in (fine, coarse)
    )
    summed = one.sources[0].electrons[:4142].reshape(-1, 2).sum(axis=1)
    assert two.sources[0].electrons == pytest.approx(summed, rel=2e-3, abs=0.05)


def test_source_flux_is_on_the_detector():
    set_up = strip(rows=600)
    frame = frames.spectrum(
        set_up, [Source(SLIT_CENTRE_ROW, 14, slope=0, curve=0)], seed=1, cosmic_rate=0
    )
    truth = frame.truth.sources[0]
    expected = (frame.truth.exposure.expected - frame.truth.exposure.bias) * set_up.readout.gain
    sky = frame.truth.sky_electrons
    column = 2000
    illumination = slit_illumination(set_up)[:, column]
    seen = expected[:, column].sum() - (sky[column] * illumination).sum()
    assert seen == pytest.approx(truth.electrons[column], rel=0.02)


@pytest.mark.parametrize("name", sorted(MODES))
def test_every_mode_has_a_monotonic_law_that_inverts(name):
    law = random_law(MODES[name], np.random.default_rng(5))
    column = np.linspace(0, 4142, 50)
    wave = law.wavelength(column, np.full(50, float(SLIT_CENTRE_ROW)))
    assert np.all(np.diff(wave) > 0)
    assert law.column(wave) == pytest.approx(column, abs=1e-6)


def test_custom_mode_agrees_with_a_named_one():
    named = MODES["930_M3"]
    custom = custom_mode(930, named.cam_targ, named.grt_targ, "GG385")
    assert custom.centre == pytest.approx(named.centre, abs=80)
    assert custom.dispersion == pytest.approx(named.dispersion, rel=0.02)


def test_cosmic_rays_scale_with_exposure():
    set_up = setup("Red", "400_M1")
    rng = np.random.default_rng(1)
    short, long = (np.count_nonzero(cosmic_rays(set_up, t, rng)) for t in (90, 900))
    assert 5 < long / short < 20


def test_a_spectrum_without_a_grating_is_refused():
    with pytest.raises(ValueError, match="grating"):
        frames.spectrum(setup("Red", None), [], seed=1)


def test_legacy_and_aeon_spell_the_same_set_up_differently():
    aeon = frames.arc(strip(), ("HGA", "NE"), seed=1).header
    legacy = frames.arc(strip(aeon=False), ("HGA", "NE"), seed=1).header
    assert (aeon["OBSTYPE"], legacy["OBSTYPE"]) == ("ARC", "COMP")
    assert (aeon["GRATING"], legacy["GRATING"]) == ("400_SYZY", "SYZY_400")
    assert (aeon["SLIT"], legacy["SLIT"]) == ("1.0_LONG_SLIT", '1.0" long slit')
    assert legacy["OBJECT"] == "HgArNe"
    assert "LAMP_HGA" not in legacy
    assert "PROPID" not in legacy


def test_files_are_unsigned_sixteen_bit_and_carry_their_truth(tmp_path):
    frame = frames.spectrum(strip((2, 2)), [Source(SLIT_CENTRE_ROW, 17)], seed=1)
    frame.write(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", do_not_scale_image_data=True) as hdus:
        assert (hdus[0].header["BITPIX"], hdus[0].header["BZERO"]) == (16, 32768)
    assert np.array_equal(fits.getdata(tmp_path / "a.fits"), frame.data)
    write_truth(frame.truth, tmp_path / "a")
    summary = json.loads((tmp_path / "a.json").read_text())
    arrays = np.load(tmp_path / "a.npz")
    assert summary["sources"][0]["row_unbinned"] == SLIT_CENTRE_ROW
    assert np.array_equal(arrays["electrons_1"], frame.truth.sources[0].electrons)


def test_saturation_clips_at_the_readout_level():
    set_up = strip(speed=(344, 0))
    frame = frames.arc(set_up, ("NE",), seed=1, peak_adu=120000)
    assert frame.data.max() == int(set_up.readout.clip_adu)


def test_bright_lines_of_a_lamp_that_is_off_are_absent():
    law = nominal_law(MODES["400_M1"])
    on, off = (frames.arc(strip(), lamps, seed=1).data for lamps in (("HGA", "NE"), ("HGA",)))
    column = int(law.column(np.array([6402.246]))[0])
    assert on[48, column - 3 : column + 4].max() > off[48, column - 3 : column + 4].max() + 1000
