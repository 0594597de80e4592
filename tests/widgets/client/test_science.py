"""FITS files as CCDData, Spectrum and tables; and how little is imported before."""

import subprocess
import sys

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS

from goodman_live.pipeline.core.frame import Flag, Frame, Window
from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.pipeline.products.fits import write_frame, write_spectrum
from goodman_live.widgets.client import science

HEAVY = ("numpy", "scipy", "astropy", "specutils", "pandas", "tornado", "ipywidgets")


def header():
    cards = fits.Header()
    cards["OBJECT"] = "EG21"
    cards.add_history("made for a test")
    return cards


def celestial(cards):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [10, -30], [3, 2], [-4e-5, 4e-5]
    cards.update(wcs.to_header())
    return cards


def test_an_image_has_uncertainty_mask_flags_and_wcs(tmp_path):
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    flags = np.zeros((3, 4), np.uint8)
    flags[1, 2] = Flag.COSMIC
    frame = Frame(data, data / 10 + 1, flags, celestial(header()), Window(0, 0, 4, 3))
    write_frame(tmp_path / "x.fits", frame, data_type=2)
    image = science.read_ccd(tmp_path / "x.fits")
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.uncertainty.array, data / 10 + 1)
    assert np.argwhere(image.mask).tolist() == [[1, 2]]
    assert image.flags[1, 2] == Flag.COSMIC
    assert image.unit == units.adu
    sky = image.wcs.pixel_to_world(2, 1)
    assert (sky.ra.deg, sky.dec.deg) == (pytest.approx(10), pytest.approx(-30))
    assert image.meta["OBJECT"] == "EG21"
    assert "made for a test" in image.meta["HISTORY"]


def test_a_raw_cube_of_one_plane_is_an_image_without_uncertainty(tmp_path):
    fits.PrimaryHDU(np.full((1, 3, 4), 7, np.uint16)).writeto(tmp_path / "x.fits")
    image = science.read_ccd(tmp_path / "x.fits")
    assert (image.shape, image.data[0, 0]) == ((3, 4), 7)
    assert (image.uncertainty, image.mask, image.wcs) == (None, None, None)


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_spectrum_has_uncertainty_and_mask(tmp_path, calibrated):
    n = 50
    flags = np.zeros(n, np.uint8)
    flags[3], flags[4] = Flag.SATURATED, Flag.EXTRAPOLATED
    wave = np.linspace(5000, 6000, n) + 0.01 * np.arange(n) ** 2
    made = Spectrum(
        flux=np.arange(n, dtype=float),
        uncertainty=np.full(n, 2.0),
        flags=flags,
        sky=np.ones(n),
        column=2.0 * np.arange(n) + 0.5,
        trace=np.full(n, 400.0),
        header=header(),
        wavelength=wave if calibrated else None,
        wavelength_uncertainty=np.full(n, 0.1) if calibrated else None,
    )
    write_spectrum(tmp_path / "x.fits", made, data_type=4 if calibrated else 3)
    found = science.read_spectrum(tmp_path / "x.fits")
    np.testing.assert_allclose(found.flux.value, made.flux)
    np.testing.assert_allclose(found.uncertainty.array, 2.0)
    np.testing.assert_allclose(found.spectral_axis.value, wave if calibrated else made.column)
    assert found.spectral_axis.unit == (units.AA if calibrated else units.pix)
    # What lies beyond the lamp's lines is no worse in flux.
    assert np.flatnonzero(found.mask).tolist() == [3]
    np.testing.assert_allclose(found.meta["sky"], 1.0)
    assert science.EXTRAPOLATED == Flag.EXTRAPOLATED


def test_a_file_of_the_other_kind_is_said(tmp_path):
    fits.PrimaryHDU(np.zeros((3, 4))).writeto(tmp_path / "image.fits")
    with pytest.raises(science.WrongKindError, match="image"):
        science.read_spectrum(tmp_path / "image.fits")
    fits.PrimaryHDU(np.zeros(9)).writeto(tmp_path / "row.fits")
    with pytest.raises(science.WrongKindError, match="no image"):
        science.read_ccd(tmp_path / "row.fits")


def test_a_table_has_a_column_for_each_plain_value_and_masks_what_is_not_there():
    rows = [
        {"id": 2, "object": "A", "airmass": None, "normalized": False, "quality": {}},
        {"id": 1, "object": "B", "airmass": 1.2, "normalized": True, "quality": {}},
    ]
    table = science.table_of(rows)
    assert table.colnames == ["id", "object", "airmass", "normalized"]
    assert table["id"].tolist() == [2, 1]
    assert table["airmass"].mask.tolist() == [True, False]
    assert len(science.table_of([])) == 0


def test_connecting_imports_no_science():
    code = (
        "import sys, goodman_live\n"
        "live = goodman_live.connect('http://127.0.0.1:9/goodman', 't')\n"
        "live.close()\n"
        f"found = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
