"""The reduce block on what it cannot or can only partly reduce: faults, cards, other masters."""

from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.errors import (
    BadFrameError,
    BadHeaderError,
    DiskFullError,
    MissingCalibrationError,
)
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.products import fits as product_fits
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.scene import Source
from tests.pipeline.blocks.reducing import (
    light_of,
    make_masters,
    rewrite,
    run,
    science,
)


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
