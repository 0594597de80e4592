"""Choice of masters and arcs: every key counts, the reasons are true, nothing is never a crash."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from goodman_live.pipeline.core.choose import choose_arcs, choose_master
from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.header import describe
from goodman_live.pipeline.core.info import Kind, Technique


@pytest.fixture
def science(raw_header):
    return describe(raw_header(), file_name="science.fits", shape=(948, 2071))


def like(info, *, minutes=0.0, **changes):
    moment = timedelta(minutes=minutes)
    return replace(info, start=info.start + moment, mid=info.mid + moment, **changes)


@pytest.fixture
def bias(science):
    return like(science, minutes=-400, kind=Kind.BIAS, file_name="bias.fits")


@pytest.fixture
def flat(science):
    return like(science, minutes=-300, kind=Kind.FLAT, file_name="flat.fits", block_id=None)


@pytest.fixture
def arc(science):
    lamps = frozenset({"HGA", "NE"})
    return like(science, minutes=16, kind=Kind.ARC, file_name="arc.fits", lamps=lamps)


def test_same_night_and_set_up_is_grade_a(science, bias):
    choice = choose_master(science, [bias])
    assert (choice.chosen, choice.index, choice.grade) == (bias, 0, "A")
    assert not choice.provisional
    assert choice.reason == "same night"


def test_bias_does_not_care_for_optics_or_position(science, bias):
    other = replace(bias, grating="930_SYZY", slit="NO_MASK", ra_deg=1.0, cam_targ=25.2)
    assert choose_master(science, [other], kind=Kind.BIAS).chosen is other


READOUT = [
    ({"camera": "Blue"}, "another camera"),
    ({"window": Window(0, 1100, 4142, 1896)}, "another binning"),
    ({"gain": 3.87}, "another gain"),
    ({"rdnoise": 7.05}, "another read noise"),
    ({"window": Window(0, 2000, 2071, 200, 2, 2)}, "another window"),
    ({"window": Window(1, 1100, 2071, 948, 2, 2)}, "another window"),
]
OPTICS = [
    ({"grating": "600_SYZY_OLD"}, "another grating"),
    ({"cam_targ": 11.62}, "other angles"),
    ({"grt_targ": 5.78}, "other angles"),
    ({"cam_targ": float("nan")}, "other angles"),
    ({"filter2": "GG385"}, "other filters"),
    ({"filter": "V-Bessel"}, "other filters"),
    ({"technique": Technique.IMAGING}, "another technique"),
]


@pytest.mark.parametrize(("change", "fault"), READOUT)
def test_every_key_of_a_bias_counts(science, bias, change, fault):
    choice = choose_master(science, [replace(bias, **change)])
    assert choice.chosen is None
    assert choice.grade == ""
    assert choice.reason == (
        f"no bias for Red 2x2 gain 1.48 read noise 3.89: there are 1 with {fault}"
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [*READOUT, *OPTICS, ({"slit": "1.2_LONG_SLIT", "slit_arcsec": 1.2}, "another slit")],
)
def test_every_key_of_a_flat_counts(science, flat, change, fault):
    choice = choose_master(science, [replace(flat, **change)])
    assert choice.chosen is None
    assert choice.reason.endswith(f"there are 1 with {fault}")


@pytest.mark.parametrize(("change", "fault"), [READOUT[0], READOUT[1], *READOUT[4:], *OPTICS])
def test_every_key_of_an_arc_counts(science, arc, change, fault):
    (choice,) = choose_arcs(science, [replace(arc, **change)])
    assert choice.chosen is None
    assert choice.reason.endswith(f"there are 1 with {fault}")


def test_commanded_angles_within_a_hundredth_are_one_setting(science, flat):
    near = replace(flat, cam_targ=11.6099, grt_targ=5.791)
    assert choose_master(science, [near]).chosen is near


def test_faults_are_counted(science, bias):
    unbinned = replace(bias, window=Window(0, 1100, 4142, 1896))
    choice = choose_master(science, [unbinned, replace(bias, gain=3.87), unbinned, unbinned])
    assert choice.reason.endswith("there are 3 with another binning, 1 with another gain")


def test_nothing_at_all_is_a_clear_state(science):
    assert choose_master(science, [], kind=Kind.FLAT).reason == (
        "no flat for Red 2x2 gain 1.48 read noise 3.89 400_SYZY 400_M1 1.0_LONG_SLIT: none yet"
    )
    (choice,) = choose_arcs(science, [])
    assert choice.reason == "no arc for Red 2x2 400_SYZY 400_M1: none yet"


def test_other_nights_are_provisional_and_graded_by_age(science, bias):
    grades = []
    for night in ("20230703", "20230620", "20230101"):
        choice = choose_master(science, [replace(bias, night=night)])
        assert choice.provisional
        grades.append(choice.grade)
    assert grades == ["B", "C", "D"]
    assert "d apart" in choice.reason


def test_tonights_is_preferred_to_a_nearer_one_in_time(science, bias):
    before = like(bias, minutes=399, night="20230703")
    choice = choose_master(science, [before, bias])
    assert (choice.chosen, choice.index) == (bias, 1)


def test_nearest_in_time_of_equals(science, flat):
    late = like(flat, minutes=200)
    assert choose_master(science, [flat, late]).chosen is late


def test_window_inside_a_larger_one_is_cut_and_costs_a_grade(science, bias):
    strip = replace(science, window=Window(0, 1850, 2071, 200, 2, 2))
    choice = choose_master(strip, [bias])
    assert (choice.chosen, choice.grade) == (bias, "B")
    assert "cut from a larger window" in choice.reasons
    # one unbinned row off the grid of the binned pixels
    odd = replace(science, window=Window(0, 1851, 2071, 200, 2, 2))
    assert choose_master(odd, [bias]).chosen is None


def test_trimmed_master_serves(science, bias):
    trimmed = replace(bias, window=Window(50, 1102, 2030, 947, 2, 2))
    assert choose_master(science, [trimmed]).grade == "A"


def test_legacy_and_present_spelling_match(raw_header, science):
    old = describe(
        raw_header(GRATING="SYZY_400", SLIT='1.0" long slit', FILTER="<NO FILTER>",
                   FILTER2="<NO FILTER>", OBSTYPE="FLAT"),
        file_name="flat.fits", shape=(948, 2071),
    )  # fmt: skip
    assert choose_master(science, [old]).grade == "A"


def test_image_matches_its_flat_by_filter_alone(science, flat):
    change = {"technique": Technique.IMAGING, "filter": "g-SDSS", "cam_targ": 0.0}
    image, mine = replace(science, **change), replace(flat, **change, grt_targ=0.66)
    assert choose_master(image, [replace(mine, filter="r-SDSS"), mine]).chosen is mine


def test_only_the_kind_that_is_sought(science, bias, flat):
    assert choose_master(science, [bias, flat], kind=Kind.FLAT).chosen is flat
    assert choose_master(science, [flat, bias], kind=Kind.BIAS).chosen is bias


class TestArcs:
    def test_same_block_is_grade_a(self, science, arc):
        (choice,) = choose_arcs(science, [arc])
        assert (choice.chosen, choice.grade) == (arc, "A")
        assert choice.reason == "same block, 16 min apart"

    def test_same_block_wins_over_nearer_in_time(self, science, arc):
        nearer = like(arc, minutes=-12, block_id=7, ra_deg=10.0)
        (choice,) = choose_arcs(science, [nearer, arc])
        assert choice.chosen is arc

    def test_same_pointing_without_a_block(self, science, arc):
        (choice,) = choose_arcs(replace(science, block_id=None), [replace(arc, block_id=None)])
        assert (choice.grade, choice.reason) == ("A", "same pointing, 16 min apart")

    def test_zero_is_no_block(self, science, arc):
        far = {"ra_deg": 10.0, "block_id": 0}
        (choice,) = choose_arcs(replace(science, block_id=0), [replace(arc, **far)])
        assert choice.grade == "B"

    def test_grade_falls_with_time_and_night(self, science, arc):
        far = replace(arc, block_id=7, ra_deg=10.0)
        grades = [
            choose_arcs(science, [candidate])[0].grade
            for candidate in (far, like(far, minutes=120), replace(far, night="20230630"))
        ]
        assert grades == ["B", "C", "D"]
        assert choose_arcs(science, [replace(far, night="20230630")])[0].provisional

    def test_another_slit_costs_a_grade_and_is_said(self, science, arc):
        (choice,) = choose_arcs(science, [replace(arc, slit="0.45_LONG_SLIT", slit_arcsec=0.45)])
        assert choice.grade == "B"
        assert choice.reasons[1] == "another slit, 0.45_LONG_SLIT"

    def test_readout_mode_does_not_matter(self, science, arc):
        assert choose_arcs(science, [replace(arc, gain=3.87, rdnoise=7.05)])[0].chosen

    def test_nearest_arc_of_each_set_of_lamps(self, science, arc):
        hg, ne = frozenset({"HGA"}), frozenset({"NE"})
        candidates = [
            replace(arc, lamps=hg),
            like(arc, minutes=2, lamps=ne),
            like(arc, minutes=4, lamps=hg),
            like(arc, minutes=6, lamps=hg | ne),
        ]
        assert [choice.index for choice in choose_arcs(science, candidates)] == [0, 1]

    def test_arcs_before_and_after_are_both_taken(self, science, arc):
        hg, ne = frozenset({"HGA"}), frozenset({"NE"})
        candidates = [
            replace(arc, lamps=hg),
            like(arc, minutes=2, lamps=ne),
            like(arc, minutes=-34, lamps=hg),
            like(arc, minutes=-36, lamps=hg),
            like(arc, minutes=4, lamps=hg),
        ]
        chosen = [choice.index for choice in choose_arcs(science, candidates)]
        assert chosen == [0, 1, 2]

    def test_right_ascension_wraps(self, science, arc):
        one = replace(science, ra_deg=359.999, block_id=None)
        (choice,) = choose_arcs(one, [replace(arc, ra_deg=0.001, block_id=None)])
        assert choice.grade == "A"

    def test_unknown_position_is_no_position(self, science, arc):
        one = replace(science, ra_deg=None, dec_deg=None, block_id=None)
        assert choose_arcs(one, [replace(arc, ra_deg=None, block_id=None)])[0].grade == "B"

    def test_focus_frames_are_no_arcs(self, science, arc):
        assert choose_arcs(science, [replace(arc, kind=Kind.FOCUS)])[0].chosen is None
