"""Tables of the stars of an image, as FITS and as ECSV."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from astropy.io.ascii import write as write_ascii
from astropy.table import Table

from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from goodman_live.pipeline.core.astrometry import Solution
    from goodman_live.pipeline.core.photometry import Photometry
    from goodman_live.pipeline.core.sources import Sources


def write_photometry(
    path: Path,
    sources: Sources,
    magnitudes: Photometry,
    solution: Solution,
    header: fits.Header,
) -> None:
    """Write the stars of an image: positions, magnitudes, flags.

    Parameters
    ----------
    path : Path
        Where.
    sources, magnitudes, solution
        What was measured.
    header : Header
        Of the image; its cards go into the primary HDU.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    ra, dec = solution.to_sky(sources.x, sources.y)
    scale = solution.scale_arcsec
    columns = [
        fits.Column("x", "D", "pix", array=sources.x),
        fits.Column("y", "D", "pix", array=sources.y),
        fits.Column("ra", "D", "deg", array=ra),
        fits.Column("dec", "D", "deg", array=dec),
        fits.Column("position_error", "D", "arcsec", array=sources.sigma * scale),
        fits.Column("magnitude", "D", "mag", array=magnitudes.magnitude),
        fits.Column("magnitude_error", "D", "mag", array=magnitudes.error),
        fits.Column("psf_magnitude", "D", "mag", array=magnitudes.psf_magnitude),
        fits.Column("psf_magnitude_error", "D", "mag", array=magnitudes.psf_error),
        fits.Column("flux", "D", "ct / s", array=magnitudes.electrons_s),
        fits.Column("background", "D", "adu", array=magnitudes.background),
        fits.Column("fwhm", "D", "arcsec", array=sources.fwhm * scale),
        fits.Column("elongation", "D", array=sources.elongation),
        fits.Column("clean", "L", array=sources.clean),
        fits.Column("matched", "L", array=np.isin(np.arange(len(sources)), solution.source)),
    ]
    primary = record.strip(header)
    for key in list(primary):
        if key.startswith(("CD1_", "CD2_", "A_", "B_")) or key in _WCS:
            primary.remove(key, ignore_missing=True)
    record.name(primary, path, 2, None)
    table = fits.BinTableHDU.from_columns(columns, name="STARS")
    table.header["COMMENT"] = _ORIGIN
    hdus = fits.HDUList([fits.PrimaryHDU(header=primary), table])
    record.fit_comments(hdus[0].header)
    with whole_file(path) as stream:
        hdus.writeto(stream, checksum=True)


def write_photometry_text(path: Path, table: Path) -> None:
    """Write the stars of a table once more as ECSV: text with units and facts of the image.

    The format is that of APE 6 (Aldcroft & Robitaille), which astropy, TOPCAT and any reader of
    tables separated by blanks take.

    Parameters
    ----------
    path : Path
        Where, ending in ``.ecsv``.
    table : Path
        What `write_photometry` wrote.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    stars = Table.read(table, hdu="STARS")
    header = fits.getheader(table)
    facts = {key: header[key] for key in _FACTS if key in header}
    plain = {
        key: value if isinstance(value, str | int | float) else None
        for key, value in facts.items()
    }
    stars.meta = {**plain, "comments": [_ORIGIN]}
    text = io.StringIO()
    write_ascii(stars, text, format="ecsv")
    with whole_file(path) as stream:
        stream.write(text.getvalue().encode())


_ORIGIN = "x and y are 0-based; ra and dec are ICRS at the date of exposure"
_FACTS = ("OBJECT", "DATE-OBS", "EXPTIME", "FILTER", "FILTER2", "AIRMASS", "GSP_VERS", "GSP_ONAM",
          "GSP_FNAM", "GSP_ACAT", "GSP_ARMS", "GSP_ANST", "GSP_AEPO", "GSP_PSYS", "GSP_PZPT",
          "GSP_PZER", "GSP_PLIM", "GSP_PSKY", "GSP_PFWH")  # fmt: skip
_WCS = frozenset(
    ("WCSAXES", "CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "RADESYS", "CRVAL1", "CRVAL2", "CRPIX1",
     "CRPIX2")
)  # fmt: skip
