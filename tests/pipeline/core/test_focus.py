"""Runs of focus settings with a known sharpest one: simulated curves, frames, real strips."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from goodman_live.pipeline.blocks.measure_focus import lit_frame
from goodman_live.pipeline.core.focus import best_focus, measure_width, moved_card
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.pipeline.simulate.optics import Optics, SlitPlace

SETTINGS = np.arange(-1000.0, -300.0, 100.0)


def widths(rng, settings, best=-640.0, sharp=3.0, speed=0.012, noise=0.05):
    truth = np.hypot(sharp, speed * (settings - best))
    return truth + rng.normal(0, noise, len(settings)), np.full(len(settings), noise)


def test_the_best_setting_and_its_error_are_true():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(150):
        best = rng.uniform(-800, -500)
        found = best_focus(SETTINGS, *widths(rng, SETTINGS, best))
        assert found.bracketed
        assert abs(found.fwhm_px - 3.0) < 0.2
        pulls.append((found.best - best) / found.error)
    assert abs(np.mean(pulls)) < 0.3
    # widths have a floor of scatter from other causes, which this run does not: not too small
    assert 0.4 < np.std(pulls) < 1.15
    assert np.max(np.abs(pulls)) < 5


def test_one_wrong_frame_does_not_move_it():
    rng = np.random.default_rng(2)
    for wrong in range(len(SETTINGS)):
        fwhm, error = widths(rng, SETTINGS)
        fwhm[wrong] += 5.0
        found = best_focus(SETTINGS, fwhm, error)
        assert found.bracketed
        assert abs(found.best + 640) < 30
        assert not found.used[wrong]
        assert found.used.sum() >= len(SETTINGS) - 2


@pytest.mark.parametrize(("settings", "words"), [
    (np.arange(-500.0, 0.0, 100.0), "go on below it"),
    (np.arange(-1300.0, -800.0, 100.0), "go on above it"),
])  # fmt: skip
def test_a_run_beside_the_minimum_is_not_extrapolated(settings, words):
    rng = np.random.default_rng(3)
    for _ in range(30):
        found = best_focus(settings, *widths(rng, settings))
        assert not found.bracketed
        assert np.isnan(found.best)
        assert words in found.reason


def test_a_flat_run_names_nothing():
    rng = np.random.default_rng(4)
    named = sum(
        best_focus(SETTINGS, *widths(rng, SETTINGS, speed=0.0)).bracketed for _ in range(60)
    )
    assert named <= 2


def test_too_few_settings_say_so():
    assert "1 focus setting so far" in best_focus([-600.0], [3.0], [0.1]).reason
    twice = best_focus([-600.0, -500.0, -501.0], [3.0, 3.5, 3.4], [0.1] * 3)
    assert "2 focus settings so far" in twice.reason
    nothing = best_focus([-600.0, -500.0], [np.nan, np.nan], [np.nan, np.nan])
    assert "No frame" in nothing.reason
    three = best_focus([-700.0, -600.0, -500.0], [3.4, 3.0, 3.4], [0.05] * 3)
    assert three.bracketed
    assert abs(three.best + 600) < 10


def test_the_card_that_moves_is_found():
    still = {"CAM_FOC": -598.0, "COLL_FOC": 1001.0, "FOCUS": -1283.3}
    steps = [{**still, "COLL_FOC": 1000.0 + 50 * k, "FOCUS": -1283.3 + k} for k in range(5)]
    assert moved_card(steps) == "COLL_FOC"
    telescope = [{**still, "FOCUS": -1280.0 + 60 * k, "CAM_FOC": -598.0 + k % 2} for k in range(4)]
    assert moved_card(telescope) == "FOCUS"
    assert moved_card([still]) == "CAM_FOC"
    assert moved_card([{}]) == "CAM_FOC"


def shots(kind, best=-620, settings=(-900, -760, -620, -480, -340)):
    """Return raw frames of a run that is sharpest at `best`, by setting."""
    made = {}
    for number, setting in enumerate(settings):
        blur = abs(setting - best) / 40.0
        log = Log(
            obstype="FOCUS", object_name="focus", number=number, cam_foc=setting, exptime_s=3.0,
            start=datetime(2026, 8, 15, 23, tzinfo=UTC) + timedelta(minutes=number),
        )  # fmt: skip
        if kind == "lines":
            here = setup("Red", "400_M1", slit_arcsec=0.45)
            optics = Optics(float(np.hypot(2.4, blur)), float(np.hypot(2.8, blur)))
            made[setting] = frames.arc(here, seed=number, optics=optics, log=log)
            continue
        here = setup("Red", None, filter1="r-SDSS")
        if kind == "slit":
            place = SlitPlace(0.45, sigma=float(np.hypot(2.4, blur)) / 2.3548)
            made[setting] = frames.image(
                here, seed=number, stars=0, exptime_s=400.0, slit=place, log=log
            )
        else:
            seeing = 0.15 * float(np.hypot(6.0, blur))
            made[setting] = frames.image(
                here, seed=number, stars=40, exptime_s=20.0, fwhm_arcsec=seeing, log=log
            )
    return made


@pytest.mark.parametrize("kind", ["lines", "slit", "stars"])
def test_frames_through_focus_tell_the_best_setting(tmp_path, kind):
    found, what = [], set()
    for setting, shot in shots(kind).items():
        shot.write(tmp_path / f"{setting}.fits")
        frame, info = lit_frame(tmp_path / f"{setting}.fits")
        width = measure_width(frame, info)
        what.add(width.what)
        found.append((setting, width.fwhm_px, width.error_px))
    assert what == {kind}
    best = best_focus(*np.array(found).T)
    assert best.bracketed, best.reason
    assert abs(best.best + 620) < 25


def test_an_empty_frame_has_no_width(tmp_path):
    shot = frames.image(setup("Red", None), seed=1, stars=0, log=Log(obstype="FOCUS"))
    shot.write(tmp_path / "empty.fits")
    frame, info = lit_frame(tmp_path / "empty.fits")
    width = measure_width(frame, replace(info, slit_arcsec=None))
    assert width.count < 3
