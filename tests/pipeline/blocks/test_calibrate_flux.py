"""The flux blocks from raw frames to erg/s/cm2/A, against truth they do not know."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from specutils import Spectrum as Specutils

from goodman_live.pipeline.blocks.calibrate_flux import build_sensitivity, calibrate_flux
from goodman_live.pipeline.blocks.calibrate_wavelength import calibrate_wavelength
from goodman_live.pipeline.blocks.extract import extract
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.core.errors import BadFrameError, MissingCalibrationError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.products.fits import read_spectrum, write_spectrum
from goodman_live.pipeline.products.response import read_response
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.air import air_for
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.scene import Source

PLAIN = ReductionSettings(ignore_bias=True, ignore_flats=True)
ROW = 1650
OFF = 1.1
"""Extinction of the simulated night, which the calibration does not know."""


def visit(folder, seed, log, source, exptime_s, grey):
    """Simulate, reduce, extract and calibrate a target and its arc; return (spectrum, truth)."""
    here = setup("Red", "400_M1", region=Region("user-defined", 0, 1500, 2071, 150))
    log = replace(log, exptime_s=exptime_s)
    mid = log.start + timedelta(seconds=exptime_s / 2)
    air = air_for(log.ra, log.dec, mid, off=OFF, grey=grey)
    shot = frames.spectrum(
        here, [source], seed=seed, exptime_s=exptime_s, air=air, log=log, cosmic_rate=0.3
    )
    raw, arc = folder / f"{log.object_name}.fits", folder / f"{log.object_name}_comp.fits"
    shot.write(raw)
    frames.arc(here, seed=seed + 1, log=replace(log, exptime_s=30.0)).write(arc)
    options = {"out_dir": folder, "settings": PLAIN}
    made = [reduce(path, bias=None, flat=None, **options).products[0].path for path in (raw, arc)]
    extracted = extract(made[0], **options).products[0].path
    solved = calibrate_wavelength(extracted, arcs=[made[1]], **options).products[0].path
    return solved, shot.truth.sources[0]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux")
    evening = datetime(2026, 8, 16, 1, tzinfo=UTC)
    star = Log(start=evening, object_name="LTT-7379", ra="18:36:25.950", dec="-44:18:36.90")
    target = Log(
        start=evening + timedelta(hours=1), object_name="SN2026abc", ra="16:03:38.560",
        dec="-27:18:42.10",
    )  # fmt: skip
    standard = visit(folder, 1, star, Source(ROW, star="LTT 7379", slope=0, curve=0.5), 60.0, 0.9)
    science = visit(folder, 3, target, Source(ROW, 15.5, colour=0.1), 900.0, 0.7)
    return folder, standard, science


@pytest.fixture(scope="module")
def response(night):
    folder, (standard, _), _ = night
    return build_sensitivity([standard], out_dir=folder, settings=PLAIN)


def test_flux_has_the_shape_of_the_truth(night, response):
    folder, _, (science, truth) = night
    done = calibrate_flux(
        science, sensitivity=response.products[0].path, out_dir=folder, settings=PLAIN
    )
    spectrum = read_spectrum(done.products[0].path)
    sensitivity = read_response(response.products[0].path).sensitivity
    wave = spectrum.wavelength
    expected = np.interp(wave, truth.wavelength, truth.flux)
    kept = ~spectrum.mask & sensitivity.covers(wave) & (np.abs(wave - 6910) > 70)
    ratio = spectrum.flux[kept] / expected[kept]
    grey = np.median(ratio)
    assert 0.6 < grey < 1.0  # 0.7 of the light passed, 0.9 for the standard
    binned = (ratio / grey)[: len(ratio) // 40 * 40].reshape(-1, 40)
    assert np.std(np.median(binned, axis=1)) <= 0.02
    assert done.products[0].data_type == 5
    assert spectrum.unit == "erg / (s cm2 Angstrom)"


def test_the_linear_product_holds_the_same_flux(night, response):
    folder, _, (science, _) = night
    done = calibrate_flux(
        science, sensitivity=response.products[0].path, out_dir=folder, settings=PLAIN
    )
    native, linear = (read_spectrum(product.path) for product in done.products)
    assert done.products[1].role == "linear"
    wave = np.linspace(4600, 6800, 40)

    def smooth(one):
        return np.interp(wave, one.wavelength, np.convolve(one.flux, np.ones(25) / 25, "same"))

    np.testing.assert_allclose(smooth(linear), smooth(native), rtol=3e-3)
    seen = Specutils.read(done.products[1].path)
    assert str(seen.flux.unit) in {"erg / (Angstrom s cm2)", "erg / (s cm2 Angstrom)"}


def test_what_was_done_is_recorded(night, response):
    folder, (standard, _), (science, _) = night
    product = response.products[0]
    assert product.data_type == 1
    assert product.quality["standards"] == "LTT 7379"
    assert 15 < product.quality["zero_point_5500_mag"] < 19
    assert product.parents == (standard,)
    done = calibrate_flux(science, sensitivity=product.path, out_dir=folder, settings=PLAIN)
    header = fits.getheader(done.products[0].path)
    assert header["GSP_SENS"] == product.path.name
    assert header["GSP_FAIR"] == pytest.approx(done.products[0].quality["airmass"])
    assert header["GSP_F2ND"] == 6400
    assert done.products[0].parents == (science, product.path)
    assert any("slit" in text for text in done.messages)
    assert any("second order" in text for text in done.messages)


def test_telluric_absorption_is_divided_out_on_request(night, response):
    folder, _, (science, truth) = night
    settings = PLAIN.model_copy(update={"telluric_correction": True})
    done = calibrate_flux(
        science, sensitivity=response.products[0].path, out_dir=folder, settings=settings,
        suffix="telluric",
    )  # fmt: skip
    plain = calibrate_flux(
        science, sensitivity=response.products[0].path, out_dir=folder, settings=PLAIN
    )
    depth = []
    for result in (plain, done):
        spectrum = read_spectrum(result.products[0].path)
        wave = spectrum.wavelength
        ratio = spectrum.flux / np.interp(wave, truth.wavelength, truth.flux)
        b_band, near = (wave > 6868) & (wave < 6890), (wave > 6780) & (wave < 6850)
        depth.append(1 - np.median(ratio[b_band]) / np.median(ratio[near]))
    assert depth[0] > 0.1
    assert abs(depth[1]) < 0.05
    assert any("Telluric" in text for text in done.messages)


def test_a_standard_that_lost_light_is_named_and_the_level_is_the_best(night, response, tmp_path):
    _, (standard, _), _ = night
    one = read_spectrum(standard)
    dim = tmp_path / f"dim_{standard.name}"
    write_spectrum(
        dim, replace(one, flux=0.7 * one.flux, uncertainty=0.7 * one.uncertainty), data_type=4
    )
    both = build_sensitivity([dim, standard], out_dir=tmp_path, settings=PLAIN)
    assert any("lies 0.39 mag below the best" in text for text in both.messages)
    alone, found = (one.products[0].quality["zero_point_5500_mag"] for one in (response, both))
    assert found == pytest.approx(alone, abs=0.02)
    assert both.products[0].quality["grey_error_mag"] > 0.2


def test_a_standard_that_points_elsewhere_says_where(night, tmp_path):
    _, (standard, _), _ = night
    away = {"OBSRA": "18:36:25.950", "OBSDEC": "-44:38:36.90"}
    with pytest.raises(MissingCalibrationError, match=r"LTT 7379, but .* 20.0 arcmin from it"):
        build_sensitivity([standard], out_dir=tmp_path, settings=PLAIN, overlay=away)


def test_without_a_standard_it_says_so(night, tmp_path):
    _, _, (science, _) = night
    with pytest.raises(MissingCalibrationError, match="no sensitivity"):
        calibrate_flux(science, sensitivity=None, out_dir=tmp_path, settings=PLAIN)
    with pytest.raises(MissingCalibrationError, match="None of 1"):
        build_sensitivity([science], out_dir=tmp_path, settings=PLAIN)
    assert not list(tmp_path.iterdir())


def test_what_is_no_sensitivity_function_is_refused(night, tmp_path):
    _, (standard, _), (science, _) = night
    with pytest.raises(BadFrameError, match="not a whole sensitivity"):
        calibrate_flux(science, sensitivity=standard, out_dir=tmp_path, settings=PLAIN)
    cut = tmp_path / "cut.fits"
    cut.write_bytes(standard.read_bytes()[:4000])
    with pytest.raises(BadFrameError):
        calibrate_flux(science, sensitivity=cut, out_dir=tmp_path, settings=PLAIN)


def test_a_sensitivity_function_survives_its_file(response):
    read = read_response(response.products[0].path)
    wave = np.linspace(read.sensitivity.low, read.sensitivity.high, 30)
    assert np.all(np.isfinite(read.sensitivity.magnitude(wave)))
    assert np.all(read.sensitivity.error(wave) > 0)
    assert read.sensitivity.bands[0].used.sum() > 20
    assert 0 < read.absorption.transmission.min() < 1


def test_pixels_beyond_the_standard_are_flagged(night, response):
    folder, _, (science, _) = night
    done = calibrate_flux(
        science, sensitivity=response.products[0].path, out_dir=folder, settings=PLAIN
    )
    spectrum = read_spectrum(done.products[0].path)
    sensitivity = read_response(response.products[0].path).sensitivity
    outside = ~sensitivity.covers(spectrum.wavelength)
    assert np.all(spectrum.flags[outside] & Flag.EXTRAPOLATED)
