"""Reduced frames against the truth: pulls, cosmic rays, names, record."""

from __future__ import annotations

import bottleneck as bn
import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import label

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.detector import detector
from goodman_live.pipeline.simulate.frames import slit_illumination
from goodman_live.pipeline.simulate.instrument import Region, setup
from tests.pipeline.blocks.reducing import (
    SETTINGS,
    light_of,
    make_masters,
    run,
    science,
    window_of,
)


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
