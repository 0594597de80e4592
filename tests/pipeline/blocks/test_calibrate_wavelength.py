"""The wavelength block on arcs of one and several lamps, good and bad."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.pipeline.blocks.calibrate_wavelength import calibrate_wavelength
from goodman_live.pipeline.blocks.solved_arc import _solved, solved_arc
from goodman_live.pipeline.core.along import extract_along
from goodman_live.pipeline.core.errors import MissingCalibrationError, UntrustedSolutionError
from goodman_live.pipeline.products.fits import read_spectrum, write_frame, write_spectrum
from goodman_live.pipeline.raw_arc import read_arc
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate.frames import arc
from goodman_live.pipeline.simulate.instrument import MODES, Region, setup
from goodman_live.pipeline.simulate.law import random_law

SETTINGS = ReductionSettings()


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Give a folder with two reduced arcs, a blank frame and a spectrum, and the true law."""
    folder = tmp_path_factory.mktemp("wavelength")
    law = random_law(MODES["400_M1"], np.random.default_rng(8))
    config = setup("Red", "400_M1", region=Region("user-defined", 0, 1900, 2071, 200))
    paths = {}
    for name, lamps, peak in (("hg", ("HGA",), 4e4), ("ne", ("NE",), 4e4), ("dark", ("NE",), 1.0)):
        raw = folder / f"{name}.fits"
        arc(config, lamps, seed=len(name), law=law, peak_adu=peak).write(raw)
        frame, _ = read_arc(raw)
        paths[name] = folder / f"czt_{name}.fits"
        write_frame(paths[name], frame, data_type=2)
        columns = frame.window.columns_unbinned()
    trace = 2100 + 4e-3 * (columns - 2000)
    spectrum = extract_along(frame, columns, trace, -6, 6)
    paths["star"] = folder / "eczt_star.fits"
    write_spectrum(paths["star"], spectrum, data_type=3)
    return paths, law


def calibrate(night, names, out_dir, **options):
    paths, _ = night
    return calibrate_wavelength(
        paths["star"],
        arcs=[paths[name] for name in names],
        out_dir=out_dir,
        settings=options.pop("settings", SETTINGS),
        **options,
    )


@pytest.mark.parametrize("names", [("hg",), ("ne",), ("hg", "ne"), ("hg", "dark")])
def test_the_axis_is_true_along_the_trace(night, tmp_path, names):
    result = calibrate(night, names, tmp_path)
    found = read_spectrum(result.products[0].path)
    error = found.wavelength - night[1].wavelength(found.column, found.trace)
    inside = (found.flags & 64) == 0
    assert inside.any()
    assert np.sqrt(np.mean(error[inside] ** 2)) < 0.1
    assert np.all(found.wavelength_uncertainty > 0)


def test_names_and_keywords_are_those_that_tools_know(night, tmp_path):
    result = calibrate(night, ("hg", "ne"), tmp_path, suffix="v2")
    names = [product.path.name for product in result.products]
    assert names[0].startswith("weczt_star_ws_1")
    header = fits.getheader(result.products[0].path)
    for key in ("GSP_WRMS", "GSP_WPOI", "GSP_WREJ", "GSP_LAMP", "GSP_NPIX"):
        assert header[key] not in {"none", None}
    assert header["GSP_WPOI"] == result.products[0].quality["n_used"]
    assert header["GSP_FUNC"] == "Chebyshev1D"
    terms = [header[f"GSP_C{k:03d}"] for k in range(header["GSP_ORDR"] + 1)]
    series = np.polynomial.chebyshev.chebval(np.arange(header["GSP_NPIX"], dtype=float), terms)
    found = read_spectrum(result.products[0].path)
    assert np.abs(series - found.wavelength).max() < 0.05


def test_the_linear_product_is_linear_and_keeps_the_flux(night, tmp_path):
    result = calibrate(night, ("ne",), tmp_path)
    native, linear = (read_spectrum(product.path) for product in result.products)
    assert result.products[1].role == "linear"
    assert np.ptp(np.diff(linear.wavelength)) < 1e-6
    assert linear.flux.sum() == pytest.approx(native.flux.sum(), rel=1e-2)
    header = fits.getheader(result.products[1].path)
    assert header["CTYPE1"] == "LINEAR"
    assert header["CDELT1"] == pytest.approx(linear.wavelength[1] - linear.wavelength[0])


def test_settings_leave_the_linear_product_out(night, tmp_path):
    result = calibrate(night, ("ne",), tmp_path, settings=replace_setting(linear_output=False))
    assert len(result.products) == 1


def replace_setting(**changes):
    return SETTINGS.model_copy(update=changes)


def test_diagnostics_are_plain_data(night, tmp_path):
    result = calibrate(night, ("ne",), tmp_path, diagnostics=True)
    told = json.loads(result.products[-1].path.read_text())
    assert any(line["used"] for line in told["lines"])
    assert len(told["arc"]["flux"]) == len(told["arc"]["wavelength_aa"])


def test_quality_is_stated(night, tmp_path):
    quality = calibrate(night, ("hg", "ne"), tmp_path).products[0].quality
    assert quality["trusted"]
    assert quality["n_used"] > 20
    assert quality["rms_px"] < 0.1
    assert quality["medium"] == "air"
    assert quality["uncertainty_kms"] > 0


def test_no_arc_is_a_state_to_wait_in(night, tmp_path):
    with pytest.raises(MissingCalibrationError, match="no arc"):
        calibrate(night, (), tmp_path)


def test_a_dark_arc_gives_nothing_and_leaves_nothing(night, tmp_path):
    with pytest.raises(UntrustedSolutionError, match="czt_dark"):
        calibrate(night, ("dark",), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_lamp_says_that_its_offset_is_unknown(night, tmp_path):
    result = calibrate(night, ("ne",), tmp_path)
    assert any("cannot be known" in message for message in result.messages)
    assert not result.products[0].quality["lamp_offset_known"]
    assert (
        calibrate(night, ("hg", "ne"), tmp_path, suffix="b")
        .products[0]
        .quality["lamp_offset_known"]
    )


def test_an_arc_is_solved_once_for_all_targets(night, tmp_path):
    _solved.cache_clear()
    calibrate(night, ("hg", "ne"), tmp_path, suffix="a")
    calibrate(night, ("hg", "ne"), tmp_path, suffix="b")
    assert _solved.cache_info().misses == 2
    assert _solved.cache_info().hits == 2


def test_another_content_under_the_same_name_is_solved_anew(night, tmp_path):
    path = tmp_path / "czt_arc.fits"
    path.write_bytes(night[0]["ne"].read_bytes())
    first, _ = solved_arc(path)
    path.write_bytes(night[0]["hg"].read_bytes())
    second, _ = solved_arc(path)
    assert (first.axis.lamps, second.axis.lamps) == (("NE",), ("HGA",))


@pytest.mark.parametrize("apply", [False, True])
def test_flexure_is_measured_and_applied_if_asked(night, tmp_path, apply):
    paths, law = night
    spectrum = read_spectrum(paths["star"])
    moved = law.shifted(1.4)
    truth = moved.wavelength(spectrum.column, spectrum.trace)
    step = np.gradient(truth)
    sky = np.full(len(truth), 50.0)
    for line in (5577.338, 6300.304, 6363.776):
        sky += 4000 * np.exp(-0.5 * ((truth - line) / (1.4 * step)) ** 2)
    sky += np.random.default_rng(3).normal(0, 10, len(sky))
    path = tmp_path / "eczt_sky.fits"
    write_spectrum(path, replace(spectrum, sky=sky), data_type=3)
    result = calibrate_wavelength(
        path,
        arcs=[paths["hg"], paths["ne"]],
        out_dir=tmp_path,
        settings=replace_setting(apply_flexure=apply),
    )
    quality = result.products[0].quality
    assert quality["flexure_px"] == pytest.approx(0.7, abs=0.06)
    assert quality["flexure_applied"] is apply
    found = read_spectrum(result.products[0].path)
    error = ((found.wavelength - truth) / step)[(found.flags & 64) == 0]
    assert np.median(error) == pytest.approx(0.0 if apply else 0.7, abs=0.08)
