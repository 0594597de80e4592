from __future__ import annotations

from dataclasses import replace

import bottleneck as bn
import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import label

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    BadHeaderError,
    DiskFullError,
    MissingCalibrationError,
)
from goodman_live.pipeline.core.frame import Flag, Window
from goodman_live.pipeline.products import fits as product_fits
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.detector import detector
from goodman_live.pipeline.simulate.frames import slit_illumination
from goodman_live.pipeline.simulate.instrument import READOUTS, Region, setup
from goodman_live.pipeline.simulate.scene import Source

SETTINGS = ReductionSettings()


def window_of(chosen):
    region = chosen.region
    return Window(region.x0, region.y0, region.nx, region.ny, chosen.xbin, chosen.ybin)


def science(path, chosen, seed=1, **changes):
    sim = frames.spectrum(chosen, [Source(1550, 17.5)], seed=seed, **changes)
    sim.write(path)
    return sim


def run(path, out, masters=(None, None), settings=SETTINGS, **changes):
    return reduce(
        path, bias=masters[0], flat=masters[1], out_dir=out, settings=settings, **changes
    )


def make_masters(chosen, folder, number=10):
    biases, lamps = [], []
    peak = min(25000.0, 0.4 * chosen.readout.clip_adu)
    for i in range(number):
        biases.append(folder / f"bias{i}.fits")
        frames.bias(chosen, seed=500 + i).write(biases[-1])
        lamps.append(folder / f"flat{i}.fits")
        frames.flat(chosen, seed=600 + i, peak_adu=peak).write(lamps[-1])
    out = folder / "masters"
    bias = build_master_bias(biases, out_dir=out, settings=SETTINGS).products[0].path
    flat = build_master_flat(lamps, bias=bias, out_dir=out, settings=SETTINGS)
    return bias, flat.products[0].path


def light_of(sim, chosen, frame, flat=None):
    """Return the noiseless counts above bias in the window of a product."""
    rows, columns = frame.window.slices_in(window_of(chosen))
    exposure = sim.truth.exposure
    light = (exposure.expected - exposure.bias)[rows, columns]
    return light / read_frame(flat).cut(frame.window).data if flat else light


def test_pulls_against_truth_have_unit_width(small, masters, tmp_path):
    widths, centres = [], []
    for seed in range(5):
        sim = science(tmp_path / "s.fits", small, seed)
        result = run(tmp_path / "s.fits", tmp_path / "out", masters)
        frame = read_frame(result.products[0].path)
        (tmp_path / "s.fits").unlink()
        pulls = (frame.data - light_of(sim, small, frame, masters[1])) / frame.uncertainty
        widths.append(pulls[frame.flags == 0].std())
        centres.append(pulls[frame.flags == 0].mean())
    assert 0.97 <= np.mean(widths) <= 1.03
    assert abs(np.mean(centres)) < 0.05


@pytest.mark.parametrize("method", ["mean", "full"])
def test_pulls_with_the_other_normalisations(method, small, calib, masters, tmp_path):
    settings = SETTINGS.model_copy(update={"flat_normalisation": method})
    raws = sorted(calib.glob("flat*"))
    made = build_master_flat(raws, bias=masters[0], out_dir=tmp_path / "m", settings=settings)
    flat = made.products[0].path
    widths = []
    for seed in range(3):
        sim = science(tmp_path / f"s{seed}.fits", small, seed)
        result = run(tmp_path / f"s{seed}.fits", tmp_path, (masters[0], flat), settings)
        frame = read_frame(result.products[0].path)
        pulls = (frame.data - light_of(sim, small, frame, flat)) / frame.uncertainty
        widths.append(pulls[frame.flags == 0].std())
    assert 0.97 <= np.mean(widths) <= 1.03


@pytest.mark.parametrize(("camera", "binning"), [("Red", 1), ("Red", 2), ("Blue", 2)])
def test_pulls_of_images_with_a_saturated_star(camera, binning, tmp_path):
    region = Region("user-defined", 1200, 1200, 260, 240)
    chosen = setup(camera, None, binning=(binning, binning), region=region)
    masters = make_masters(chosen, tmp_path, number=6)
    stars = np.array([[60.0, 80.0, 3e5], [150.5, 120.2, 40.0], [200.0, 30.0, 300.0]])
    widths, saturated = [], 0
    for seed in range(3):
        sim = frames.image(chosen, seed=seed, exptime_s=240.0, placed=stars)
        sim.write(tmp_path / f"s{seed}.fits")
        result = run(tmp_path / f"s{seed}.fits", tmp_path / "out", masters)
        frame = read_frame(result.products[0].path)
        good = frame.flags == 0
        pulls = (frame.data - light_of(sim, chosen, frame, masters[1])) / frame.uncertainty
        widths.append(pulls[good].std())
        saturated += ((frame.flags & Flag.SATURATED) != 0).sum()
        rows, columns = frame.window.slices_in(window_of(chosen))
        full = sim.data[rows, columns] >= chosen.readout.clip_adu
        assert not good[full].any()
    assert saturated > 30
    assert 0.97 <= np.mean(widths) <= 1.03


@pytest.mark.parametrize(
    ("camera", "width", "most"),
    [("Red", 500, 0.1), pytest.param("Blue", 2071, 0.12, marks=pytest.mark.slow)],
)
def test_bias_structure_is_gone_bad_columns_included(camera, width, most, tmp_path):
    """All 948 rows of a science frame: the level of a row is smoothed with its neighbours.

    Blue has eight columns before the light, of more noise; the whole width holds those after it,
    which bring its rows from 0.17 ADU to 0.11.
    """
    tall = setup(camera, "930_M4", region=Region("user-defined", 0, 1100, width, 948))
    raws = [tmp_path / f"bias{i}.fits" for i in range(10)]
    for i, path in enumerate(raws):
        frames.bias(tall, seed=900 + i).write(path)
    settings = SETTINGS.model_copy(update={"cosmic_method": "none"})
    master = build_master_bias(raws, out_dir=tmp_path, settings=settings).products[0].path
    excess = []
    for seed in range(8):
        sim = frames.bias(tall, seed=seed)
        sim.header["OBSTYPE"], sim.header["EXPTIME"] = "SPECTRUM", 1.0
        sim.write(tmp_path / f"d{seed}.fits")
        result = run(tmp_path / f"d{seed}.fits", tmp_path, (master, None), settings)
        frame = read_frame(result.products[0].path)
        ny, nx = frame.data.shape
        photon = np.median(frame.uncertainty) * 1.2533
        columns, rows = np.median(frame.data, axis=0), np.median(frame.data, axis=1)
        excess.append(
            [
                np.mean(columns**2) - photon**2 / ny,
                np.mean(rows**2) - photon**2 / nx,
                np.abs(columns).max(),
            ]
        )
    column, row, worst = np.mean(excess, axis=0)
    assert np.sqrt(max(column, 0)) < 0.1
    assert np.sqrt(max(row, 0)) < most
    assert worst < 1  # neither the column of 200 ADU nor a false one beside it


def test_hot_column_is_in_place(small, masters, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    frame = read_frame(run(tmp_path / "s.fits", tmp_path, masters).products[0].path)
    off = np.median(frame.data - light_of(sim, small, frame, masters[1]), axis=0)
    start = (frame.window.x0 - small.region.x0) // 2
    for column in detector(small).hot_columns:
        assert np.abs(off[column - start - 30 : column - start + 30]).max() < 2.5


def test_names_record_and_provenance(small, masters, tmp_path):
    raw = tmp_path / "0317_x_05-07-2022.fits"
    science(raw, small)
    result = run(raw, tmp_path / "out", masters)
    product, mask = result.products
    assert product.path.name == "cfzst_0317_x_05-07-2022.fits"
    assert mask.path.name == "crmask_cfzst_0317_x_05-07-2022.fits"
    assert (mask.role, product.role) == ("mask", "")
    assert product.parents == (raw, masters[0], masters[1])
    assert result.messages == ()
    header = read_frame(product.path).header
    assert header["GSP_OVER"] == "[3:24,1:260]"
    assert header["GSP_TRIM"] == "[26:500,2:260]"
    assert header["GSP_SLIT"].startswith("[1:475,")
    assert header["GSP_BIAS"] == masters[0].name
    assert header["GSP_FLAT"] == masters[1].name
    assert header["GSP_BSHA"] == sha256_of(masters[0])
    assert header["GSP_FSHA"] == sha256_of(masters[1])
    assert header["GSP_RSHA"] == sha256_of(raw)
    assert header["GSP_NORM"] == "simple"
    assert header["GSP_COSM"] == "LACosmic"
    assert header["GSP_ONAM"] == header["GSP_PNAM"] == raw.name
    assert header["GSP_SNOR"] == "simple"
    for key in ("bias_level_adu", "read_noise_e", "saturated_percent", "flat_level_adu"):
        assert isinstance(product.quality[key], float)
    assert product.quality["cosmic_rays"] > 5
    flags = read_frame(product.path).flags
    stored = fits.getdata(mask.path)
    assert ((flags & Flag.COSMIC) != 0).sum() == stored.sum() == product.quality["cosmic_pixels"]


def test_cosmic_rays_of_the_block(small, masters, tmp_path):
    found, events, false = [], [], []
    for seed in range(4):
        sim = science(tmp_path / f"s{seed}.fits", small, seed, cosmic_rate=4.0)
        frame = read_frame(run(tmp_path / f"s{seed}.fits", tmp_path, masters).products[0].path)
        rows, columns = frame.window.slices_in(window_of(small))
        cosmic = sim.truth.exposure.cosmic[rows, columns] / small.readout.gain
        light = light_of(sim, small, frame)
        sigma = np.sqrt(light / small.readout.gain + (3.89 / 1.48) ** 2)
        mask = (frame.flags & Flag.COSMIC) != 0
        hit = (cosmic > 5 * sigma) & ((frame.flags & Flag.BAD) == 0)
        number = label(cosmic > 0, np.ones((3, 3)))[0]
        found.append((mask & hit).sum() / hit.sum())
        events.append(np.isin(np.unique(number[hit]), np.unique(number[mask])).mean())
        false.append((mask & (cosmic <= 0)).mean())
    assert np.mean(found) >= 0.95
    assert np.mean(events) >= 0.99
    assert np.mean(false) < 1e-4


def test_arcs_are_left_alone_but_carry_the_letter(small, masters, tmp_path):
    sim = frames.arc(small, seed=1)
    sim.write(tmp_path / "a_comp.fits")
    result = run(tmp_path / "a_comp.fits", tmp_path / "out", masters)
    assert [p.path.name for p in result.products] == ["cfzst_a_comp.fits"]
    frame = read_frame(result.products[0].path)
    assert frame.header["GSP_COSM"] == "none"
    assert not (frame.flags & Flag.COSMIC).any()
    pulls = (frame.data - light_of(sim, small, frame, masters[1])) / frame.uncertainty
    assert pulls[frame.flags == 0].std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("update", "given", "name"),
    [
        ({"ignore_bias": True}, (1, 1), "cfsto_s.fits"),
        ({"ignore_flats": True}, (1, 1), "czt_s.fits"),
        ({"ignore_bias": True, "ignore_flats": True}, (1, 1), "cto_s.fits"),
        ({"cosmic_method": "none"}, (1, 1), "fzst_s.fits"),
        ({"cosmic_method": "dcr"}, (1, 1), "cfzst_s.fits"),
        ({}, (0, 0), "cto_s.fits"),
        ({}, (1, 0), "czt_s.fits"),
    ],
)
def test_settings_and_missing_masters(update, given, name, small, masters, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    chosen = [master if use else None for master, use in zip(masters, given, strict=False)]
    settings = SETTINGS.model_copy(update=update)
    result = run(tmp_path / "s.fits", tmp_path / "out", chosen, settings)
    assert result.products[0].path.name == name
    frame = read_frame(result.products[0].path)
    without_bias = "z" not in name.split("_")[0]
    assert (frame.header["GSP_BIAS"] == "none") == without_bias
    said = " ".join(result.messages)
    assert ("overscan" in said) == without_bias
    if "f" not in name.split("_")[0]:
        assert "flat" in said
        light = light_of(sim, small, frame)
        good = frame.flags == 0
        assert np.median((frame.data - light)[good]) == pytest.approx(0, abs=2.5)
    assert frame.header["GSP_COSM"] == {"none": "none", "dcr": "DCR"}.get(
        settings.cosmic_method, "LACosmic"
    )


def test_a_flat_in_counts_serves_as_well(small, masters, tmp_path):
    science(tmp_path / "s.fits", small)
    one = run(tmp_path / "s.fits", tmp_path / "a", masters)
    two = run(tmp_path / "s.fits", tmp_path / "b", (masters[0], masters[2]))
    frames_ = [read_frame(result.products[0].path) for result in (one, two)]
    np.testing.assert_allclose(frames_[0].data, frames_[1].data, rtol=1e-5, atol=1e-3)


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


@pytest.mark.slow
def test_a_science_frame_agrees_with_the_light_itself(small, masters, tmp_path):
    """Against the simulated detector, not against our own flat: no column is false."""
    columns, rows, noise = [], [], []
    for seed in range(8):
        sim = frames.spectrum(small, [], seed=70 + seed)
        sim.write(tmp_path / f"s{seed}.fits")
        frame = read_frame(run(tmp_path / f"s{seed}.fits", tmp_path, masters).products[0].path)
        y, x = frame.window.slices_in(window_of(small))
        exposure = sim.truth.exposure
        response = np.maximum(detector(small).response[y, x], 1e-3)
        light = (exposure.expected - exposure.bias)[y, x] / response
        # the flat holds the illumination of the slit, so that the frame has it no more
        lit = slit_illumination(small).reshape(small.region.ny, small.ybin, -1).mean(axis=1)[y, x]
        light = light / lit
        seen = np.where(frame.flags == 0, frame.data, np.nan)
        bright = light > 30
        off = seen * np.nanmedian(light[bright] / seen[bright]) - light
        columns.append(bn.nanmedian(off, axis=0))
        rows.append(bn.nanmedian(off, axis=1))
        noise.append(1.2533 * np.median(frame.uncertainty) / np.sqrt(off.shape))
    across, along = (np.mean(part, axis=0) for part in (columns, rows))
    expected = np.mean(noise, axis=0) / np.sqrt(len(noise))
    level = np.median(light, axis=0)
    judged = np.isfinite(across)
    # flat and lamp are known to half a per cent; where the sky is dark nothing hides behind it
    assert (np.abs(across) < 5.5 * expected[0] + 0.005 * level)[judged].all()
    dark = judged & (level < 10)
    assert dark.sum() > 400
    assert np.sqrt(max(np.mean(across[dark] ** 2) - expected[0] ** 2, 0)) < 0.1
    assert np.sqrt(max(np.mean(along**2) - expected[1] ** 2, 0)) < 0.1


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


def rewrite(path, sim, data):
    header = sim.header.copy()
    path.unlink(missing_ok=True)
    fits.PrimaryHDU(data, header).writeto(path)


def test_missing_pixels_are_flagged_and_the_rest_goes_on(small, masters, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    data = sim.data.astype(np.float32)
    data[100:110, 200:210] = np.nan
    data[150, 2:24] = np.nan
    rewrite(tmp_path / "s.fits", sim, data)
    frame = read_frame(run(tmp_path / "s.fits", tmp_path / "out", masters).products[0].path)
    assert ((frame.flags & Flag.NO_DATA) != 0).sum() == 100
    assert np.isfinite(frame.data).all()
    assert np.isfinite(frame.uncertainty).all()
    good = frame.flags == 0
    pulls = (frame.data - light_of(sim, small, frame, masters[1])) / frame.uncertainty
    assert pulls[good].std() == pytest.approx(1, abs=0.05)


BAD = {
    "saturated": (lambda data: np.full_like(data, 65535), "saturated in 100.0 per cent"),
    "no number": (lambda data: np.full(data.shape, np.nan, np.float32), "no number"),
    "wrong size": (lambda data: data[:100], "100 pixels"),
    "unbinned size": (lambda data: np.repeat(np.repeat(data, 2, 0), 2, 1), "1000 x 520 pixels"),
    "all alike": (lambda data: np.full_like(data, 700), "all its pixels are 700"),
    "all zero": (np.zeros_like, "all its pixels are 0"),
    "infinite": (lambda data: np.full(data.shape, 1e300), "no number"),
    "no overscan": (
        lambda data: np.where(np.arange(data.shape[1]) > 25, data, np.nan).astype(np.float32),
        "overscan cannot be measured",
    ),
    "five axes": (lambda data: data[None, None, None], "NAXIS is 5"),
}


@pytest.mark.parametrize("fault", BAD)
def test_frames_that_cannot_be_reduced(fault, small, masters, tmp_path):
    spoil, words = BAD[fault]
    sim = science(tmp_path / "s.fits", small)
    rewrite(tmp_path / "s.fits", sim, spoil(sim.data))
    with pytest.raises(BadFrameError, match=words) as error:
        run(tmp_path / "s.fits", tmp_path / "out", masters)
    assert "s.fits" in error.value.message
    assert not (tmp_path / "out").exists()


BAD_CARDS = {
    "negative gain": ({"GAIN": -1.48}, "GAIN is -1.48"),
    "no gain": ({"GAIN": None}, "GAIN is missing"),
    "gain in words": ({"GAIN": "low"}, "GAIN is low"),
    "gain of no CCD": ({"GAIN": 1e300}, r"GAIN is 1e\+300"),
    "no read noise": ({"RDNOISE": 0.0}, r"RDNOISE is 0\.0"),
    "read noise of no CCD": ({"RDNOISE": 900.0}, r"RDNOISE is 900"),
}


@pytest.mark.parametrize("fault", BAD_CARDS)
def test_cards_without_which_no_noise_is_known(fault, small, masters, tmp_path):
    cards, words = BAD_CARDS[fault]
    sim = science(tmp_path / "s.fits", small)
    for card, value in cards.items():
        if value is None:
            del sim.header[card]
        else:
            sim.header[card] = value
    rewrite(tmp_path / "s.fits", sim, sim.data)
    with pytest.raises(BadHeaderError, match=words) as error:
        run(tmp_path / "s.fits", tmp_path / "out", masters)
    assert error.value.field in cards
    assert not (tmp_path / "out").exists()


def test_an_axis_of_billions_is_not_believed(small, masters, tmp_path):
    path = tmp_path / "s.fits"
    science(path, small)
    content = bytearray(path.read_bytes())
    start = content.index(b"NAXIS1  =")
    content[start : start + 80] = b"NAXIS1  =           2000000000".ljust(80)
    path.write_bytes(content)
    with pytest.raises(BadFrameError, match="2000000000"):
        run(path, tmp_path / "out", masters)


@pytest.mark.parametrize("content", [b"", b"no fits at all" * 500, b"<!DOCTYPE html>" * 500])
def test_files_that_are_no_frames(content, masters, tmp_path):
    (tmp_path / "x.fits").write_bytes(content)
    with pytest.raises(BadFrameError, match=r"x\.fits"):
        run(tmp_path / "x.fits", tmp_path / "out", masters)


def test_a_bias_or_focus_frame_is_not_reduced(small, masters, tmp_path, calib):
    with pytest.raises(BadFrameError, match="goes into a master"):
        run(calib / "bias0.fits", tmp_path, masters)
    sim = science(tmp_path / "s.fits", small)
    sim.header["OBSTYPE"] = "FOCUS"
    sim.write(tmp_path / "focus.fits")
    with pytest.raises(BadFrameError, match="focus"):
        run(tmp_path / "focus.fits", tmp_path, masters)


OTHER_SETUP = {
    "GRATING": {"GRATING": "400_SYZY", "WAVMODE": "400_M1", "CAM_TARG": 11.6, "GRT_TARG": 5.8},
    "SLIT": {"SLIT": "3.0_LONG_SLIT"},
    "FILTER2": {"FILTER2": "GG385"},
    "CAM_TARG": {"CAM_TARG": 30.0, "GRT_TARG": 15.0, "WAVMODE": "930_M3"},
    "RDNOISE": {"RDNOISE": 5.27},
}


@pytest.mark.parametrize("card", OTHER_SETUP)
def test_a_flat_of_another_setup_is_refused_by_its_card(card, small, masters, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    sim.header.update(OTHER_SETUP[card])
    (tmp_path / "s.fits").unlink()
    sim.write(tmp_path / "s.fits")
    bias = None if card == "RDNOISE" else masters[0]
    with pytest.raises(MissingCalibrationError, match=card) as error:
        run(tmp_path / "s.fits", tmp_path / "out", (bias, masters[1]))
    assert error.value.field == card
    assert masters[1].name in error.value.message
    assert "s.fits" in error.value.message
    assert not (tmp_path / "out").exists()


def test_masters_are_taken_for_what_they_are(small, masters, tmp_path):
    science(tmp_path / "s.fits", small)
    with pytest.raises(MissingCalibrationError, match=r"OBSTYPE flat, s\.fits needs bias"):
        run(tmp_path / "s.fits", tmp_path / "out", (masters[1], None))
    with pytest.raises(MissingCalibrationError, match=r"OBSTYPE bias, s\.fits needs flat"):
        run(tmp_path / "s.fits", tmp_path / "out", (None, masters[0]))
    blue = setup("Blue", "600_BLUE", region=Region("user-defined", 0, 1250, 500, 260))
    other = make_masters(blue, tmp_path, number=3)
    with pytest.raises(MissingCalibrationError, match="INSTCONF Blue"):
        run(tmp_path / "s.fits", tmp_path / "out", (other[0], masters[1]))


def test_masters_that_do_not_fit_are_a_clear_state(small, masters, tmp_path):
    other = small.with_(readout=setup("Red", "930_M4", speed=(344, 0)).readout)
    frames.spectrum(other, [], seed=1).write(tmp_path / "gain.fits")
    with pytest.raises(MissingCalibrationError, match=r"GAIN 1\.48"):
        run(tmp_path / "gain.fits", tmp_path / "out", masters)
    moved = small.with_(region=Region("user-defined", 0, 1300, 500, 260))
    frames.spectrum(moved, [], seed=1).write(tmp_path / "moved.fits")
    with pytest.raises(MissingCalibrationError, match="does not cover"):
        run(tmp_path / "moved.fits", tmp_path / "out", masters)


def test_a_smaller_window_is_cut_out_of_the_masters(small, masters, tmp_path):
    inner = small.with_(region=Region("user-defined", 0, 1450, 500, 100))
    sim = frames.spectrum(inner, [Source(1550, 17.5)], seed=1)
    sim.write(tmp_path / "s.fits")
    frame = read_frame(run(tmp_path / "s.fits", tmp_path / "out", masters).products[0].path)
    assert frame.window.y0 >= 1450


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


def test_a_full_disk_leaves_nothing_behind(small, masters, tmp_path, monkeypatch):
    science(tmp_path / "s.fits", small)
    out = tmp_path / "out"
    out.mkdir()
    real = product_fits._write

    def fail_on_the_frame(path, hdus):
        if not path.name.startswith("crmask"):
            raise DiskFullError("No space")
        real(path, hdus)

    monkeypatch.setattr(product_fits, "_write", fail_on_the_frame)
    with pytest.raises(DiskFullError):
        run(tmp_path / "s.fits", out, masters)
    assert list(out.iterdir()) == []


def test_raw_files_are_never_touched_and_versions_have_names(small, masters, tmp_path):
    science(tmp_path / "s.fits", small)
    before = sha256_of(tmp_path / "s.fits")
    result = run(tmp_path / "s.fits", tmp_path / "out", masters, suffix="v2")
    assert sha256_of(tmp_path / "s.fits") == before
    assert [p.path.name for p in result.products] == ["cfzst_s_v2.fits", "crmask_cfzst_s_v2.fits"]


def test_overlay_stands_in_for_the_header(small, masters, tmp_path):
    sim = science(tmp_path / "s.fits", small)
    sim.header["OBSTYPE"] = "FOCUS"
    (tmp_path / "s.fits").unlink()
    sim.write(tmp_path / "s.fits")
    result = run(tmp_path / "s.fits", tmp_path / "out", masters, overlay={"OBSTYPE": "SPECTRUM"})
    assert result.products[0].path.name == "cfzst_s.fits"
