"""One-dimensional products as FITS: table, linear WCS, and plain text tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.pipeline.products.atomic import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_COLUMNS = (
    # name, unit (None: that of the flux), format
    ("wavelength", "Angstrom", "D"),
    ("flux", None, "D"),
    ("uncertainty", None, "D"),
    ("flags", "", "B"),
    ("sky", None, "D"),
    ("column", "pix", "D"),
    ("trace", "pix", "D"),
    ("wavelength_uncertainty", "Angstrom", "D"),
)
"""Columns of the table ``SPECTRUM`` in their order: readers of other software take the first
column of wavelength as the axis, the first of flux as flux and the next as its uncertainty."""

_LINEAR_TOLERANCE = 1e-6
"""Largest deviation from a linear axis, in steps of the axis."""

_WCS_KEYS = (
    *("WCSDIM", "WCSAXES", "CTYPE1", "CUNIT1", "CRVAL1", "CRPIX1", "CDELT1", "CD1_1"),
    *("LTM1_1", "LTV1", "WAT0_001", "WAT1_001", "DC-FLAG", "DCLOG1", "BANDID1", "APNUM1"),
    *("DISPAXIS", "AIRORVAC", "WAVEMIN", "WAVEMAX"),
)


def spectrum_hdus(spectrum: Spectrum, header: fits.Header) -> list[Any]:
    """Return the HDUs of a 1-D product.

    Parameters
    ----------
    spectrum : Spectrum
        What is written.
    header : Header
        Primary header, without structure cards; the WCS and BUNIT are set in it.
    """
    header["BUNIT"] = (spectrum.unit, "unit of the flux")
    _set_axis(header, spectrum.wavelength)
    return [fits.PrimaryHDU(np.asarray(spectrum.flux, np.float32), header), _table_hdu(spectrum)]


def _table_hdu(spectrum: Spectrum) -> Any:
    """Return the table as bytes with a header of its own.

    astropy's table HDU imports all of its tables when it is filled, half a second of processor
    time in each worker.
    """
    there = [row for row in _COLUMNS if getattr(spectrum, row[0]) is not None]
    kinds = [(name, ">f8" if form == "D" else "u1") for name, _, form in there]
    rows = np.empty(len(spectrum.flux), dtype=kinds)
    header = fits.Header(
        [
            ("XTENSION", "BINTABLE", "binary table"),
            ("BITPIX", 8),
            ("NAXIS", 2),
            ("NAXIS1", rows.dtype.itemsize, "bytes in a row"),
            ("NAXIS2", len(rows), "rows"),
            ("PCOUNT", 0),
            ("GCOUNT", 1),
            ("TFIELDS", len(there), "columns"),
        ]
    )
    for number, (name, unit, form) in enumerate(there, 1):
        rows[name] = getattr(spectrum, name)
        header[f"TTYPE{number}"] = name
        header[f"TFORM{number}"] = form
        if unit != "":
            header[f"TUNIT{number}"] = spectrum.unit if unit is None else unit
    header["EXTNAME"] = "SPECTRUM"
    data = rows.tobytes()
    padding = b"\0" * (-len(data) % 2880)
    return fits.BinTableHDU.fromstring(header.tostring().encode("ascii") + data + padding)


def spectrum_of(table: Any, header: fits.Header) -> Spectrum:
    """Return the spectrum in a table ``SPECTRUM``.

    Raises
    ------
    KeyError
        If a column is missing.
    """
    optional = {"wavelength", "wavelength_uncertainty"}
    arrays: dict[str, Any] = {}
    for name, _, form in _COLUMNS:
        if name in optional and name not in table.names:
            continue
        arrays[name] = np.array(table[name], dtype=np.uint8 if form == "B" else np.float64)
    return Spectrum(**arrays, header=header, unit=header.get("BUNIT", "adu"))


def linear_axis(wavelength: NDArray[np.float64] | None) -> tuple[float, float] | None:
    """Return first wavelength and step (Angstrom) of a linear axis, None if it is not linear."""
    if wavelength is None or len(wavelength) < 2 or not np.isfinite(wavelength).all():
        return None
    step = float(wavelength[-1] - wavelength[0]) / (len(wavelength) - 1)
    line = wavelength[0] + step * np.arange(len(wavelength))
    if step == 0 or np.abs(wavelength - line).max() > _LINEAR_TOLERANCE * abs(step):
        return None
    return float(wavelength[0]), step


def _set_axis(header: fits.Header, wavelength: NDArray[np.float64] | None) -> None:
    """Write the axis: linear wavelengths as IRAF does, anything else as plain pixels."""
    aperture = header.get("APNUM1", "1 1 0 0")
    for key in _WCS_KEYS:
        header.remove(key, ignore_missing=True, remove_all=True)
    linear = linear_axis(wavelength)
    start, step = linear or (1.0, 1.0)
    header["DISPAXIS"] = (1, "dispersion runs along the first axis")
    header["WCSDIM"] = 1
    header["CTYPE1"] = ("LINEAR" if linear else "PIXEL", "wavelength in air" if linear else "")
    if linear:
        header["CUNIT1"] = "Angstrom"
    header["CRVAL1"] = start
    header["CRPIX1"] = 1.0
    header["CDELT1"] = step
    header["CD1_1"] = step
    header["LTM1_1"] = 1.0
    header["WAT0_001"] = "system=equispec"
    label = (
        "wtype=linear label=Wavelength units=angstroms" if linear else "wtype=linear label=Pixel"
    )
    header["WAT1_001"] = label
    header["DC-FLAG"] = (0 if linear else -1, "0: linear wavelengths, -1: none")
    header["DCLOG1"] = "none"
    header["BANDID1"] = "spectrum - background median, weights as in GSP_EXTR"
    header["APNUM1"] = aperture
    if wavelength is not None:
        header["AIRORVAC"] = ("air", "medium of the wavelengths")
        header["WAVEMIN"] = (float(np.nanmin(wavelength)), "Angstrom")
        header["WAVEMAX"] = (float(np.nanmax(wavelength)), "Angstrom")


def to_table(spectrum: Spectrum) -> Any:
    """Return a spectrum as an astropy ``Table`` with units."""
    from astropy.table import Table  # noqa: PLC0415  (0.3 s that reducing frames never needs)

    table = Table()
    for name, unit, _ in _COLUMNS:
        data = getattr(spectrum, name)
        if data is not None:
            table[name] = data
            table[name].unit = (spectrum.unit if unit is None else unit) or None
    for key in ("OBJECT", "DATE-OBS", "EXPTIME", "GSP_ONAM", "GSP_FNAM", "AIRORVAC"):
        if key in spectrum.header:
            table.meta[key] = spectrum.header[key]
    return table


def write_ecsv(path: Path, spectrum: Spectrum) -> None:
    """Write a spectrum as a plain text table (ECSV), whole or not at all.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    from io import StringIO  # noqa: PLC0415

    text = StringIO()
    to_table(spectrum).write(text, format="ascii.ecsv")
    with whole_file(path) as stream:
        stream.write(text.getvalue().encode())
