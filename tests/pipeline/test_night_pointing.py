"""Focus frames and acquisition images in a folder: each is measured, or says what it lacks."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from goodman_live.pipeline.core.focus import split_runs
from goodman_live.pipeline.night.run import reduce_night
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.optics import SlitPlace
from tests.pipeline.blocks.test_pointing import focus_run

BEGIN = datetime(2026, 8, 16, 1, tzinfo=UTC)
BESIDE = Region("Slit Imaging/Alignment", 1850, 1600, 200, 450)
PLAIN = ReductionSettings(ignore_bias=True, ignore_flats=True)


def pointing(folder, minute, name, *, slit, across=0.0, camera="Blue"):
    here = setup(camera, None, binning=(2, 2), region=BESIDE)
    place = SlitPlace(1.0, 2071.3, 0.0)
    column = (place.column + across - BESIDE.x0 - 0.5) / 2
    log = Log(object_name="target_acq", start=BEGIN + timedelta(minutes=minute))
    frames.image(
        here, seed=minute, exptime_s=20.0, placed=np.array([[column, 220.0, 8e3]]),
        slit=place if slit else None, log=log,
    ).write(folder / name)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Rows of the report by file name, of a folder with a focus run and acquisition images."""
    raw = tmp_path_factory.mktemp("raw")
    focus_run(raw, (-900, -760, -620, -480))
    (raw / "focus9.fits").write_bytes((raw / "focus0.fits").read_bytes()[:40_000])
    pointing(raw, 1, "before.fits", slit=False, across=14.0)
    pointing(raw, 2, "through.fits", slit=True)
    pointing(raw, 3, "other.fits", slit=False, camera="Red")
    report = reduce_night(raw, tmp_path_factory.mktemp("out"), settings=PLAIN, workers=2)
    return {row["file_name"]: row for row in report.as_dict()["files"]}


def product(row, role):
    (found,) = (one for one in row["products"] if one["role"] == role)
    return found["quality"]


def test_a_focus_run_of_a_folder_names_its_best_setting(measured):
    assert [measured[f"focus{k}.fits"]["state"] for k in (0, 1, 2, 3, 9)] == [
        *["measured"] * 4, "failed",
    ]  # fmt: skip
    newest = measured["focus3.fits"]
    assert product(newest, "focus")["frames"] == 4
    assert product(newest, "focus")["focus_best"] == pytest.approx(-620, abs=30)
    assert "Sharpest at" in newest["reasons"][0]


def test_acquisition_images_of_a_folder_use_the_slit_that_another_shows(measured):
    assert measured["through.fits"]["kind"] == "acquisition"
    assert product(measured["through.fits"], "acquisition")["slit_seen"]
    # It was taken before the slit was seen, and is measured all the same.
    assert product(measured["before.fits"], "acquisition")["offset_px"] == pytest.approx(
        14.0, abs=0.5
    )
    # No image of the other camera shows the slit.
    other = measured["other.fits"]
    assert (other["state"], other["failed"]) == ("reduced", False)
    assert any("does not show the slit" in text for text in other["reasons"])


def test_a_pause_ends_a_focus_run():
    times = [BEGIN + timedelta(minutes=m) for m in (0, 5, 34, 65, 70)]
    assert split_runs(times) == [[0, 1, 2], [3, 4]]
    assert split_runs([]) == []
