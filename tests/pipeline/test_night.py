"""A folder of raw frames to calibrated spectra: truth, bad files, raw files untouched, repeats."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import psutil
import pytest
from astropy.io import fits
from click.testing import CliRunner

from goodman_live.pipeline.cli import main
from goodman_live.pipeline.core.errors import BadFrameError, SettingsError
from goodman_live.pipeline.night.files import find_frames, whole_info
from goodman_live.pipeline.night.run import reduce_night
from goodman_live.pipeline.products.fits import read_frame, read_spectrum
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import (
    CROWDED,
    SUPERNOVA_TARGET,
    Clock,
    calibrations,
    visit,
)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Four bias, four flats, two targets with their arcs: Red 2x2, 400_M1."""
    folder = tmp_path_factory.mktemp("simulated")
    rng = np.random.default_rng(11)
    clock = Clock(datetime(2026, 8, 15, 20, 30, tzinfo=UTC))
    set_up = setup("Red", "400_M1")
    law = random_law(set_up.mode, rng)
    shots = list(calibrations(set_up, clock, rng, law, count=4))
    clock.wait_until(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    shots += visit(set_up, clock, rng, law, SUPERNOVA_TARGET)
    shots += visit(set_up, clock, rng, law, CROWDED)
    write_night(folder, shots)
    return folder


def checksums(folder):
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
    }


@pytest.fixture(scope="session")
def reduced(simulated, tmp_path_factory):
    """The night through the command line, once for all tests: report and folders."""
    out = tmp_path_factory.mktemp("reduced")
    before = checksums(simulated / "RAW")
    result = CliRunner().invoke(main, ["reduce", str(simulated / "RAW"), str(out), "--json"])
    assert result.exception is None, result.output
    assert result.exit_code == 0
    return json.loads(result.stdout), out, before


def rows(report, kind):
    return [row for row in report["files"] if row["kind"] == kind]


def wavelength_error(spectrum, truth):
    """Return measured - true in binned pixels, None where no source lies under the trace."""
    centres = 2.0 * np.arange(2071) + 0.5
    for number in (1, 2, 3):
        if f"trace_{number}" not in truth:
            break
        trace = np.interp(spectrum.column, centres, truth[f"trace_{number}"])
        if abs(np.nanmedian(spectrum.trace - trace)) < 3:
            true = np.interp(spectrum.column, centres, truth[f"wavelength_{number}"])
            error = (spectrum.wavelength - true) / np.gradient(true)
            return error[spectrum.flags == 0]
    return None


class TestGoodNight:
    def test_everything_that_could_be_reduced_was(self, reduced):
        report, _, _ = reduced
        assert report["ok"]
        assert [row["state"] for row in rows(report, "bias")] == ["in a master"] * 4
        assert [row["state"] for row in rows(report, "flat")] == ["in a master"] * 4
        assert [row["state"] for row in rows(report, "arc")] == ["reduced"] * 2
        assert [row["state"] for row in rows(report, "spectrum")] == ["calibrated"] * 2

    def test_choices_are_graded(self, reduced):
        report, _, _ = reduced
        for row in rows(report, "spectrum"):
            assert [text[:6] for text in row["choices"]] == ["bias A", "flat A", "arc A:"]

    def test_products_are_as_reported(self, reduced):
        report, out, _ = reduced
        products = [product for row in report["files"] for product in row["products"]]
        products += report["masters"]
        for product in products:
            content = (out / product["file_name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == product["sha256"]
        assert {path.name for path in out.iterdir()} == {
            product["file_name"] for product in products
        }

    def test_names_begin_as_in_the_public_service(self, reduced):
        report, out, _ = reduced
        names = [path.name for path in out.iterdir()]
        stem = rows(report, "spectrum")[0]["file_name"][:-5]
        assert f"cfzst_{stem}.fits" in names
        assert any(name.startswith(f"ecfzst_{stem}") for name in names)
        assert any(name.startswith(f"wecfzst_{stem}") for name in names)
        assert any(name.startswith("master_bias_RED_SP_2x2_R03.89_G01.48") for name in names)

    def test_wavelengths_are_those_of_the_simulator(self, simulated, reduced):
        """The zero point holds but for the lamps, which fill the pupil each in its own way.

        They are displaced by 0.2 unbinned pixel (one sigma), the target by 0.05.
        """
        report, out, _ = reduced
        for row in rows(report, "spectrum"):
            truth = np.load(simulated / "TRUTH" / f"{row['file_name'][:-5]}.npz")
            for product in row["products"]:
                if product["data_type"] == 4:
                    spectrum = read_spectrum(out / product["file_name"])
                    error = wavelength_error(spectrum, truth)
                    assert error is None or abs(np.median(error)) < 0.3
                    assert error is None or error.std() < 0.1
            first = next(p for p in row["products"] if p["data_type"] == 4)
            assert wavelength_error(read_spectrum(out / first["file_name"]), truth) is not None

    def test_raw_files_are_untouched(self, simulated, reduced):
        _, _, before = reduced
        assert checksums(simulated / "RAW") == before

    def test_headers_keep_the_raw_cards_and_the_record(self, reduced):
        report, out, _ = reduced
        row = rows(report, "spectrum")[0]
        main_product = next(p for p in row["products"] if p["data_type"] == 2 and not p["role"])
        header = read_frame(out / main_product["file_name"]).header
        assert header["OBJECT"] == row["object"]
        assert header["GSP_ONAM"] == row["file_name"]
        assert header["GSP_BIAS"].startswith("master_bias_RED")
        assert header["GSP_FLAT"] != "none"


def test_running_again_into_the_same_folder_is_safe(simulated, reduced, tmp_path):
    report, out, _ = reduced
    copy = tmp_path / "again"
    shutil.copytree(out, copy)
    again = reduce_night(simulated / "RAW", copy)
    assert again.ok
    assert {path.name for path in copy.iterdir()} == {path.name for path in out.iterdir()}
    row = rows(report, "spectrum")[0]["products"][0]["file_name"]
    np.testing.assert_array_equal(read_frame(copy / row).data, read_frame(out / row).data)


@pytest.fixture
def bad_night(simulated, tmp_path):
    """The same night with files of every kind of badness among the good ones."""
    raw = tmp_path / "RAW"
    shutil.copytree(simulated / "RAW", raw)
    names = sorted(path.name for path in raw.iterdir())
    spectrum = next(raw / name for name in names if "SN2026abc" in name and "comp" not in name)
    (raw / "x_empty.fits").touch()
    (raw / "x_text.fits").write_text("no FITS at all")
    (raw / "notes.txt").write_text("ignored")
    shutil.copy(spectrum, raw / "x_cut.fits")
    os.truncate(raw / "x_cut.fits", 1_000_000)
    with fits.open(spectrum) as hdus:
        header = hdus[0].header
        fits.PrimaryHDU(hdus[0].data[:500], header).writeto(raw / "x_small.fits")
        header["OBSTYPE"] = "FOCUS"
        fits.PrimaryHDU(hdus[0].data, header).writeto(raw / "x_foc.fits")
        header["OBSTYPE"] = "SPECTRUM"
        header["GAIN"] = 0.0
        fits.PrimaryHDU(hdus[0].data, header).writeto(raw / "x_gain.fits")
    return raw


def test_bad_files_are_listed_and_the_rest_goes_on(bad_night, reduced, tmp_path):
    good, _, _ = reduced
    result = CliRunner().invoke(
        main, ["reduce", str(bad_night), str(tmp_path / "out"), "--json", "--workers", "1"]
    )
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert not report["ok"]
    by_name = {row["file_name"]: row for row in report["files"]}
    for name, word in {
        "x_empty.fits": "is empty",
        "x_text.fits": "is not a FITS file",
        "x_cut.fits": "is truncated",
        "x_small.fits": "2071 x 500 pixels",
        "x_gain.fits": "GAIN is 0.0",
    }.items():
        assert by_name[name]["state"] == "failed"
        assert name in by_name[name]["reasons"][0]
        assert word in by_name[name]["reasons"][0]
    assert by_name["x_foc.fits"]["state"] == "measured"
    assert "1 focus setting so far" in by_name["x_foc.fits"]["reasons"][0]
    assert not by_name["x_foc.fits"]["failed"]
    assert "notes.txt" not in by_name
    for row in good["files"]:
        assert by_name[row["file_name"]]["state"] == row["state"]
    assert not list((tmp_path / "out").glob(".*"))


def test_without_calibrations_the_reasons_are_said(simulated, tmp_path):
    raw = tmp_path / "RAW"
    raw.mkdir()
    spectrum = next(
        path for path in sorted((simulated / "RAW").iterdir()) if "SN2026" in path.name
    )
    shutil.copy(spectrum, raw)
    report = reduce_night(raw, tmp_path / "out", workers=1)
    (row,) = report.files.values()
    assert row.state == "extracted"
    assert report.ok
    assert any("no bias for Red 2x2" in text for text in row.reasons)
    assert any("no flat for Red 2x2" in text for text in row.reasons)
    assert any("no arc for Red 2x2 400_SYZY 400_M1: none yet" in text for text in row.reasons)
    assert any(product.path.name.startswith("co") for product in row.products) or any(
        "o" in product.path.name.partition("_")[0] for product in row.products
    )


def test_it_can_stop_at_2d_frames(simulated, reduced, tmp_path):
    _, full, _ = reduced
    result = CliRunner().invoke(
        main, ["reduce", str(simulated / "RAW"), str(tmp_path / "out"), "--until", "reduce"]
    )
    assert result.exit_code == 0, result.output
    assert "4 reduced" in result.stdout
    two_d = {path.name for path in full.iterdir() if not path.name.startswith(("e", "w"))}
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {name for name in made if name.startswith(("e", "w"))} == set()
    assert made == {name for name in two_d if "sensitivity" not in name}


def test_ignored_calibrations_are_left_alone(simulated, tmp_path):
    raw = tmp_path / "RAW"
    shutil.copytree(simulated / "RAW", raw)
    settings = ReductionSettings(ignore_bias=True, ignore_flats=True, cosmic_method="none")
    report = reduce_night(raw, tmp_path / "out", settings=settings)
    assert report.masters == []
    names = [path.name for path in (tmp_path / "out").iterdir()]
    # no flat, no slit edges: the slit is not trimmed either
    assert any(name.startswith("to_") for name in names)


def test_summary_for_people(simulated, tmp_path):
    raw = tmp_path / "RAW"
    raw.mkdir()
    bias = min((simulated / "RAW").iterdir())
    shutil.copy(bias, raw / "[red]0001.fits")
    (raw / "x_empty.fits").touch()
    result = CliRunner().invoke(main, ["reduce", str(raw), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "[red]0001.fits" in result.stdout  # no markup
    assert "x_empty.fits is empty" in result.stdout
    assert "1 of 3 bias frames of this set-up and night" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "out"], "nowhere is no folder"),
        ([".", "out"], "holds no FITS files"),
        ([".", "out", "--set", "colour=red"], "NAME=VALUE with a NAME of: apply_flexure"),
        ([".", "out", "--set", "flat_order=many"], "valid integer"),
    ],
)
def test_wrong_arguments_say_what_is_right(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["reduce", *arguments])
    assert result.exit_code != 0
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_products_may_not_go_among_the_raw_frames(bad_night):
    before = checksums(bad_night)
    with pytest.raises(SettingsError, match="may not share a folder"):
        reduce_night(bad_night, bad_night)
    assert checksums(bad_night) == before


def test_hidden_files_are_no_frames(tmp_path):
    (tmp_path / ".part.fits").touch()
    with pytest.raises(BadFrameError, match="holds no FITS"):
        find_frames(tmp_path)


def test_a_link_to_a_file_that_is_gone_is_named(tmp_path):
    lost = tmp_path / "lost.fits"
    lost.symlink_to(tmp_path / "nowhere.fits")
    assert find_frames(tmp_path) == [lost]
    with pytest.raises(BadFrameError, match=r"lost\.fits cannot be read: No such file"):
        whole_info(lost)


def test_two_raw_files_may_not_have_the_same_products(simulated, tmp_path):
    raw = tmp_path / "RAW"
    raw.mkdir()
    bias = min((simulated / "RAW").iterdir())
    shutil.copy(bias, raw / "a.fits")
    with fits.open(bias) as hdus:
        packed = fits.CompImageHDU(hdus[0].data, hdus[0].header)
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(raw / "a.fits.fz")
    report = reduce_night(raw, tmp_path / "out", workers=1)
    failed = [row for row in report.files.values() if row.failed]
    assert [row.file_name for row in failed] == ["a.fits.fz"]
    assert "would have the products of a.fits" in failed[0].reasons[0]


def test_interrupted_it_stops_at_once_and_leaves_nothing_half(simulated, tmp_path):
    """Ctrl-C, as a terminal sends it: to the whole process group."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", "from goodman_live.pipeline.cli import main; main()",
         "reduce", str(simulated / "RAW"), str(out)],
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out.glob("*.fits")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Aborted!" in errors
    assert "Traceback" not in errors
    assert not list(out.glob(".*"))
    while time.monotonic() < deadline and group_members(process.pid):
        time.sleep(0.05)
    assert group_members(process.pid) == []


def group_members(group):
    return [p.pid for p in psutil.process_iter() if group_of(p.pid) == group]


def group_of(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
