"""What files are called on a page."""

from __future__ import annotations

import pytest

from goodman_live.widgets.pages import words
from goodman_live.widgets.pages.data import wanted_file
from tests.widgets.service import make_file


def keys(file: dict) -> dict[str, str]:
    return {one["key"]: one["reason"] for one in words.actions(file, "/x")}


def test_tabs_go_from_the_newest_step_to_the_raw_frame():
    family = [make_file(n, data_type=kind) for n, kind in ((1, "0"), (2, "2"), (3, "4"), (4, "3"))]
    ordered = sorted(family, key=words.tab_order)
    assert [words.tab(one, ordered)["label"] for one in ordered] == [
        "Wavelength calibrated",
        "Extracted",
        "Reduced",
        "Raw",
    ]


def test_an_older_version_comes_last_and_says_so():
    family = [
        make_file(1, data_type="0"),
        make_file(2, data_type="4", is_current=False, version=1),
        make_file(3, data_type="4", version=2),
    ]
    ordered = sorted(family, key=words.tab_order)
    assert [one["id"] for one in ordered] == [3, 1, 2]
    assert words.tab(ordered[-1], ordered)["note"] == "v1, replaced"


def test_a_map_of_cosmic_rays_is_never_taken_for_the_reduced_frame():
    family = [
        make_file(1, data_type="0"),
        make_file(2, data_type="2", file_name="cfzto_x.fits"),
        make_file(3, data_type="2", file_name="crmask_cfzto_x.fits"),
    ]
    ordered = sorted(family, key=words.tab_order)
    labels = [words.tab(one, ordered)["label"] for one in ordered]
    assert labels == ["Reduced", "Raw", "Cosmic rays"]


def test_targets_are_named_only_where_there_are_several():
    one = [make_file(2, data_type="3", target=1)]
    assert words.tab(one[0], one)["label"] == "Extracted"
    two = [*one, make_file(3, data_type="3", target=2)]
    assert [words.tab(file, two)["label"] for file in two] == [
        "Extracted · target 1",
        "Extracted · target 2",
    ]
    assert [words.tab(file, two)["target"] for file in two] == [1, 2]
    assert {words.tab(file, two)["step"] for file in two} == {"Extracted"}


def test_a_stack_stands_after_the_single_spectrum_of_its_step():
    family = [
        make_file(1, data_type="0"),
        make_file(2, data_type="4"),
        make_file(3, data_type="4", role="stack", quality={"exposures": 3}),
    ]
    ordered = sorted(family, key=words.tab_order)
    labels = [words.tab(one, ordered)["label"] for one in ordered if words.is_main(one)]
    assert labels == ["Wavelength calibrated", "Stack of 3", "Raw"]
    numbers = {"snr_resolution": 31.6, "exposures_to_goal": 5, "snr_goal": 50.0}
    stacked = make_file(3, data_type="4", role="stack", quality=numbers)
    assert words.quality(stacked)["value"] == "S/N 31.6 per resolution element; 5 more for 50"


@pytest.mark.parametrize(
    ("changes", "key", "possible"),
    [
        ({"data_type": "0", "kind": "spectrum"}, "reduce", True),
        ({"data_type": "0", "kind": "bias"}, "reduce", False),
        ({"data_type": "2", "kind": "spectrum"}, "extract", True),
        ({"data_type": "2", "kind": "arc"}, "extract", False),
        ({"data_type": "3", "kind": "spectrum"}, "wavelength", True),
        ({"data_type": "4", "may_change": False}, "delete", False),
        ({"data_type": "4", "may_change": True}, "delete", True),
    ],
)
def test_an_action_that_is_not_possible_says_why(changes, key, possible):
    reasons = keys(make_file(1, **changes))
    assert (reasons[key] == "") is possible


def test_a_raw_file_has_no_delete_and_an_image_no_extraction():
    assert "delete" not in keys(make_file(1, data_type="0"))
    assert "extract" not in keys(make_file(1, data_type="2", technique="Imaging"))


def test_latency_counts_from_the_whole_file():
    fact = words.speed(
        {
            "shutter": "2026-11-21T03:00:00+00:00",
            "whole": "2026-11-21T03:00:01+00:00",
            "reduce": "2026-11-21T03:00:02.500000+00:00",
            "reduce.event": "2026-11-21T03:00:09+00:00",
        }
    )
    assert fact is not None
    assert fact["value"] == "reduced after 1.5 s"
    assert "-1.00 s shutter closed" in fact["more"]


def test_latency_of_a_file_that_is_only_whole_is_not_shown():
    assert words.speed({"whole": "2026-11-21T03:00:01+00:00"}) is None


def test_a_provisional_product_is_never_shown_as_good():
    fact = words.calibrations(make_file(1, grade="A", provisional=True))
    assert fact is not None
    assert (fact["tone"], fact["value"]) == ("warn", "grade A, provisional")


def test_the_choice_of_calibrations_is_shown_with_its_reasons():
    inputs = [{"role": "bias", "file_name": "master.fits", "reasons": ["another night"]}]
    fact = words.calibrations(make_file(1, grade="C", inputs=inputs))
    assert fact is not None
    assert fact["value"] == "grade C"
    assert fact["more"] == "bias: master.fits\n   another night"


@pytest.mark.parametrize(
    ("numbers", "value", "tone"),
    [
        ({"rms_aa": 0.1234, "n_used": 31, "trusted": True}, "rms 0.123 Å, 31 lines", "good"),
        ({"rms_aa": 0.1234, "n_used": 3, "trusted": False}, "rms 0.123 Å, 3 lines", "bad"),
        ({"snr_median": 281.03}, "S/N 281", "good"),
        ({"snr_median": 0.5}, "S/N 0.5", "warn"),
        ({"cosmic_rays": 160}, "160 cosmic rays", "plain"),
        (
            {
                "focus_card": "CAM_FOC",
                "focus_best": -620.4,
                "focus_error": 8.2,
                "fwhm_best_px": 2.514,
            },
            "CAM_FOC -620 ± 8, FWHM 2.51 px",
            "good",
        ),
        (
            {"focus_card": "CAM_FOC", "focus_best": None, "fwhm_newest_px": 5.012},
            "best focus not bracketed yet; newest 5.01 px",
            "warn",
        ),
        (
            {"slit_column": 2071.0, "offset_arcsec": -0.413, "offset_error_arcsec": 0.05},
            "target -0.41 ± 0.05 arcsec from the slit",
            "plain",
        ),
        ({"slit_column": 2071.0}, "no target seen", "warn"),
        # Of an older version, which did not tell as much.
        ({"focus_card": "CAM_FOC", "focus_best": -620.4}, "CAM_FOC -620", "good"),
        (
            {"slit_column": 2071.0, "offset_arcsec": 0.4},
            "target +0.40 arcsec from the slit",
            "plain",
        ),
    ],
)
def test_quality_is_one_number_that_says_most(numbers, value, tone):
    fact = words.quality(make_file(1, quality=numbers))
    assert fact is not None
    assert (fact["value"], fact["tone"]) == (value, tone)


def test_what_helps_to_point_and_focus_is_a_result_with_its_own_tab():
    run = make_file(2, data_type="2", role="focus", kind="focus")
    image = make_file(3, data_type="2", role="acquisition", kind="acquisition")
    assert [words.tab(one, [run, image])["label"] for one in (run, image)] == [
        "Focus",
        "Acquisition",
    ]
    assert words.is_main(run)
    assert words.is_main(image)
    raw = make_file(1, data_type="0", kind="focus")
    keys = [one["key"] for one in words.actions(raw, "")]
    assert "focus" in keys
    assert "reduce" not in keys


def test_a_stack_is_as_long_as_its_exposures():
    stack = make_file(1, data_type="4", role="stack", exptime=900.0, quality={
        "exposures": 2, "exptime_total_s": 1800.0,
    })  # fmt: skip
    (shown,) = (one for one in words.facts(stack, {}) if one["name"] == "Exposure")
    assert shown["value"] == "1800 s"
    (single,) = (
        one for one in words.facts(make_file(2, exptime=900.0), {}) if one["name"] == "Exposure"
    )
    assert single["value"] == "900 s"


def test_a_mended_card_shows_what_is_used_and_why():
    header = [
        {"keyword": "GAIN", "value": "", "comment": "", "mended": "1.48", "reason": "was empty"},
        {"keyword": "SIMPLE", "value": True, "comment": "", "mended": None, "reason": ""},
    ]
    gain, simple = words.cards(header)
    assert (gain["value"], gain["found"], gain["reason"]) == ("1.48", "", "was empty")
    assert simple["value"] == "T"


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("file=12", 12),
        ("", 0),
        ("file=", 0),
        ("file=-3", 0),
        ("file=a", 0),
        ("file=" + "9" * 40, 0),
    ],
)
def test_the_address_names_a_file_or_nothing(query: str, number: int):
    assert wanted_file(query) == number
