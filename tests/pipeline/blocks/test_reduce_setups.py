"""The reduce block in every camera, readout mode, binning, region and era."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.core.frame import Flag, Window
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.detector import detector
from goodman_live.pipeline.simulate.instrument import READOUTS, Region, setup
from goodman_live.pipeline.simulate.scene import Source
from tests.pipeline.blocks.reducing import (
    SETTINGS,
    light_of,
    make_masters,
    run,
    science,
)


def test_another_technique_is_reduced_as_what_it_is(tmp_path):
    imaging = setup("Red", None, region=Region("Imaging 2x2", 700, 900, 200, 180), speed=(750, 2))
    masters = make_masters(imaging, tmp_path, number=4)
    sim = frames.image(imaging, seed=3, stars=8)
    sim.write(tmp_path / "im.fits")
    result = run(tmp_path / "im.fits", tmp_path / "out", masters)
    assert result.products[0].path.name == "cfzt_im.fits"
    assert any("Imaging" in message for message in result.messages)
    frame = read_frame(result.products[0].path)
    assert frame.header["GSP_TECH"] == "Imaging"
    assert frame.header["GSP_OVER"] == "none"
    assert frame.window == Window(700, 900, 200, 180, 2, 2)
    off = (frame.data - light_of(sim, imaging, frame, masters[1])) / frame.uncertainty
    assert np.abs(np.median(off[frame.flags == 0])) < 1  # the level of a frame is not its own


@pytest.mark.parametrize(
    ("camera", "mode", "binning", "region", "speed"),
    [
        ("Blue", "600_BLUE", (2, 2), Region("user-defined", 0, 1800, 500, 90), None),
        ("Blue", "600_BLUE", (1, 1), Region("user-defined", 0, 1900, 700, 100), (100, 3)),
        ("Red", "930_M4", (1, 2), Region("CUST_0_600_1800_120_1x2", 0, 1800, 600, 120), None),
        ("Red", "930_M4", (3, 3), Region("user-defined", 0, 1800, 300, 90), (100, 2)),
        ("Red", "930_M4", (2, 2), Region("user-defined", 10, 1800, 300, 90), (344, 0)),
        ("Red", "930_M4", (1, 1), Region("user-defined", 0, 1850, 4142, 60), (750, 2)),
    ],
)
def test_every_camera_readout_and_window(camera, mode, binning, region, speed, tmp_path):
    chosen = setup(camera, mode, binning=binning, region=region, speed=speed)
    masters = make_masters(chosen, tmp_path, number=6)
    sim = frames.spectrum(chosen, [Source(1950, 17.0)], seed=7)
    sim.write(tmp_path / "s.fits")
    result = run(tmp_path / "s.fits", tmp_path / "out", masters)
    frame = read_frame(result.products[0].path)
    pulls = (frame.data - light_of(sim, chosen, frame, masters[1])) / frame.uncertainty
    assert pulls[frame.flags == 0].std() == pytest.approx(1, abs=0.05)
    assert abs(pulls[frame.flags == 0].mean()) < 0.15


REGIONS = {
    "spectroscopic 3x3": (
        "Red",
        "930_M4",
        (3, 3),
        Region("Spectroscopic 3x3", 0, 1100, 1380, 632),
    ),
    "slit imaging": ("Red", None, (1, 1), Region("Slit Imaging/Alignment", 1850, 1100, 400, 1896)),
    "slicer": ("Red", "930_M4", (2, 2), Region("Slicer", 300, 1700, 400, 200)),
    "blue window": ("Blue", "600_BLUE", (1, 2), Region("user-defined", 600, 1500, 500, 160)),
    "blue imaging 3x3": ("Blue", None, (3, 3), Region("Imaging 3x3", 530, 388, 1032, 1032)),
}


@pytest.mark.parametrize(
    "region",
    [pytest.param(name, marks=[pytest.mark.slow] if "3x3" in name else []) for name in REGIONS],
)
def test_every_region_of_interest(region, tmp_path):
    """The hot column is in place: the window is, and every trim kept to it."""
    camera, mode, binning, window = REGIONS[region]
    slit = None if mode is None else 1.0
    chosen = setup(camera, mode, binning=binning, region=window, slit_arcsec=slit)
    masters = make_masters(chosen, tmp_path, number=4)
    if mode is None:
        sim = frames.image(chosen, seed=3, stars=8)
    else:
        sim = frames.spectrum(chosen, [Source(1800, 17.0)], seed=3)
    sim.write(tmp_path / "s.fits")
    frame = read_frame(run(tmp_path / "s.fits", tmp_path / "out", masters).products[0].path)
    assert (frame.window.xbin, frame.window.ybin) == binning
    off = frame.data - light_of(sim, chosen, frame, masters[1])
    good = frame.flags == 0
    width = (off / frame.uncertainty)[good].std()
    if frame.header["GSP_OVER"] == "none":
        assert width < 1.06  # the unknown level is in the uncertainty, and alike in all pixels
    else:
        assert width == pytest.approx(1, abs=0.06)
    start = (frame.window.x0 - window.x0) // binning[0]
    for column in detector(chosen).hot_columns:
        part = slice(max(column - start - 9, 0), column - start + 10)
        use = good[:, part].mean(axis=0) > 0.5
        near = np.nanmedian(np.where(good, off, np.nan)[:, part][:, use], axis=0)
        assert np.abs(near - np.median(off[good])).max() < 3


def of_2016(sim, chosen):
    """Return the header that a frame had in 2016: numbered controller cards, much missing."""
    header = sim.header.copy()
    gone = ("INSTCONF", "WAVMODE", "ROI", "OPENTIME", "OPENDATE", "CLOSETIM", "PROPID", "IMAGEID")
    for card in [key for key in header if key in gone or key.startswith(("PG", "LAMP_"))]:
        del header[card]
    window = chosen.region
    cards = ((16, window.x0), (17, window.nx), (18, chosen.xbin), (20, window.y0))
    for number, value in (*cards, (21, window.ny), (22, chosen.ybin)):
        header[f"PARAM{number}"] = value
    header["INSTRUME"] = "Goodman Spectrograph"
    header["OBSTYPE"] = {"LAMPFLAT": "FLAT", "SPECTRUM": "OBJECT"}.get(
        header["OBSTYPE"], header["OBSTYPE"]
    )
    return header


def test_a_night_of_2016(small, tmp_path):
    """Three axes, no camera, mode or region: window and camera follow from what there is."""
    old = replace(small, aeon=False)

    def write(name, sim):
        fits.PrimaryHDU(sim.data[None], of_2016(sim, old)).writeto(tmp_path / name)
        return tmp_path / name

    biases = [write(f"b{i}.fits", frames.bias(old, seed=500 + i)) for i in range(6)]
    lamps = [write(f"f{i}.fits", frames.flat(old, seed=600 + i)) for i in range(6)]
    out = tmp_path / "out"
    bias = build_master_bias(biases, out_dir=out, settings=SETTINGS).products[0].path
    flat = build_master_flat(lamps, bias=bias, out_dir=out, settings=SETTINGS).products[0].path
    sim = frames.spectrum(old, [Source(1550, 17.5)], seed=4)
    frame = read_frame(run(write("s.fits", sim), out, (bias, flat)).products[0].path)
    assert frame.header["GSP_TRIM"] == "[26:500,2:260]"
    off = frame.data - light_of(sim, old, frame, flat)
    assert (off / frame.uncertainty)[frame.flags == 0].std() == pytest.approx(1, abs=0.05)
    start = (frame.window.x0 - old.region.x0) // 2
    for column in detector(old).hot_columns:
        near = np.median(off[:, column - start - 9 : column - start + 10], axis=0)
        assert np.abs(near).max() < 3


@pytest.mark.slow
@pytest.mark.parametrize("binning", [(1, 1), (2, 2), (1, 2), (3, 3)])
@pytest.mark.parametrize(("camera", "khz", "attenuation"), READOUTS)
def test_pulls_of_every_readout_mode(camera, khz, attenuation, binning, tmp_path):
    """The simulator draws its noise from its own table of gains and read noises."""
    mode = "930_M4" if camera == "Red" else "600_BLUE"
    region = Region("user-defined", 0, 1800, 360, 150)
    chosen = setup(camera, mode, binning=binning, region=region, speed=(khz, attenuation))
    masters = make_masters(chosen, tmp_path, number=6)
    widths = []
    for seed in range(3):
        sim = frames.spectrum(chosen, [Source(1870, 17.5)], seed=40 + seed)
        sim.write(tmp_path / f"s{seed}.fits")
        result = run(tmp_path / f"s{seed}.fits", tmp_path / "out", masters)
        frame = read_frame(result.products[0].path)
        pulls = (frame.data - light_of(sim, chosen, frame, masters[1])) / frame.uncertainty
        widths.append(pulls[frame.flags == 0].std())
    assert 0.97 <= np.mean(widths) <= 1.03


@pytest.mark.slow
def test_pulls_of_a_readout_mode_that_no_table_knows(tmp_path):
    known = setup("Red", "930_M4", region=Region("user-defined", 0, 1800, 360, 150))
    chosen = known.with_(readout=replace(known.readout, gain=2.21, rdnoise=5.55))
    masters = make_masters(chosen, tmp_path, number=6)
    widths = []
    for seed in range(5):
        sim = frames.spectrum(chosen, [Source(1870, 17.5)], seed=seed)
        sim.write(tmp_path / f"s{seed}.fits")
        result = run(tmp_path / f"s{seed}.fits", tmp_path / "out", masters)
        assert result.products[0].quality["read_noise_e"] == pytest.approx(5.55, rel=0.04)
        frame = read_frame(result.products[0].path)
        pulls = (frame.data - light_of(sim, chosen, frame, masters[1])) / frame.uncertainty
        widths.append(pulls[frame.flags == 0].std())
    assert 0.97 <= np.mean(widths) <= 1.03


def test_an_unknown_readout_mode_is_taken_from_the_header(small, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    sim.header["GAIN"], sim.header["RDNOISE"] = 1.48, 4.44
    (tmp_path / "s.fits").unlink()
    sim.write(tmp_path / "s.fits")
    result = run(tmp_path / "s.fits", tmp_path / "out")
    # what the overscan shows is believed before the header
    assert result.products[0].quality["read_noise_e"] == pytest.approx(3.89, rel=0.04)


def test_legacy_cube_and_lying_trimsec(small, masters, tmp_path):
    sim = frames.spectrum(small, [Source(1550, 17.5)], seed=2)
    sim.header["TRIMSEC"] = "[1:4142,1:2096]"
    cube = tmp_path / "cube.fits"
    fits.PrimaryHDU(sim.data[None], sim.header).writeto(cube)
    sim.write(tmp_path / "flat.fits")
    one, two = (run(path, tmp_path / "out", masters) for path in (cube, tmp_path / "flat.fits"))
    np.testing.assert_array_equal(
        read_frame(one.products[0].path).data, read_frame(two.products[0].path).data
    )


def test_tile_compressed_frames(small, masters, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    packed = fits.CompImageHDU(sim.data, sim.header)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "p.fits.fz")
    one = run(tmp_path / "s.fits", tmp_path / "out", masters)
    two = run(tmp_path / "p.fits.fz", tmp_path / "out", masters)
    assert two.products[0].path.name == "cfzst_p.fits"
    np.testing.assert_array_equal(
        read_frame(one.products[0].path).data, read_frame(two.products[0].path).data
    )


def test_neither_overscan_nor_bias(tmp_path):
    imaging = setup("Red", None, region=Region("user-defined", 700, 500, 200, 200), speed=(750, 2))
    frames.image(imaging, seed=3, stars=5).write(tmp_path / "im.fits")
    result = run(tmp_path / "im.fits", tmp_path / "out")
    assert any("neither overscan nor master bias" in message for message in result.messages)
    assert result.products[0].path.name == "ct_im.fits"


@pytest.mark.parametrize("exptime_s", [1.0, 120.0])
def test_a_frame_alone_that_is_noisier_than_its_header(exptime_s, tmp_path):
    """As a real Blue frame at 400 kHz: 24 e, where RDNOISE is 8.62; the sky is in the level."""
    region = Region("user-defined", 1200, 1200, 300, 300)
    blue = setup("Blue", None, region=region, speed=(400, 0))
    noisy = blue.with_(readout=replace(blue.readout, rdnoise=24.0))
    sim = frames.image(noisy, seed=4, stars=3, exptime_s=exptime_s)
    sim.header["RDNOISE"] = 8.62
    sim.write(tmp_path / "im.fits")
    frame = read_frame(run(tmp_path / "im.fits", tmp_path / "out").products[0].path)
    fair = sim.truth.exposure.cosmic == 0
    fair[:, list(detector(noisy).hot_columns)] = False  # only a bias tells them
    assert (((frame.flags & Flag.COSMIC) != 0) & fair).mean() < 1e-4
    light = sim.truth.exposure.expected - sim.truth.exposure.bias
    sky = fair & (frame.flags == 0) & (light < 1.05 * np.median(light))
    spread = np.std((frame.data - light)[sky])
    assert np.median(frame.uncertainty[sky]) == pytest.approx(spread, rel=0.3)
