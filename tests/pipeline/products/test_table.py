"""One-dimensional products open in specutils, as linear WCS and as plain tables."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import specutils
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.pipeline.products.fits import read_info, read_raw, read_spectrum, write_spectrum
from goodman_live.pipeline.products.table import linear_axis, to_table, write_ecsv

SIZE = 2030


@pytest.fixture
def spectrum(raw_file):
    frame, _ = read_raw(raw_file())
    rng = np.random.default_rng(3)
    return Spectrum(
        flux=rng.normal(1000, 30, SIZE),
        uncertainty=np.full(SIZE, 30.0),
        flags=(rng.uniform(size=SIZE) < 0.01).astype(np.uint8) * 4,
        sky=np.full(SIZE, 50.0),
        column=50.5 + 2.0 * np.arange(SIZE),
        trace=np.full(SIZE, 2095.0),
        header=frame.header,
    )


LINEAR = 3500.0 + 1.974518 * np.arange(SIZE)
NATIVE = LINEAR + 2e-6 * np.arange(SIZE) ** 2


def calibrated(spectrum, wavelength):
    return replace(spectrum, wavelength=wavelength, wavelength_uncertainty=np.full(SIZE, 0.05))


@pytest.mark.parametrize("wavelength", [None, LINEAR, NATIVE], ids=["none", "linear", "native"])
class TestEveryAxis:
    def product(self, tmp_path, spectrum, wavelength):
        path = tmp_path / "we.fits"
        if wavelength is not None:
            spectrum = calibrated(spectrum, wavelength)
        write_spectrum(path, spectrum, data_type=3 if wavelength is None else 4)
        return path, spectrum

    def test_comes_back_as_it_was(self, tmp_path, spectrum, wavelength):
        path, spectrum = self.product(tmp_path, spectrum, wavelength)
        back = read_spectrum(path)
        for name in ("flux", "uncertainty", "flags", "sky", "column", "trace"):
            np.testing.assert_array_equal(getattr(back, name), getattr(spectrum, name))
        if wavelength is None:
            assert back.wavelength is None
        else:
            np.testing.assert_array_equal(back.wavelength, wavelength)
        assert back.header["OBJECT"] == "SN2023abc"

    def test_opens_in_specutils(self, tmp_path, spectrum, wavelength):
        path, spectrum = self.product(tmp_path, spectrum, wavelength)
        read = specutils.Spectrum.read(path)
        np.testing.assert_allclose(read.flux.to_value("adu"), spectrum.flux)
        np.testing.assert_allclose(read.uncertainty.array, spectrum.uncertainty)
        unit, axis = (u.pix, spectrum.column) if wavelength is None else (u.AA, wavelength)
        np.testing.assert_allclose(read.spectral_axis.to_value(unit), axis)

    def test_opens_as_tables(self, tmp_path, spectrum, wavelength):
        path, spectrum = self.product(tmp_path, spectrum, wavelength)
        text = tmp_path / "we.ecsv"
        write_ecsv(text, spectrum)
        for table in (Table.read(path, hdu="SPECTRUM"), Table.read(text, format="ascii.ecsv")):
            np.testing.assert_allclose(table["flux"], spectrum.flux)
            assert table["flux"].unit == u.adu
            assert ("wavelength" in table.colnames) == (wavelength is not None)
        read = specutils.Spectrum.read(str(text))
        np.testing.assert_allclose(read.flux.to_value("adu"), spectrum.flux)

    def test_is_legal_fits(self, tmp_path, spectrum, wavelength):
        path, _ = self.product(tmp_path, spectrum, wavelength)
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["NAXIS"] == 1
            assert hdus[0].data.dtype == np.dtype(">f4")

    def test_facts_are_still_known(self, tmp_path, spectrum, wavelength):
        path, _ = self.product(tmp_path, spectrum, wavelength)
        assert read_info(path).object_name == "SN2023abc"


def test_linear_axis_is_the_wcs_that_iraf_and_others_read(tmp_path, spectrum):
    path = tmp_path / "we.fits"
    write_spectrum(path, calibrated(spectrum, LINEAR), data_type=4)
    header = fits.getheader(path)
    assert (header["CTYPE1"], header["WAT0_001"]) == ("LINEAR", "system=equispec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        axis = WCS(header).pixel_to_world_values(np.arange(SIZE))
        read = specutils.Spectrum.read(path, format="wcs1d-fits")
    np.testing.assert_allclose(axis, LINEAR, rtol=0, atol=1e-6)
    np.testing.assert_allclose(read.spectral_axis.to_value(u.AA), LINEAR, rtol=0, atol=1e-6)


def test_native_axis_claims_no_linear_wavelengths(tmp_path, spectrum):
    path = tmp_path / "we.fits"
    write_spectrum(path, calibrated(spectrum, NATIVE), data_type=4)
    header = fits.getheader(path)
    assert (header["CTYPE1"], header["CDELT1"]) == ("PIXEL", 1.0)
    assert "CUNIT1" not in header


def test_linear_axis_is_recognised_to_a_millionth_of_a_pixel():
    assert linear_axis(LINEAR) == (3500.0, pytest.approx(1.974518))
    assert linear_axis(NATIVE) is None
    bent = LINEAR.copy()
    bent[1000] += 1e-5
    assert linear_axis(bent) is None
    assert linear_axis(None) is None


def test_rewriting_on_another_axis_leaves_no_old_wcs(tmp_path, spectrum):
    write_spectrum(tmp_path / "a.fits", calibrated(spectrum, LINEAR), data_type=4)
    back = read_spectrum(tmp_path / "a.fits")
    write_spectrum(tmp_path / "b.fits", replace(back, wavelength=None), data_type=3)
    header = fits.getheader(tmp_path / "b.fits")
    assert (header["CRVAL1"], header["CTYPE1"]) == (1.0, "PIXEL")
    assert "WAVEMIN" not in header


def test_table_tells_where_it_comes_from(spectrum):
    assert to_table(spectrum).meta["GSP_ONAM"] == "0317_SN2023abc_05-07-2023.fits"


def test_raw_frame_is_no_spectrum(raw_file):
    with pytest.raises(BadFrameError, match="is not a 1-D product"):
        read_spectrum(raw_file())
