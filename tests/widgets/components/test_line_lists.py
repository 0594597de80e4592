"""The lists of lines: whole, in order, and true where laboratory lines tell."""

import csv
from importlib.resources import files

import pytest

from goodman_live.widgets.components.line_lists import FAMILIES, lines

BALMER = {"H\u03b1": 3, "H\u03b2": 4, "H\u03b3": 5, "H\u03b4": 6, "H8": 8}
RYDBERG = 109677.5834
"""Of hydrogen, per centimetre."""


def in_air(vacuum):
    """Return a wavelength in air, Angstrom (Edlen as in Morton 1991, ApJS 77, 119)."""
    square = (1e4 / vacuum) ** 2
    index = 1 + 6.4328e-5 + 2.94981e-2 / (146 - square) + 2.5540e-4 / (41 - square)
    return vacuum / index


def test_every_family_is_there_in_its_order_and_in_the_range_of_the_instrument():
    found = lines()
    families = list(dict.fromkeys(one["family"] for one in found))
    assert families == list(FAMILIES)
    for family in families:
        waves = [one["wave"] for one in found if one["family"] == family]
        assert waves == sorted(waves)
        assert 3200 < waves[0] < waves[-1] < 10500
    assert all(not one["end"] or one["end"] > one["wave"] for one in found)


@pytest.mark.parametrize(("name", "upper"), BALMER.items())
def test_hydrogen_is_where_its_series_says(name, upper):
    vacuum = 1e8 / (RYDBERG * (1 / 4 - 1 / upper**2))
    told = {one["wave"] for one in lines() if one["name"] == name}
    assert len(told) == 1
    # Rydberg's formula leaves the fine structure out, a tenth of an Angstrom at most.
    assert told.pop() == pytest.approx(in_air(vacuum), abs=0.1)


def test_mercury_of_the_sky_is_mercury_of_the_lamp():
    text = (files("goodman_live.pipeline.data") / "laboratory_lines.csv").read_text()
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    lamp = [
        float(cell)
        for row in rows
        if any("Hg" in cell for cell in row)
        for cell in row
        if cell.replace(".", "").isdigit() and float(cell) > 3000
    ]
    sky = [one["wave"] for one in lines() if one["name"] == "Hg I"]
    assert len(sky) == 3
    for wave in sky:
        assert min(abs(wave - one) for one in lamp) < 0.05


def test_the_file_says_where_its_numbers_come_from():
    text = (files("goodman_live.widgets") / "data" / "lines.csv").read_text(encoding="utf-8")
    assert "# source:" in text
