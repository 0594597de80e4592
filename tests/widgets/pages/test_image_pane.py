"""What the image of the Advanced page is told: pixels, wavelengths and coordinates as they are."""

import base64
import math

import numpy as np
import pytest
from astropy.wcs import WCS

from goodman_live.widgets.pages.image_pane import celestial, numbers, tile, wavelengths

WINDOW = {"x0": 50, "y0": 1100, "xbin": 2, "ybin": 2}


def packed(values, dtype):
    data = np.ascontiguousarray(values, dtype)
    text = base64.b64encode(data.tobytes()).decode()
    return {"data": text, "dtype": dtype, "shape": list(data.shape)}


def test_a_tile_has_its_pixels_flags_and_place():
    pixels, flags = np.arange(6.0).reshape(2, 3), np.eye(2, 3)
    answer = {"region": [10, 13, 4, 6], "pixels": packed(pixels, "<f4")}
    found = tile({**answer, "flags": packed(flags, "|u1")})
    assert found["region"] == [10, 4, 13, 6]
    np.testing.assert_array_equal(np.frombuffer(found["pixels"], "<f4"), pixels.ravel())
    assert np.frombuffer(found["flags"], "u1").tolist() == [1, 0, 0, 0, 1, 0]
    assert tile({**answer, "flags": None})["flags"] == b""


def test_a_cut_says_nothing_where_there_is_no_number():
    row = packed([[1.5, np.nan, np.inf, -2.0]], "<f4")
    assert numbers({"pixels": row}) == [1.5, None, None, -2.0]


@pytest.mark.parametrize("flipped", [False, True])
def test_wavelengths_are_told_for_the_columns_of_the_image(flipped):
    column = np.arange(50.5, 4110.5, 2.0)
    wave = 3000 + 2.0 * (column - 50.5) + 1e-5 * (column - 50.5) ** 2
    if flipped:
        wave = wave[::-1]
    order = np.argsort(wave)  # the service gives rising wavelengths
    answer = {"column": column[order].tolist(), "x": {"values": wave[order].tolist()}}
    told = wavelengths(answer, WINDOW)
    assert told["column"] == sorted(told["column"])
    assert len(told["column"]) < 700
    every = (column - 50 - 0.5) / 2
    np.testing.assert_allclose(
        np.interp(every, told["column"], told["wavelength"]), wave, atol=0.02
    )


def header(**cards):
    return [{"keyword": name, "value": value} for name, value in cards.items()]


def test_the_solution_of_a_header_is_the_one_that_astropy_reads():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [83.6, -30.2], [512.0, 500.0]
    angle = math.radians(33)
    turned = np.array([[-math.cos(angle), math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    wcs.wcs.cd = 4.17e-5 * turned
    for cards in (dict(wcs.to_header()), None):
        given = cards or {
            "CTYPE1": "RA---TAN",
            **{f"CD{i}_{j}": wcs.wcs.cd[i - 1, j - 1] for i in (1, 2) for j in (1, 2)},
            **{f"CRPIX{i}": wcs.wcs.crpix[i - 1] for i in (1, 2)},
            **{f"CRVAL{i}": wcs.wcs.crval[i - 1] for i in (1, 2)},
        }
        found = celestial(header(**given))
        np.testing.assert_allclose(found["cd"], wcs.wcs.cd, rtol=1e-9)
        assert found["crpix"] == [512.0, 500.0]
        assert found["crval"] == [83.6, -30.2]


def test_a_header_without_a_whole_solution_has_none():
    assert celestial(header(CTYPE1="LINEAR")) is None
    assert celestial(header(CTYPE1="RA---TAN", CRPIX1=1.0)) is None
    assert celestial(header(CTYPE1="RA---TAN", CRPIX1="x", CRPIX2="y")) is None
