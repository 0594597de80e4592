"""``goodman-live arc`` on a real arc, on simulated ones, and on files that are none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from goodman_live.pipeline.arc_command import arc
from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.raw_arc import solve_file
from goodman_live.pipeline.simulate.frames import arc as simulated
from goodman_live.pipeline.simulate.frames import bias
from goodman_live.pipeline.simulate.instrument import setup


@pytest.fixture(scope="module")
def real(real_frames, tmp_path_factory):
    """Give the report on the real Red 400_M1 arc with HgAr and Ne lamps."""
    plot = tmp_path_factory.mktemp("plot") / "arc.png"
    done = CliRunner().invoke(
        arc, [str(real_frames / "sp_400m1.fits"), "--json", "--plot", str(plot)]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), plot


@pytest.mark.real
def test_the_real_arc_is_solved_from_header_and_lines(real):
    quality = real[0]["quality"]
    assert quality["trusted"]
    assert quality["n_used"] >= 20
    assert quality["rms_px"] <= 0.05
    assert quality["leave_one_out_rms_px"] <= 0.06
    assert quality["leave_one_out_worst_px"] <= 0.15


@pytest.mark.real
def test_the_offset_of_the_real_lamps_is_stated(real):
    offset = real[0]["lamp_differences_px"]["NE"]
    assert offset["offset"] == pytest.approx(0.3, abs=0.06)
    assert offset["uncertainty"] < 0.05


@pytest.mark.real
def test_the_real_slit_leans_and_bows(real):
    assert real[0]["tilt_px_per_px"] == pytest.approx(-4e-3, abs=1e-3)
    assert real[0]["bow_px_per_px2"] == pytest.approx(5e-6, abs=2e-6)


@pytest.mark.real
def test_hg_and_ne_lines_of_the_real_arc_are_named(real):
    used = {round(line["wavelength_aa"], 1): line for line in real[0]["lines"] if line["used"]}
    assert used.keys() >= {4046.6, 4358.3, 5460.7, 5790.7, 5852.5, 6402.2, 6929.5}
    widths = [used[key]["fwhm_px"] for key in (4046.6, 6402.2)]
    assert widths[0] < 3.5 < 4.5 < widths[1]


@pytest.mark.real
def test_the_real_axis_has_an_uncertainty_at_every_pixel(real):
    pixels = real[0]["pixels"]
    error = np.array(pixels["uncertainty_aa"])
    assert len(error) == 4092
    assert np.all((error > 0) & (error < 5))
    inside = np.array(pixels["inside_coverage"])
    assert error[~inside].max() > error[inside].max()


@pytest.mark.real
def test_the_picture_is_a_png(real):
    assert real[1].read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def altered(real_frames, tmp_path):
    """Give a function that writes the real arc with other cards and data, and solves it."""
    source = real_frames / "sp_400m1.fits"

    def solve(change=None, **cards):
        header, data = fits.getheader(source), fits.getdata(source)
        for key, value in cards.items():
            if value is None:
                header.remove(key)
            else:
                header[key] = value
        data = data if change is None else change(data.astype(float))
        path = tmp_path / "altered.fits"
        fits.PrimaryHDU(np.clip(np.round(data), 0, 65535).astype(np.uint16), header).writeto(path)
        return solve_file(path)[0]

    return solve


NO_SWITCHES = dict.fromkeys(("LAMP_HGA", "LAMP_NE", "LAMP_AR", "LAMP_CU", "LAMP_FE"))
ALTERATIONS = {
    "grating angle too small": {"GRT_ANG": 5.5006, "GRT_TARG": 5.5},
    "grating angle too large": {"GRT_ANG": 6.1006, "GRT_TARG": 6.1},
    "camera angle off": {"CAM_ANG": 11.3, "CAM_TARG": 11.3},
    "no mode": {"WAVMODE": None},
    "custom mode": {"WAVMODE": "Custom"},
    "labelled a target": {"OBSTYPE": "OBJECT"},
    "labelled an arc": {"OBSTYPE": "COMP"},
    "lamps by name": {**NO_SWITCHES, "OBJECT": "HgArNe"},
    "lamps by their lines": NO_SWITCHES,
    "upper rows": {"change": lambda data: data[250:], "PG5_6": 2100, "PG5_5": 150},
    "a few rows": {"change": lambda data: data[190:210], "PG5_6": 2040, "PG5_5": 20},
    "other columns": {"change": lambda data: data[:, 37:4000], "PG5_11": 37, "PG5_10": 3963},
    "much noise": {
        "change": lambda data: data + np.random.default_rng(1).normal(0, 30, data.shape)
    },
    "2x2": {
        "change": lambda data: data[:, :4142].reshape(200, 2, 2071, 2).mean(axis=(1, 3)),
        "CCDSUM": "2 2", "PG5_9": 2, "PG5_4": 2, "PG5_10": 2071, "PG5_5": 200, "TRIMSEC": None,
    },
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("name", ALTERATIONS)
def test_the_real_arc_gives_the_same_axis_however_it_is_labelled_and_cut(
    real_frames, altered, name
):
    reference, _ = solve_file(real_frames / "sp_400m1.fits")
    found = altered(**ALTERATIONS[name])
    axis = found.axis
    assert axis.trusted, axis.reasons
    assert axis.n_used >= 20
    assert axis.rms_px <= 0.05 * axis.binning
    assert axis.loo_rms_px <= 0.06 * axis.binning
    offset, error = axis.lamp_differences["NE"]
    assert offset == pytest.approx(0.28, abs=0.05)
    assert error < 0.05
    x = np.linspace(*axis.coverage, 300)
    row = np.full(300, found.tilt.row)
    apart = (found.wavelength(x, row) - reference.wavelength(x, row)) / axis.scale(x)
    assert np.abs(apart).max() <= 0.1
    # lines that come and go with the columns move it by a few hundredths
    assert np.all(np.abs(apart) <= 0.04 + 2 * axis.uncertainty_px(x))


def binned_by_three(data):
    data = data[:399, :4140].reshape(133, 3, 1380, 3)
    return data.mean(axis=(1, 3))


FEWER = {
    "3x3": {
        "change": binned_by_three,
        "CCDSUM": "3 3", "PG5_9": 3, "PG5_4": 3, "PG5_10": 1380, "PG5_5": 133, "TRIMSEC": None,
    },
    "the blue half": {
        "change": lambda data: data[:, :2071], "PG5_11": 0, "PG5_10": 2071, "TRIMSEC": None,
    },
    "the red half": {
        "change": lambda data: data[:, 2071:], "PG5_11": 2071, "PG5_10": 2071, "TRIMSEC": None,
    },
    "noise of a thousand": {
        "change": lambda data: data + np.random.default_rng(1).normal(0, 1000, data.shape)
    },
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("name", FEWER)
def test_the_real_arc_with_fewer_lines_is_as_true_as_it_says(real_frames, altered, name):
    reference, _ = solve_file(real_frames / "sp_400m1.fits")
    found = altered(**FEWER[name])
    axis = found.axis
    assert axis.trusted, axis.reasons
    x = np.linspace(*axis.coverage, 300)
    row = np.full(300, found.tilt.row)
    apart = (found.wavelength(x, row) - reference.wavelength(x, row)) / axis.scale(x)
    assert np.abs(apart).max() <= 0.16 * axis.binning
    assert np.sqrt(np.mean(apart**2)) <= 0.1
    assert axis.rms_px <= 0.06 * axis.binning, "lines that the axis does not rest on are left out"
    assert np.sqrt(np.mean((apart / axis.uncertainty_px(x)) ** 2)) < 1.5


WRONG_LAMPS = {
    "argon": {"LAMP_HGA": False, "LAMP_NE": False, "LAMP_AR": True, "OBJECT": "Ar"},
    "copper": {"LAMP_HGA": False, "LAMP_NE": False, "LAMP_CU": True, "OBJECT": "CuHeAr"},
    "iron": {"LAMP_HGA": False, "LAMP_NE": False, "LAMP_FE": True, "OBJECT": "FeHeAr"},
    "another grating": {"GRATING": "600_SYZY_NEW", "WAVMODE": None},
}


@pytest.mark.real
@pytest.mark.parametrize("name", WRONG_LAMPS)
def test_a_header_that_names_the_wrong_lamp_is_not_believed(altered, name):
    try:
        found = altered(**WRONG_LAMPS[name])
    except UntrustedSolutionError:
        return
    assert not found.axis.trusted


@pytest.mark.real
def test_the_neon_of_the_real_arc_is_noticed_where_its_header_names_mercury_alone(
    real_frames, altered
):
    reference, _ = solve_file(real_frames / "sp_400m1.fits")
    found = altered(LAMP_NE=False, OBJECT="HgAr")
    assert found.axis.trusted, found.axis.reasons
    assert found.axis.unnamed == ("NE",)
    x = np.linspace(*found.axis.coverage, 300)
    apart = (found.axis.wavelength(x) - reference.axis.wavelength(x)) / found.axis.scale(x)
    assert np.abs(apart).max() <= 0.1


@pytest.fixture(scope="module")
def simulated_arc(tmp_path_factory):
    path = tmp_path_factory.mktemp("arc") / "0007_arc.fits"
    simulated(setup("Blue", "600_BLUE"), ("CU",), seed=3).write(path)
    return path


def test_the_table_has_lines_and_pixels(simulated_arc):
    before = simulated_arc.read_bytes()
    done = CliRunner().invoke(arc, [str(simulated_arc)])
    assert done.exit_code == 0, done.output
    assert "trusted" in done.output
    assert "Ar II" in done.output
    assert "km/s" in done.output
    assert simulated_arc.read_bytes() == before


def test_wrong_lamps_exit_with_another_code(simulated_arc):
    done = CliRunner().invoke(arc, [str(simulated_arc), "--lamps", "NE"])
    assert done.exit_code in {1, 3}
    assert "trust" in done.output or "identified" in done.output


def test_an_unknown_lamp_is_refused(simulated_arc):
    done = CliRunner().invoke(arc, [str(simulated_arc), "--lamps", "XE"])
    assert done.exit_code == 2
    assert "HGA" in done.output


def test_a_bias_is_no_arc(tmp_path):
    path = tmp_path / "bias.fits"
    bias(setup("Red", "400_M1"), seed=1).write(path)
    done = CliRunner().invoke(arc, [str(path)])
    assert done.exit_code == 1
    assert "lamp" in done.output.lower()


def test_garbage_is_refused_in_words(tmp_path):
    path = tmp_path / "x.fits"
    path.write_bytes(b"not a FITS file at all" * 200)
    done = CliRunner().invoke(arc, [str(path)])
    assert done.exit_code == 1
    assert "x.fits" in done.output
    assert not isinstance(done.exception, (ValueError, OSError))
