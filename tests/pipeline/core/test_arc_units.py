"""The parts of the arc solver, each on its own truth."""

from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.arc import solve_arc
from goodman_live.pipeline.core.errors import BadHeaderError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.grating import AXIS_COLUMN, known_gratings, predict
from goodman_live.pipeline.core.lines import lines_for
from goodman_live.pipeline.core.lineshape import fit_lines, full_width, line_image
from goodman_live.pipeline.core.pooled import pool
from goodman_live.pipeline.core.tilt import measure_tilt, straighten
from goodman_live.pipeline.simulate.instrument import MODES
from goodman_live.pipeline.simulate.law import random_law


@pytest.mark.parametrize("lines_mm", known_gratings())
def test_columns_and_wavelengths_undo_each_other(lines_mm):
    half = np.degrees(np.arcsin(lines_mm * 5000 / 2e7))
    setting = predict(lines_mm, 2 * half, half)
    columns = np.linspace(0, 4150, 30)
    assert setting.column(setting.wavelength(columns)) == pytest.approx(columns, abs=1e-6)
    slope = np.diff(setting.wavelength(np.array([1999.5, 2000.5])))[0]
    assert float(setting.scale(2000.0)) == pytest.approx(slope, rel=1e-6)


def test_moving_a_setting_moves_its_light():
    setting = predict(600, 20.0, 10.0, "600_MID")
    wavelength = setting.wavelength(np.array([AXIS_COLUMN, AXIS_COLUMN + 1000]))
    places = setting.moved(25.0, 0.01).column(wavelength)
    assert places[0] == pytest.approx(AXIS_COLUMN + 25, abs=1e-6)
    assert places[1] - places[0] == pytest.approx(1010, abs=1.0)


def test_an_unknown_grating_and_senseless_angles_are_refused():
    with pytest.raises(BadHeaderError, match="1234 lines"):
        predict(1234, 20.0, 10.0)
    with pytest.raises(BadHeaderError, match="CAM_ANG"):
        predict(600, float("nan"), 10.0)


def test_lines_come_from_the_gases_of_the_lamp():
    assert {name.split()[0] for name in lines_for(("CU",)).element} == {"Cu", "He", "Ar"}
    both = lines_for(("HGA", "NE"))
    assert np.all(np.diff(both.wavelength) >= 0)
    assert set(both.lamp) == {"HGA", "NE"}
    assert both.chance[np.argmin(np.abs(both.wavelength - 5460.735))] == 1
    with pytest.raises(ValueError, match="XE"):
        lines_for(("XE",))


@pytest.mark.parametrize(("sigma", "box"), [(0.6, 1.6), (1.2, 3.0), (1.3, 20.0)])
def test_a_line_image_holds_all_light_and_its_width(sigma, box):
    x = np.arange(-60, 61, dtype=float)
    image = line_image(x - 0.3, np.array(sigma), np.array(box))
    assert image.sum() == pytest.approx(1)
    assert np.sum(image * x) == pytest.approx(0.3, abs=1e-3)
    fine = np.linspace(-30, 30, 60001)
    wide = line_image(fine * 50, np.array(sigma * 50), np.array(box * 50))
    assert float(full_width(np.array([sigma]), np.array([box]))[0]) == pytest.approx(
        np.ptp(fine[wide > wide.max() / 2]), abs=0.01
    )


def test_centres_of_noisy_lines_scatter_as_stated():
    rng = np.random.default_rng(4)
    count, sigma, box = 600, np.full(600, 0.8), np.full(600, 2.5)
    centre = rng.uniform(9.5, 10.5, count)
    x = np.arange(21.0)
    truth = 5000 * line_image(x - centre[:, None], sigma[:, None], box[:, None]) + 100
    noise = np.sqrt(truth)
    fits = fit_lines(
        truth + noise * rng.normal(size=truth.shape),
        noise,
        np.zeros(count),
        (np.full(count, 10.0), sigma, box),
        free_shape=False,
    )
    error = fits.centre - centre
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(count)
    assert np.std(error / fits.centre_sigma) == pytest.approx(1, abs=0.12)


def test_saturated_lines_hide_no_faint_ones(make_arc, axis_error):
    """Red argon lines ten times beyond the converter, blue mercury lines as they are."""
    frame, info, law = make_arc("400_M2", ("HGA", "NE"), seed=6, peak_adu=500_000.0)
    assert ((frame.flags & Flag.SATURATED.value) != 0).any(axis=0).sum() > 30
    solution = solve_arc(frame, info)
    assert solution.axis.trusted, solution.axis.reasons
    used = [line.wavelength for line in solution.axis.lines if line.used]
    assert min(used) < 5500
    error, covered = axis_error(solution, law)
    assert np.sqrt(np.mean(error[covered] ** 2)) <= 0.1


def test_tilt_and_bow_are_those_of_the_frame(make_arc):
    frame, _, law = make_arc("400_M2", ("NE",), seed=2, rows=1200)
    tilt, _ = measure_tilt(frame, slit_px=3.3)
    rows = np.array([1600.0, 2600.0])
    expected = law.displacement(rows) - law.displacement(np.array(tilt.row))
    assert tilt.displacement(2000.0, rows) == pytest.approx(expected, abs=0.05)


def test_straightening_many_rows_keeps_centres_and_flux(make_arc):
    frame, _, _ = make_arc("400_M2", ("NE",), seed=2, rows=1200)
    tilt, lit = measure_tilt(frame, slit_px=3.3)
    all_rows, error, _ = straighten(frame, tilt, slice(*lit))
    middle = sum(lit) // 2
    few, few_error, _ = straighten(frame, tilt, slice(middle - 20, middle + 20))
    assert np.sum(all_rows) == pytest.approx(np.sum(few), rel=0.02)
    assert np.median(error / few_error) == pytest.approx(np.sqrt(40 / (lit[1] - lit[0])), rel=0.2)


def test_a_solved_arc_is_right_along_any_trace(make_arc):
    frame, info, law = make_arc("400_M2", ("HGA", "NE"), seed=21, rows=900)
    solution = solve_arc(frame, info)
    for along in (1750.0, 2300 + 0.02 * (solution.column - 2000)):
        there = solution.along_trace(along)
        x = there.column[there.axis.covers(there.column)]
        row = np.interp(x, there.column, there.along)
        error = (there.axis.wavelength(x) - law.wavelength(x, row)) / there.axis.scale(x)
        assert np.sqrt(np.mean(error**2)) <= 0.1
        assert there.axis.column(there.axis.wavelength(x)) == pytest.approx(x, abs=1e-3)
        for line in there.axis.lines:
            if line.used:
                assert float(there.axis.wavelength(line.column)) == pytest.approx(
                    line.wavelength, abs=0.5
                )
        back = there.along_trace(solution.along)
        assert back.axis.wavelength(x) == pytest.approx(solution.axis.wavelength(x), abs=1e-6)


@pytest.fixture(scope="module")
def drifting(make_arc):
    """Give solutions of an arc before and, two columns on, after, and the law before."""
    law = random_law(MODES["400_M1"], np.random.default_rng(3))
    found = []
    for seed, shift in ((1, 0.0), (2, 2.0)):
        frame, info, _ = make_arc("400_M1", ("HGA", "NE"), seed=seed, law=law.shifted(shift))
        found.append(solve_arc(frame, info).axis)
    return found, law


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_arcs_before_and_after_are_interpolated_in_time(drifting, share):
    found, law = drifting
    axis = pool(found, [-1000 * share, 1000 * (1 - share)])
    x = np.linspace(*axis.coverage, 200)
    truth = law.shifted(2 * share).wavelength(x, np.array(2095.0))
    assert np.abs((axis.wavelength(x) - truth) / axis.scale(x)).max() < 0.1


def test_of_arcs_on_one_side_the_nearest_counts(drifting):
    found, _ = drifting
    assert pool(found, [500.0, 100.0]) is found[1]
    with pytest.raises(ValueError, match="no solution"):
        pool([], [])


def test_arcs_of_two_lamps_give_one_axis_and_their_offset(make_arc):
    law = random_law(MODES["400_M1"], np.random.default_rng(3))
    found = []
    for lamp, offset in (("HGA", 0.0), ("NE", 0.3)):
        frame, info, _ = make_arc("400_M1", (lamp,), seed=6, law=law, offsets={lamp: offset})
        found.append(solve_arc(frame, info).axis)
    assert not any(axis.offset_known for axis in found)
    axis = pool(found, [-60.0, -120.0])
    assert axis.offset_known
    value, error = axis.lamp_differences["NE"]
    assert value == pytest.approx(0.3, abs=0.1)
    assert error < 0.1
