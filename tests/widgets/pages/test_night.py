"""The night's figures and the instrument's health, from files as the service gives them."""

import pytest

from goodman_live.widgets.pages import health, night_figures
from goodman_live.widgets.pages.diagnostic_panels import panels
from goodman_live.widgets.pages.night import master_kind, pointing_row
from tests.widgets.service import make_file


def frame(number, minute, **more):
    return make_file(number, start=f"2026-08-16T00:{minute:02d}:00Z", **more)


@pytest.mark.parametrize(
    ("kind", "role", "said"),
    [
        ("flat", "", "flat"),
        ("flat", "counts", "flat, counts"),
        ("spectrum", "sensitivity", "sensitivity"),
    ],
)
def test_a_master_says_what_it_is(kind, role, said):
    assert master_kind(make_file(1, kind=kind, role=role)) == said


def test_hours_without_frames_are_shown_empty():
    first = make_file(1, start="2026-08-15T22:10:00Z", kind="bias")
    last = make_file(2, start="2026-08-16T01:59:59Z", kind="strange")
    figure = night_figures.by_hour([last, first], 2)
    sums = [sum(part["value"] for part in bar["parts"]) for bar in figure["bars"]]
    assert sums == [1, 0, 0, 1]
    assert figure["bars"][-1]["parts"][0]["kind"] == "other"
    assert figure["note"] == ""


def test_a_night_of_no_frames_has_no_bars():
    assert night_figures.by_hour([], 0)["bars"] == []
    assert night_figures.latency([])["value"] == ""


def test_latency_is_from_the_catalogue_to_the_last_first_version():
    raw = make_file(1, created="2026-08-16T00:00:00Z")
    steps = [(2, 3, 1), (3, 9, 1), (4, 600, 2)]
    made = [
        make_file(
            number,
            original_file_id=1,
            created=f"2026-08-16T00:{s // 60:02d}:{s % 60:02d}Z",
            version=version,
        )
        for number, s, version in steps
    ]
    other = make_file(9, original_file_id=77, created="2026-08-16T00:00:05Z")
    assert night_figures.latencies([raw], [*made, other]) == [9.0]


@pytest.mark.parametrize(
    ("seconds", "bin_"), [(0.0, 0), (1.0, 1), (299.9, 6), (300.0, 7), (1e6, 7)]
)
def test_each_latency_falls_into_one_bin(seconds, bin_):
    bars = night_figures.latency([seconds])["bars"]
    assert [index for index, bar in enumerate(bars) if bar["parts"]] == [bin_]


def test_what_is_missing_is_said_once_with_its_number():
    found = [{"text": "2 of 10 bias", "count": 3}, {"text": "an arc", "count": 1}]
    said = [one["text"] for one in night_figures.missing(found)]
    assert said == ["3 frames: 2 of 10 bias", "1 frame: an arc"]


def test_what_was_made_with_makeshift_calibrations_is_said_by_set_up():
    setup = {"camera": "Red", "wavmode": "400_M1", "slit": "1.0_LONG_SLIT", "binning": "2x2"}
    many, one = night_figures.makeshift([{**setup, "count": 2}, {**setup, "count": 1}])
    assert many["text"].startswith("Red 400_M1 1.0_LONG_SLIT 2x2: 2 frames reduced with")
    assert one["text"].startswith("Red 400_M1 1.0_LONG_SLIT 2x2: 1 frame reduced with")


def bias(number, level, **more):
    return frame(
        number, number, data_type="2", quality={"bias_level_adu": level}, camera="Red", **more
    )


def trend(files, key="bias"):
    found = health.trends(files)
    assert health.trends(map(health.kept, files)) == found
    return next(one for one in found if one["key"] == key)


def test_a_level_that_jumps_is_marked():
    files = [bias(number, 700 + 0.1 * (number % 3)) for number in range(1, 12)] + [bias(12, 760.0)]
    tones = [point["tone"] for point in trend(files)["points"]]
    assert tones == [""] * 11 + ["bad"]
    assert trend(files)["tone"] == "bad"


def test_few_values_are_never_unusual_and_constant_ones_neither():
    assert health.odd_ones([1.0, 1.0, 99.0]) == [False] * 3
    assert health.odd_ones([5.0] * 20) == [False] * 20


def test_only_the_set_up_used_last_is_drawn_in_the_order_of_time():
    files = [bias(3, 3.0), bias(1, 1.0), bias(2, 900.0, binning="1x1")]
    points = trend(files)["points"]
    assert [point["y"] for point in points] == [1.0, 3.0]
    assert points[1]["x"] - points[0]["x"] == 120


def test_numbers_that_are_none_are_left_out():
    files = [bias(1, None), bias(2, True), bias(3, "x"), bias(4, 700.0, role="mask")]
    assert trend(files)["points"] == []
    assert "not measured" in trend(files)["said"]


def test_a_focus_run_is_a_row_with_what_it_tells():
    quality = {"focus_card": "CAM_FOC", "focus_best": None, "fwhm_newest_px": 4.0}
    row = pointing_row(make_file(4, data_type="2", role="focus", quality=quality))
    assert (row["what"], row["tone_of"]) == ("Focus", "warn")
    assert "not bracketed" in row["value"]
    assert row["href"] == "data.ipynb?file=4"


def test_the_curve_is_drawn_only_where_the_run_brackets_the_best_setting():
    points = [{"setting": at, "fwhm_px": fwhm, "used": True} for at, fwhm in ((-1, 4.0), (0, 3.0))]
    data = {
        "card": "CAM_FOC", "points": points, "curve": {"setting": [0], "fwhm_px": [3.0]},
        "best": None, "bracketed": False, "reason": "Not bracketed.",
    }  # fmt: skip
    (panel,) = panels({"kind": "focus", "data": data})
    assert [one["kind"] for one in panel["series"]] == ["dropped", "points"]
    assert panel["marks"] == []
    (panel,) = panels({"kind": "focus", "data": {**data, "bracketed": True, "best": 0.2}})
    assert panel["series"][0]["kind"] == "fit"
    assert panel["marks"][0]["x"] == 0.2


def test_slit_and_target_are_drawn_in_readout_pixels():
    data = {
        "columns": [1900, 2200], "rows": [1600, 2500],
        "slit": {"column": [2071, 2070], "row": [1600, 2500], "width_arcsec": 1.0},
        "target": {"column": 2050.0, "row": 2040.0},
        "offset_arcsec": -3.1, "offset_error_arcsec": 0.05, "along_arcsec": 2.0,
    }  # fmt: skip
    (panel,) = panels({"kind": "acquisition", "data": data})
    assert "-3.10 ± 0.05" in panel["words"]
    assert panel["series"][1]["x"] == [2050.0]
    (panel,) = panels({"kind": "acquisition", "data": {**data, "target": None}})
    assert panel["words"] == "no target seen"
    assert len(panel["series"]) == 1
