from __future__ import annotations

import gc
import shutil
import tracemalloc
import warnings

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.pipeline.blocks import masters as masters_block
from goodman_live.pipeline.blocks import members
from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.blocks.recording import discreet, put_inputs
from goodman_live.pipeline.core import combine
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    DiskFullError,
    MissingCalibrationError,
)
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.products import fits as product_fits
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_frame, read_info
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.detector import detector
from goodman_live.pipeline.simulate.frames import slit_illumination
from goodman_live.pipeline.simulate.instrument import Region, setup

SETTINGS = ReductionSettings()


@pytest.fixture
def copy(tmp_path, calib):
    folder = tmp_path / "raw"
    shutil.copytree(calib, folder)
    return folder


def change(path, edit):
    """Rewrite a raw frame after `edit(data as float, header)` has had it."""
    with fits.open(path) as hdus:
        data, header = hdus[0].data.astype(float), hdus[0].header
    result = edit(data, header)
    data = data if result is None else result
    header.remove("BZERO", ignore_missing=True)
    header.remove("BSCALE", ignore_missing=True)
    if np.isfinite(data).all():
        data = np.clip(data, 0, 65535).astype(np.uint16)
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)


def bias_of(folder, out, **changes):
    return build_master_bias(
        sorted(folder.glob("bias*")), out_dir=out, settings=SETTINGS, **changes
    )


def flat_of(folder, out, bias, settings=SETTINGS):
    return build_master_flat(
        sorted(folder.glob("flat*")), bias=bias, out_dir=out, settings=settings
    )


def test_bias_is_the_structure_with_its_noise(masters, small):
    master = read_frame(masters[0])
    truth = detector(small).pattern[:, 25:]
    off = (master.data[:, 25:] - truth)[master.flags[:, 25:] == 0]
    # the rows' part of the pattern is in the overscan too and goes with it
    rows = np.median(master.data[:, 25:] - truth, axis=1)
    residual = (master.data - detector(small).pattern)[:, 25:] - rows[:, None]
    assert off.size > 0
    pulls = residual / master.uncertainty[:, 25:]
    # a pattern that pixels share is known a little better than is stated, never worse
    assert 0.6 < pulls.std() < 1.04
    assert residual.std() < 0.3 * 0.84, "most of the frames' noise is told from the pattern"
    photon = 1.25 * 0.84 / np.sqrt(residual.shape[0])
    columns = np.median(residual, axis=0)
    assert np.sqrt(max(columns.var() - photon**2, 0)) < 0.1
    for column in detector(small).hot_columns:
        assert np.median(master.data[:, column]) == pytest.approx(
            float(np.median(detector(small).pattern[:, column])), abs=1.5
        )


def test_bias_record(masters, calib):
    header = read_frame(masters[0]).header
    assert header["GSP_OVER"] == "[3:24,1:260]"
    assert header["GSP_PNAM"] == "combined"
    assert [header[f"GSP_IC{n:02d}"] for n in range(1, 11)] == [f"bias{n}.fits" for n in range(10)]
    assert header["GSP_NIC"] == 10
    assert header["GSP_BLEV"] == pytest.approx(705, abs=15)
    assert header["GSP_RNOI"] == pytest.approx(3.89, rel=0.03)
    assert header["GSP_SCOS"] == "default"


PLANTED = {
    "PROPID": "SOAR2026B-777", "PROPOSAL": "SOAR2026B-777", "OBSERVER": "Vera Secret",
    "NOTES": "Secret quasar", "OBSID": 77712345, "REQNUM": 77754321, "BLKUID": 77798765,
    "OBSRA": "07:17:57.100", "OBSDEC": "-17:27:47.20", "RA": "07:17:57.101",
    "DEC": "-17:27:47.21", "HA": "-01:17:17", "LST": "07:17:19", "AIRMASS": 1.777,
    "MOUNT_AZ": 177.7, "MOUNT_EL": 37.77, "POSANGLE": 77.7, "L1PUBDAT": "2027-07-07T07:07:07",
}  # fmt: skip


def test_a_master_tells_nobody_whose_frames_it_is_made_of_nor_where_they_looked(copy, tmp_path):
    """Everybody sees masters; flats are taken where a proposal's target is."""

    def plant(_, header):
        header.update(PLANTED)
        header["OBJECT"] = "Secret quasar"
        header["COMMENT"] = "flats of our Secret quasar"
        header["HISTORY"] = "Vera Secret was here"

    for path in sorted(copy.iterdir()):
        change(path, plant)
        path.rename(path.with_name(f"{path.stem}_Secret.fits"))
    # What the header doctor mends, and what is left out, is told in the header.
    first, second, *_ = sorted(copy.glob("flat*"))
    change(first, lambda _, header: header.update(OBSRA="07:17:60.000", PROPID=""))
    truncate(second)
    with discreet():
        bias = bias_of(copy, tmp_path).products[0].path
        flats = [one.path for one in flat_of(copy, tmp_path, bias).products]
    assert len(flats) == 2
    for path, name in ((bias, "BIAS"), *((flat, "FLAT") for flat in flats)):
        with fits.open(path) as hdus:
            header = hdus[0].header
            cards = "\n".join(hdu.header.tostring("\n") for hdu in hdus)
        assert (header["OBJECT"], header["PROPID"]) == (name, "calibrate")
        assert set(header) & set(PLANTED) == {"PROPID"}
        for secret in ("Secret", "SOAR2026B-777", "07:17:", "-17:27:", "2027-07-07"):
            assert secret not in cards, path.name
        assert header["GSP_NIC"] + header["GSP_NREJ"] == 10
        assert ("A frame" in cards) == (path != bias)
        assert read_info(path).kind.value.upper() == name, "it is still known for what it is"


def test_more_than_99_inputs_are_listed():
    header = fits.Header()
    put_inputs(header, [(f"b{i}.fits", f"{i:064x}") for i in range(120)])
    assert header["GSP_IC99"] == "b98.fits"
    assert header["GSP_I100"] == "b99.fits"
    assert header["GSP_I120"] == "b119.fits"
    assert all(len(key) <= 8 for key in header)


def test_result_names_products_parents_and_checksums(masters, copy, tmp_path):
    result = bias_of(copy, tmp_path)
    product = result.products[0]
    assert product.data_type == 1
    assert product.sha256 == sha256_of(product.path)
    assert len(product.parents) == 10
    assert product.quality["read_noise_e"] == pytest.approx(3.89, rel=0.03)
    assert result.messages == ()
    assert result.rejected == {}
    assert product.path.name.startswith("master_bias_RED_SP_2x2_R03.89_G01.48")


def truncate(path):
    path.write_bytes(path.read_bytes()[:30000])


def other_binning(path):
    other = setup("Red", "930_M4", binning=(1, 1), region=Region("user-defined", 0, 1250, 100, 90))
    path.unlink()
    frames.bias(other, seed=1).write(path)


def light_leak(data, header):
    data[100:] += np.linspace(0, 40, data.shape[1])


def wrong_kind(data, header):
    header["OBSTYPE"] = "SPECTRUM"
    header["EXPTIME"] = 900.0


BAD_BIAS = {
    "truncated": (truncate, "truncated"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "no FITS": (lambda path: path.write_bytes(b"hello " * 5000), "FITS"),
    "another binning": (other_binning, "binning is 1x1, that of the others 2x2"),
    "no number at all": (
        lambda path: change(path, lambda data, header: np.full_like(data, np.nan)), "no number"
    ),
    "not read out": (
        lambda path: change(path, lambda data, header: np.full_like(data, 700)),
        "all its pixels are 700",
    ),
    "no overscan": (
        lambda path: change(path, lambda data, header: np.where(
            np.arange(data.shape[1]) > 25, data, np.nan)), "no overscan value"
    ),
    "HTML": (lambda path: path.write_bytes(b"<!DOCTYPE html>" * 500), "FITS"),
    "no gain": (lambda path: change(path, lambda data, header: header.remove("GAIN")), "GAIN"),
    "wrong size": (lambda path: change(path, lambda data, header: data[:-7]), "pixels"),
    "another level": (lambda path: change(path, lambda data, header: data + 300), "level"),
    "light leak": (lambda path: change(path, light_leak), "structure"),
    "a spectrum": (lambda path: change(path, wrong_kind), "kind spectrum"),
    "another gain": (
        lambda path: change(path, lambda data, header: header.update(GAIN=3.87, RDNOISE=7.05)),
        "gain is 3.87",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_BIAS)
def test_a_bad_bias_is_named_and_the_rest_goes_on(fault, copy, tmp_path):
    spoil, words = BAD_BIAS[fault]
    spoil(copy / "bias4.fits")
    result = bias_of(copy, tmp_path)
    assert list(result.rejected) == ["bias4.fits"]
    assert words in result.rejected["bias4.fits"]
    assert "bias4.fits" in result.rejected["bias4.fits"]
    assert result.products[0].quality["frames"] == 9
    assert any("9 frames" in message for message in result.messages)
    clean = read_frame(result.products[0].path)
    assert abs(np.median(clean.data[:, 30:])) < 5


def test_a_frame_with_some_missing_pixels_serves(copy, tmp_path):
    def holes(data, header):
        data[50:60, 100:120] = np.nan

    change(copy / "bias4.fits", holes)
    result = bias_of(copy, tmp_path)
    assert result.rejected == {}
    assert np.isfinite(read_frame(result.products[0].path).data).all()


def test_too_few_frames_say_why(copy, tmp_path):
    for i in range(9):
        truncate(copy / f"bias{i}.fits")
    out = tmp_path / "out"
    with pytest.raises(MissingCalibrationError, match=r"1 of 10 .* bias0.fits is truncated") as e:
        bias_of(copy, out)
    assert e.value.status == 409
    assert not out.exists() or not list(out.iterdir())


def test_a_full_disk_leaves_nothing(copy, tmp_path, monkeypatch, masters):
    out = tmp_path / "out"
    out.mkdir()
    written = []

    def fail_second(path, hdus, real=product_fits._write):
        written.append(path)
        if len(written) == 2:
            raise DiskFullError("No space")
        real(path, hdus)

    monkeypatch.setattr(product_fits, "_write", fail_second)
    with pytest.raises(DiskFullError):
        flat_of(copy, out, masters[0])
    assert list(out.iterdir()) == []


def test_overlay_mends_one_frame_or_all(copy, tmp_path):
    change(copy / "bias4.fits", lambda data, header: header.update(GAIN=9.9))
    result = bias_of(copy, tmp_path, overlay={"bias4.fits": {"GAIN": 1.48}})
    assert result.rejected == {}


@pytest.mark.parametrize("method", ["mean", "simple", "full"])
def test_flat_normalisations(method, calib, masters, tmp_path, small):
    settings = SETTINGS.model_copy(update={"flat_normalisation": method})
    result = flat_of(calib, tmp_path, masters[0], settings)
    flat = read_frame(result.products[0].path)
    assert flat.header["GSP_NORM"] == method
    good = flat.flags == 0
    assert np.median(flat.data[good]) == pytest.approx(1, abs=0.25 if method == "mean" else 0.03)
    assert np.isfinite(flat.data).all()
    assert (flat.data[~good & ((flat.flags & Flag.BAD) == 0)] == 1).all()
    if method == "full":
        rows, columns = flat.window.slices_in(window_of(small))
        truth = detector(small).response[rows, columns]
        pulls = ((flat.data - truth) / flat.uncertainty)[good]
        # a series of 15 takes a little of 475 columns of true response with the lamp
        assert pulls.std() == pytest.approx(1, abs=0.25)


def window_of(chosen):
    from goodman_live.pipeline.core.frame import Window  # noqa: PLC0415

    region = chosen.region
    return Window(region.x0, region.y0, region.nx, region.ny, chosen.xbin, chosen.ybin)


def test_different_settings_never_share_a_name(calib, masters, tmp_path):
    names = set()
    for update in ({}, {"flat_normalisation": "full"}, {"flat_order": 9}, {"ignore_bias": True}):
        settings = SETTINGS.model_copy(update=update)
        result = flat_of(calib, tmp_path, masters[0], settings)
        names |= {product.path.name for product in result.products}
    assert len(names) == 8
    assert all(name.startswith(("master_flat_930_M4_", "norm_master_flat_")) for name in names)


def test_flat_knows_slit_dead_columns_and_unlit_rows(masters, small):
    flat = read_frame(masters[1])
    columns = flat.window.slices_in(window_of(small))[1]
    for column in detector(small).dead_columns:
        lit = (flat.flags[:, column - columns.start] & Flag.UNEXPOSED) == 0
        assert (flat.flags[lit, column - columns.start] & Flag.BAD).mean() > 0.95
    assert ((flat.flags & Flag.BAD) != 0).mean() < 3 / 400 + 0.003
    assert flat.header["GSP_SL00"] == pytest.approx(1312, abs=3)
    assert "GSP_SU00" not in flat.header
    assert (flat.flags[:25] & Flag.UNEXPOSED).all()
    assert not (flat.flags[45:] & Flag.UNEXPOSED).any()


def lamp_off(path, small):
    path.unlink()
    frames.flat(small, seed=1, peak_adu=1.0).write(path)


BAD_FLAT = {
    "lamp off": (lamp_off, "the lamp is off"),
    "saturated": (
        lambda path, small: change(path, lambda d, h: np.full_like(d, 65535)), "saturated"
    ),
    "faint": (
        lambda path, small: change(path, lambda d, h: 705 + (d - 705) * 0.1), "faint"
    ),
    "half in shadow": (
        lambda path, small: change(path, lambda d, h: np.where(
            np.arange(d.shape[1]) < 200, d, 705 + (d - 705) * 0.7)), "structure"
    ),
    "truncated": (lambda path, small: truncate(path), "truncated"),
    "a bias": (
        lambda path, small: shutil.copy(path.with_name("bias0.fits"), path), "kind bias"
    ),
    "another slit": (
        lambda path, small: change(path, lambda d, h: h.update(SLIT="3.0_LONG_SLIT")),
        "slit is 3.0_LONG_SLIT",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_FLAT)
def test_a_bad_flat_is_named_and_the_rest_goes_on(fault, copy, tmp_path, masters, small):
    spoil, words = BAD_FLAT[fault]
    spoil(copy / "flat7.fits", small)
    result = flat_of(copy, tmp_path / "out", masters[0])
    assert list(result.rejected) == ["flat7.fits"]
    assert words in result.rejected["flat7.fits"]
    assert result.products[0].quality["frames"] == 9
    spoilt = read_frame(result.products[0].path)
    whole = read_frame(masters[1])
    good = (spoilt.flags == 0) & (whole.flags == 0)
    assert np.abs(spoilt.data - whole.data)[good].mean() < 0.005


@pytest.mark.parametrize("ending", [".fits", ".fits.fz"])
def test_many_frames_stay_in_their_files(ending, copy, tmp_path, masters, monkeypatch):
    """Read band by band, a set gives the same masters, bit for bit, in bounded memory."""

    def holes(data, header):
        data[150:160, 200:210] = np.nan

    change(copy / "flat4.fits", holes)
    if ending == ".fits.fz":
        for path in list(copy.iterdir()):
            with fits.open(path) as hdus:
                whole = np.isfinite(hdus[0].data).all()
                method = {} if whole else {"compression_type": "GZIP_1", "quantize_level": 0}
                packed = fits.CompImageHDU(hdus[0].data, hdus[0].header, **method)
                fits.HDUList([fits.PrimaryHDU(), packed]).writeto(f"{path}.fz")
            path.unlink()
    held = [bias_of(copy, tmp_path / "a"), flat_of(copy, tmp_path / "a", masters[0])]
    monkeypatch.setattr(members, "HELD_BYTES", 0)
    monkeypatch.setattr(combine, "BAND_VALUES", 40_000)
    lazy = [bias_of(copy, tmp_path / "b"), flat_of(copy, tmp_path / "b", masters[0])]
    for one, two in zip(held, lazy, strict=True):
        assert one.rejected == two.rejected
        first, second = (read_frame(result.products[0].path) for result in (one, two))
        np.testing.assert_array_equal(first.data, second.data)
        np.testing.assert_array_equal(first.uncertainty, second.uncertainty)
        np.testing.assert_array_equal(first.flags, second.flags)


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path, small, monkeypatch):
    monkeypatch.setattr(members, "HELD_BYTES", 2**20)
    monkeypatch.setattr(combine, "BAND_VALUES", 2**18)
    raws = []
    for i in range(48):
        raws.append(tmp_path / f"bias{i}.fits")
        frames.bias(small, seed=i).write(raws[-1])
    peaks = []
    for number in (12, 48):
        gc.collect()
        tracemalloc.start()
        build_master_bias(raws[:number], out_dir=tmp_path / "out", settings=SETTINGS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 36 more frames are 9.4 MB in 16 bits; headers and row levels of each are kept
    assert peaks[1] - peaks[0] < 4e6


def test_a_raw_file_that_goes_while_a_master_is_built(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(members, "HELD_BYTES", 0)

    def levels_and_gone(values, real=masters_block.judge_levels):
        (copy / "bias4.fits").unlink()
        return real(values)

    monkeypatch.setattr(masters_block, "judge_levels", levels_and_gone)
    with pytest.raises(BadFrameError, match=r"bias4\.fits cannot be read a second time"):
        bias_of(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("method", ["simple", "full"])
@pytest.mark.parametrize("mode", ["400_M1", "600_BLUE", "930_M4"])
def test_flat_is_the_response_alone(mode, method, tmp_path):
    """Scattered light, the lamp's ring and its fall to the blue are no response."""
    chosen = setup("Red", mode, region=Region("Spectroscopic 2x2", 0, 1200, 2071, 240))
    raws = []
    for i in range(4):
        raws.append(tmp_path / f"flat{i}.fits")
        frames.flat(chosen, seed=i, scattered=0.01).write(raws[-1])
    settings = SETTINGS.model_copy(update={"flat_normalisation": method})
    result = build_master_flat(raws, bias=None, out_dir=tmp_path / "out", settings=settings)
    flat = read_frame(result.products[0].path)
    # a hundredth of the lamp, of which the bias pattern, not taken off here, is a few ADU
    assert result.products[0].quality["scattered_adu"] == pytest.approx(250, abs=8)
    assert flat.header["GSP_SCAT"] == pytest.approx(250, abs=8)
    rows, columns = flat.window.slices_in(window_of(chosen))
    slit = slit_illumination(chosen)
    slit = ((slit[::2] + slit[1::2]) / 2)[rows, columns]
    truth = detector(chosen).response[rows, columns]
    if method == "simple":
        truth = truth * slit  # which stays in such a flat
    counts = read_frame(result.products[1].path).data
    # by column: chosen pixel by pixel, the brighter of a column would be taken
    lit = np.median(counts[100:], axis=0) > 0.03 * np.percentile(counts, 95)
    good = (flat.flags == 0) & lit
    ratio = np.where(good, flat.data / np.where(good, truth, 1), np.nan)
    ratio /= np.nanmedian(ratio)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without a good pixel
        ripple = np.nanmedian(ratio, axis=0) - 1
    ripple = ripple[np.isfinite(ripple)]
    assert np.sqrt(np.mean(ripple**2)) < 0.003  # the series alone leaves 0.01 to 0.04
    assert np.abs(ripple).max() < 0.03


def test_all_lamps_off_is_a_clear_state(copy, tmp_path, masters, small):
    for path in copy.glob("flat*"):
        lamp_off(path, small)
    with pytest.raises(MissingCalibrationError, match="the lamp is off"):
        flat_of(copy, tmp_path, masters[0])


def test_saturated_pixels_are_masked_and_the_threshold_is_the_setting(copy, tmp_path, masters):
    def spot(data, header):
        data[100:120, 300:310] = 65535  # 0.15 per cent of the frame

    change(copy / "flat2.fits", spot)
    result = flat_of(copy, tmp_path / "a", masters[0])
    assert result.rejected == {}
    assert result.products[0].quality["saturated_percent"] == pytest.approx(0.154, abs=0.01)
    flat, whole = read_frame(result.products[0].path), read_frame(masters[1])
    assert np.abs(flat.data - whole.data)[100:119, 276:284].max() < 0.1
    strict = SETTINGS.model_copy(update={"saturation_threshold": 0.1})
    result = flat_of(copy, tmp_path / "b", masters[0], strict)
    assert "0.15 per cent" in result.rejected["flat2.fits"]


def test_flats_in_a_window_without_overscan_need_a_bias(tmp_path):
    imaging = setup("Red", None, region=Region("user-defined", 900, 900, 150, 150))
    raws = []
    for i in range(3):
        raws.append(tmp_path / f"flat{i}.fits")
        frames.flat(imaging, seed=i).write(raws[-1])
    with pytest.raises(MissingCalibrationError, match="no overscan"):
        build_master_flat(raws, bias=None, out_dir=tmp_path / "out", settings=SETTINGS)
    biases = []
    for i in range(4):
        biases.append(tmp_path / f"bias{i}.fits")
        frames.bias(imaging, seed=i).write(biases[-1])
    bias = build_master_bias(biases, out_dir=tmp_path / "out", settings=SETTINGS).products[0].path
    assert read_frame(bias).header["GSP_OVER"] == "none"
    result = build_master_flat(raws, bias=bias, out_dir=tmp_path / "out", settings=SETTINGS)
    flat = read_frame(result.products[0].path)
    assert flat.header["GSP_NORM"] == "mean"
    assert np.median(flat.data) == pytest.approx(1, abs=0.02)


def test_a_bias_of_another_binning_does_not_fit(calib, tmp_path):
    other = setup(
        "Red", "930_M4", binning=(1, 1), region=Region("user-defined", 0, 1250, 500, 260)
    )
    raws = []
    for i in range(2):
        raws.append(tmp_path / f"b{i}.fits")
        frames.bias(other, seed=i).write(raws[-1])
    bias = build_master_bias(raws, out_dir=tmp_path, settings=SETTINGS).products[0].path
    with pytest.raises(MissingCalibrationError, match=r"CCDSUM 1 1, flat0\.fits has 2 2"):
        flat_of(calib, tmp_path, bias)
