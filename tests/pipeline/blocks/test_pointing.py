"""Focus runs and acquisition images through their blocks, and the products read again."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.pipeline.blocks.measure_acquisition import measure_acquisition
from goodman_live.pipeline.blocks.measure_focus import measure_focus
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    MissingCalibrationError,
)
from goodman_live.pipeline.products.fits import read_frame, read_header
from goodman_live.pipeline.products.focus import read_focus
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.optics import Optics, SlitPlace
from goodman_live.server_extension.diagnostics import focus_curve, slit_and_target

PLAIN = ReductionSettings(ignore_bias=True, ignore_flats=True)
STRIP = Region("user-defined", 0, 1995, 2071, 60)
BESIDE = Region("Slit Imaging/Alignment", 1850, 1600, 200, 450)


def focus_run(folder, settings, best=-620):
    paths = []
    for number, setting in enumerate(settings):
        log = Log(
            obstype="FOCUS", object_name="focus", number=number, cam_foc=setting, exptime_s=3.0,
            start=datetime(2026, 8, 15, 23, tzinfo=UTC) + timedelta(minutes=number),
        )  # fmt: skip
        blur = abs(setting - best) / 40.0
        optics = Optics(float(np.hypot(2.4, blur)), float(np.hypot(2.8, blur)))
        here = setup("Red", "400_M1", slit_arcsec=0.45, region=STRIP)
        paths.append(folder / f"focus{number}.fits")
        frames.arc(here, seed=number, optics=optics, log=log).write(paths[-1])
    return paths[::-1]


def pointing(folder, *, slit, across=0.0, rate=8e3):
    here = setup("Blue", None, binning=(2, 2), region=BESIDE)
    place = SlitPlace(1.0, 2071.3, 0.0)
    column = (place.column + across - BESIDE.x0 - 0.5) / 2
    shot = frames.image(
        here, seed=1, exptime_s=20.0, placed=np.array([[column, 220.0, rate]]),
        slit=place if slit else None, log=Log(object_name="target_acq"),
    )  # fmt: skip
    raw = folder / f"acq{slit}{across}.fits"
    shot.write(raw)
    return reduce(raw, bias=None, flat=None, out_dir=folder, settings=PLAIN).products[0].path


def test_a_focus_run_is_a_table_that_reads_again(tmp_path):
    raws = focus_run(tmp_path, (-900, -760, -620, -480, -340))
    broken = tmp_path / "broken.fits"
    broken.write_bytes(raws[0].read_bytes()[:40_000])
    result = measure_focus([*raws, broken], out_dir=tmp_path / "out", settings=PLAIN)
    (product,) = result.products
    assert (product.data_type, product.role) == (2, "focus")
    assert list(result.rejected) == ["broken.fits"]
    assert product.quality["focus_best"] == pytest.approx(-620, abs=30)
    assert product.quality["measured_on"] == "lines"
    assert "CAM_FOC: Sharpest at" in result.messages[0]
    assert read_header(product.path)["GSP_FBST"] == pytest.approx(product.quality["focus_best"])
    run = read_focus(product.path)
    assert run.files == tuple(path.name for path in raws)
    assert run.focus.best == pytest.approx(product.quality["focus_best"])
    assert "±" in run.focus.reason
    shown = focus_curve(product.path)
    assert min(shown["curve"]["fwhm_px"]) == pytest.approx(shown["fwhm_px"], rel=0.01)
    assert [one["setting"] for one in shown["points"]] == [-340, -480, -620, -760, -900]
    cut = tmp_path / "cut.fits"
    cut.write_bytes(product.path.read_bytes()[:-2800])
    with pytest.raises(BadFrameError, match="whole focus run"):
        read_focus(cut)


def test_a_run_that_does_not_bracket_has_no_best_setting(tmp_path):
    raws = focus_run(tmp_path, (-900, -820, -760))
    result = measure_focus(raws, out_dir=tmp_path, settings=PLAIN)
    quality = result.products[0].quality
    assert quality["focus_best"] is None
    assert not quality["focus_bracketed"]
    assert "go on above it" in result.messages[0]
    assert focus_curve(result.products[0].path)["best"] is None


def test_frames_that_cannot_be_read_are_no_run(tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"no frame")
    with pytest.raises(BadFrameError, match="No frame of this focus run"):
        measure_focus([bad], out_dir=tmp_path, settings=PLAIN)
    with pytest.raises(MissingCalibrationError):
        measure_focus([], out_dir=tmp_path, settings=PLAIN)


def test_slit_and_target_of_an_acquisition_image(tmp_path):
    through, beside = pointing(tmp_path, slit=True), pointing(tmp_path, slit=False, across=-21.0)
    result = measure_acquisition(through, out_dir=tmp_path, settings=PLAIN)
    assert result.products[0].quality["slit_seen"]
    assert result.products[0].quality["slit_column"] == pytest.approx(2071.3, abs=0.3)
    with pytest.raises(MissingCalibrationError, match="does not show the slit"):
        measure_acquisition(beside, out_dir=tmp_path, settings=PLAIN)
    result = measure_acquisition(beside, slit=through, out_dir=tmp_path, settings=PLAIN)
    (product,) = result.products
    assert (product.data_type, product.role) == (2, "acquisition")
    assert product.quality["offset_px"] == pytest.approx(-21.0, abs=0.5)
    assert product.quality["offset_arcsec"] == pytest.approx(-3.15, abs=0.08)
    assert "-3.1" in result.messages[0]
    frame = read_frame(product.path)
    assert frame.header["GSP_QOFF"] == pytest.approx(product.quality["offset_arcsec"])
    shown = slit_and_target(product.path)
    assert shown["target"]["column"] == pytest.approx(2050.3, abs=0.5)
    assert shown["slit"]["column"][0] == pytest.approx(2071.3, abs=0.3)


def test_a_header_that_wrongly_names_a_slit_is_not_believed(tmp_path):
    through, beside = pointing(tmp_path, slit=True), pointing(tmp_path, slit=False, across=9.0)
    wrong = tmp_path / "wrong.fits"
    with fits.open(beside) as hdus:
        hdus[0].header["SLIT"] = "0.45_LONG_SLIT"
        hdus.writeto(wrong)
    result = measure_acquisition(wrong, slit=through, out_dir=tmp_path, settings=PLAIN)
    assert not result.products[0].quality["slit_seen"]
    assert result.products[0].quality["offset_px"] == pytest.approx(9.0, abs=0.5)
    assert any("does not show it" in text for text in result.messages)


def test_a_spectrum_is_no_acquisition_image(tmp_path):
    here = setup("Red", "400_M1", region=STRIP)
    raw = tmp_path / "spectrum.fits"
    frames.spectrum(here, [], seed=1, exptime_s=10.0).write(raw)
    made = reduce(raw, bias=None, flat=None, out_dir=tmp_path, settings=PLAIN).products[0].path
    with pytest.raises(BadFrameError, match="no direct image"):
        measure_acquisition(made, out_dir=tmp_path, settings=PLAIN)
