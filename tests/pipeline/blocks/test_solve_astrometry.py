"""Images of fields whose coordinates and magnitudes are known, through the whole block."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from click.testing import CliRunner

from goodman_live.pipeline.blocks.solve_astrometry import solve_astrometry
from goodman_live.pipeline.core.astrometry import deproject, project
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    MissingCalibrationError,
    UntrustedSolutionError,
)
from goodman_live.pipeline.night.run import reduce_night
from goodman_live.pipeline.products.fits import read_header
from goodman_live.pipeline.products.starcat import build_catalogue, read_field
from goodman_live.pipeline.stars_command import stars

from .star_field import DEC, PLAIN, RA, ZERO, field


def error_arcsec(path, truth):
    """Return the mean and rms error of the written WCS over the field, read by astropy."""
    matrix, middle, _, _ = truth
    header = fits.getheader(path)
    wcs = WCS(header, fix=False)
    nx, ny = header["NAXIS1"], header["NAXIS2"]
    x, y = (
        grid.ravel()
        for grid in np.meshgrid(np.linspace(0.2, 0.8, 6) * nx, np.linspace(0.2, 0.8, 6) * ny)
    )
    plane = np.column_stack([x - middle[0], y - middle[1]]) @ matrix.T
    ra, dec = deproject(plane[:, 0], plane[:, 1], RA, DEC)
    seen = wcs.all_pix2world(np.column_stack([x, y]), 0)
    away = np.column_stack(project(seen[:, 0], seen[:, 1], RA, DEC)) - plane
    assert np.allclose(np.column_stack(project(ra, dec, RA, DEC)), plane)
    return np.abs(away.mean(axis=0)).max() * 3600, np.sqrt(np.mean(away**2)) * 3600


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky")
    reduced, catalogue, truth = field(folder, 1)
    result = solve_astrometry(reduced, catalogue=catalogue, out_dir=folder, settings=PLAIN)
    return result, truth, reduced, catalogue


def test_the_written_coordinates_are_true_to_the_pixel_origin(solved):
    result, truth, _, _ = solved
    zero, rms = error_arcsec(result.products[0].path, truth)
    assert zero <= 0.03
    assert rms <= 0.05
    assert result.products[0].quality["rms_arcsec"] <= 0.05
    assert result.products[0].data_type == 2
    assert any("pointed" in text for text in result.messages)


@pytest.mark.parametrize(("seed", "mirrored", "turn"), [(2, True, 200.0), (3, False, 300.0)])
def test_either_parity_and_any_rotation(tmp_path, seed, mirrored, turn):
    reduced, catalogue, truth = field(tmp_path, seed, mirrored=mirrored, turn=turn)
    result = solve_astrometry(reduced, catalogue=catalogue, out_dir=tmp_path, settings=PLAIN)
    zero, rms = error_arcsec(result.products[0].path, truth)
    assert zero <= 0.03
    assert rms <= 0.05
    assert result.products[0].quality["mirrored"] is not mirrored


@pytest.mark.parametrize("exptime_s", [5.0, 60.0, 300.0])
def test_the_zero_point_is_right_at_any_exposure_time(tmp_path, exptime_s):
    reduced, catalogue, _ = field(tmp_path, 4, exptime_s=exptime_s)
    result = solve_astrometry(reduced, catalogue=catalogue, out_dir=tmp_path, settings=PLAIN)
    quality = result.products[0].quality
    assert quality["zero_point_mag"] == pytest.approx(ZERO, abs=0.03)
    assert quality["magnitude_system"] == "r"
    assert quality["zero_point_error_mag"] < 0.03


def test_magnitudes_and_limits(solved):
    result, truth, _, _ = solved
    product = result.products[1]
    assert product.role == "photometry"
    assert read_header(product.path)["GSP_FNAM"] == product.path.name
    table = Table.read(product.path, hdu="STARS")
    _, _, red, pixel = truth
    x, y = pixel.T
    found, weighted = [], []
    for magnitude, column, row in zip(red, x, y, strict=True):
        near = np.hypot(table["x"] - column, table["y"] - row)
        k = int(np.argmin(near))
        if near[k] < 1 and table["clean"][k] and magnitude < 19:
            found.append(table["magnitude"][k] - magnitude)
            weighted.append(table["psf_magnitude"][k] - magnitude)
    assert len(found) > 15
    assert abs(np.median(found)) < 0.03
    assert np.std(found) < 0.1
    assert abs(np.median(weighted)) < 0.03
    assert np.std(weighted) < 0.1
    faint = table["magnitude_error"] > 0.05
    assert np.median(table["psf_magnitude_error"][faint] / table["magnitude_error"][faint]) < 1
    quality = result.products[0].quality
    assert 20 < quality["limit_mag"] < 27
    assert 15 < quality["sky_mag_arcsec2"] < 25
    assert quality["seeing_arcsec"] == pytest.approx(0.9, rel=0.25)


def test_the_stars_are_a_table_of_text_too(solved):
    result, _, _, _ = solved
    table, text = result.products[1:]
    assert (text.role, text.path.suffix) == ("photometry text", ".ecsv")
    read, same = Table.read(text.path), Table.read(table.path, hdu="STARS")
    assert read.colnames == same.colnames
    assert all(str(read[name].unit or "") == str(same[name].unit or "") for name in read.colnames)
    np.testing.assert_allclose(read["ra"], same["ra"], rtol=1e-12)
    assert read["clean"].dtype == bool
    assert read.meta["GSP_PZPT"] == pytest.approx(result.products[0].quality["zero_point_mag"])
    assert read.meta["OBJECT"] == "Field"


def test_a_folder_is_solved_by_itself_where_there_are_stars(solved, tmp_path):
    _, _, _, catalogue = solved
    raws = tmp_path / "raw"
    raws.mkdir()
    (raws / "image1.fits").write_bytes((catalogue.parent / "image1.fits").read_bytes())
    report = reduce_night(raws, tmp_path / "out", settings=PLAIN, workers=1, stars=catalogue)
    (row,) = report.files.values()
    assert row.state == "solved"
    assert {product.role for product in row.products} >= {"", "photometry", "photometry text"}
    assert any("_wcs" in product.path.name for product in row.products)
    _, other, _ = field(tmp_path, 9)
    report = reduce_night(raws, tmp_path / "again", settings=PLAIN, workers=1, stars=other)
    (row,) = report.files.values()
    assert row.state == "reduced"
    assert report.ok
    assert any("do not match" in reason for reason in row.reasons)


def test_a_field_that_cannot_be_solved_says_why(solved, tmp_path):
    _, _, reduced, _ = solved
    _, other, _ = field(tmp_path, 9)
    with pytest.raises(UntrustedSolutionError, match="do not match"):
        solve_astrometry(reduced, catalogue=other, out_dir=tmp_path, settings=PLAIN)
    assert not list(tmp_path.glob("*wcs*"))


def test_without_a_catalogue_it_says_what_to_do(solved, tmp_path, monkeypatch):
    _, _, reduced, _ = solved
    monkeypatch.delenv("GOODMAN_STARS", raising=False)
    with pytest.raises(MissingCalibrationError, match="GOODMAN_STARS"):
        solve_astrometry(reduced, out_dir=tmp_path, settings=PLAIN)
    with pytest.raises(MissingCalibrationError, match="goodman-live stars"):
        solve_astrometry(
            reduced, catalogue=tmp_path / "none.gls", out_dir=tmp_path, settings=PLAIN
        )


class Service(BaseHTTPRequestHandler):
    """A star service that answers every field with the table that it was given."""

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        self.server.asked.append({name: float(value[0]) for name, value in asked.items()})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.table)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serving(table):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.table, server.asked = table, []
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_star_service_is_asked_where_the_index_has_no_stars(solved, tmp_path, monkeypatch):
    _, _, reduced, catalogue = solved
    far = Table({"ra": [10.0, 11.0], "dec": [-80.0, -80.0], "g": [15.0, 16.0]})
    far.write(tmp_path / "far.csv")
    build_catalogue(tmp_path / "far.csv", tmp_path / "far.gls")
    options = {"catalogue": tmp_path / "far.gls", "out_dir": tmp_path, "settings": PLAIN}
    monkeypatch.delenv("GOODMAN_STARS_URL", raising=False)
    with pytest.raises(UntrustedSolutionError, match=r"far.gls has 0 stars within 7 arcmin"):
        solve_astrometry(reduced, **options)
    with serving(catalogue.with_suffix(".csv").read_bytes()) as server:
        address = f"http://127.0.0.1:{server.server_port}/?ra={{ra}}&dec={{dec}}&r={{radius}}"
        monkeypatch.setenv("GOODMAN_STARS_URL", address)
        done = solve_astrometry(reduced, **options).products[0]
        assert done.quality["rms_arcsec"] < 0.05
        assert read_header(done.path)["GSP_ACAT"] == "127.0.0.1"
        (asked,) = server.asked
        assert (asked["ra"], asked["dec"]) == pytest.approx((RA, DEC), abs=0.05)
        # A field that the index covers asks nobody.
        solve_astrometry(reduced, **(options | {"catalogue": catalogue}))
        assert len(server.asked) == 1
        server.table = b"<html>moved"
        with pytest.raises(UntrustedSolutionError, match="no table"):
            solve_astrometry(reduced, **options)
    with pytest.raises(UntrustedSolutionError, match=r"star service 127.0.0.1 gave no stars"):
        solve_astrometry(reduced, **options)
    monkeypatch.setenv("GOODMAN_STARS_URL", "file:///etc/hostname?{ra}{dec}{radius}")
    with pytest.raises(UntrustedSolutionError, match="no http address"):
        solve_astrometry(reduced, **options)


def test_an_empty_or_worded_table_is_no_catalogue(tmp_path):
    for name, column, match in (("empty", [], "no star with"), ("words", ["x"], "not hold numb")):
        Table({"ra": column, "dec": column, "g": column}).write(tmp_path / f"{name}.ecsv")
        with pytest.raises(BadFrameError, match=match):
            build_catalogue(tmp_path / f"{name}.ecsv", tmp_path / "no.gls")
    assert not (tmp_path / "no.gls").exists()


def test_the_catalogue_gives_back_what_it_was_made_of(solved):
    _, _, _, catalogue = solved
    read = read_field(catalogue, RA, DEC, 0.05)
    assert len(read) > 30
    assert np.all(np.diff(read.g) >= 0)
    assert np.hypot(*project(read.ra, read.dec, RA, DEC)).max() <= 0.0501


def test_the_command_makes_the_index(solved, tmp_path):
    _, _, _, catalogue = solved
    table, index = catalogue.with_suffix(".csv"), tmp_path / "index.gls"
    result = CliRunner().invoke(stars, [str(table), str(index)])
    assert result.exit_code == 0, result.output
    assert index.read_bytes() == catalogue.read_bytes()
    broken = tmp_path / "broken.csv"
    broken.write_text("not, a table of stars\n1, 2\n")
    result = CliRunner().invoke(stars, [str(broken), str(tmp_path / "no.gls")])
    assert result.exit_code == 1
    assert "no column" in result.output
    assert not (tmp_path / "no.gls").exists()


def test_a_damaged_catalogue_is_refused(solved, tmp_path):
    _, _, _, catalogue = solved
    cut = tmp_path / "cut.gls"
    cut.write_bytes(catalogue.read_bytes()[:-7])
    with pytest.raises(BadFrameError, match="size"):
        read_field(cut, RA, DEC, 0.05)
    cut.write_bytes(b"something else entirely, and long enough to hold a head of its own ...")
    with pytest.raises(BadFrameError, match="begin"):
        read_field(cut, RA, DEC, 0.05)


def test_a_table_without_positions_is_refused(tmp_path):
    Table({"ra": [1.0], "g": [3.0]}).write(tmp_path / "t.csv")
    with pytest.raises(BadFrameError, match="no column dec"):
        build_catalogue(tmp_path / "t.csv", tmp_path / "t.gls")
    assert not (tmp_path / "t.gls").exists()
