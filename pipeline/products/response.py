"""Sensitivity functions as FITS: the curve, its covariance, its bands, the telluric bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.sensitivity import Bands, Sensitivity
from goodman_live.pipeline.core.telluric import Absorption
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import whole_file
from goodman_live.pipeline.products.rawbytes import check_whole

if TYPE_CHECKING:
    from pathlib import Path

_STEP_AA = 10.0
_FAULTS = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, BadFrameError)


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What standards tell of one set-up."""

    sensitivity: Sensitivity
    absorption: Absorption
    header: fits.Header
    """Header of the first standard's spectrum, with the record."""


def write_response(path: Path, response: Response) -> None:
    """Write a sensitivity function whole.

    The primary HDU holds the curve every 10 Angstrom for other tools; ``CURVE``, ``COVARIANCE``,
    ``BANDS`` and ``TELLURIC`` hold what is needed to use it.

    Parameters
    ----------
    path : Path
        Where.
    response : Response
        Its header is not changed.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    curve, air = response.sensitivity, response.absorption
    header = record.strip(response.header)
    record.name(header, path, 1, None)
    grid = np.arange(curve.low, curve.high, _STEP_AA)
    for key, value, comment in (
        ("CTYPE1", "LINEAR", "wavelength in air"),
        ("CUNIT1", "Angstrom", ""),
        ("CRVAL1", curve.low, ""),
        ("CRPIX1", 1.0, ""),
        ("CDELT1", _STEP_AA, ""),
        ("CD1_1", _STEP_AA, ""),
        ("BUNIT", "mag", "2.5 log10 of (e/s/A) / (erg/s/cm2/A)"),
        ("GSP_SLOW", curve.low, "first wavelength constrained, Angstrom"),
        ("GSP_SHIG", curve.high, "last wavelength constrained, Angstrom"),
        ("GSP_SAIR", curve.airmass, "mean airmass of the standards"),
        ("GSP_SGRY", curve.grey_error, "error of the level, mag"),
        ("GSP_SRMS", curve.rms, "scatter of the bands, mag"),
        ("GSP_TAIR", air.airmass, "airmass of the telluric standard"),
    ):
        record.put(header, key, value, comment)
    knots = np.zeros(len(curve.knots))
    knots[: len(curve.coefficients)] = curve.coefficients
    bands = [
        (number, *row)
        for number, one in enumerate(curve.bands)
        for row in zip(one.wavelength, one.magnitude, one.uncertainty, one.used, strict=True)
    ]
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(curve.magnitude(grid).astype(np.float32), header),
            _table("CURVE", {"knot": curve.knots, "coefficient": knots}, "Angstrom", "mag"),
            fits.ImageHDU(curve.covariance, name="COVARIANCE"),
            _bands_table(bands, curve.bands),
            _table(
                "TELLURIC",
                {
                    "wavelength": air.wavelength,
                    "transmission": air.transmission,
                    "uncertainty": air.uncertainty,
                },
                "Angstrom",
            ),
        ]
    )
    record.fit_comments(hdus[0].header)
    with whole_file(path) as stream:
        hdus.writeto(stream, checksum=True)


def read_response(path: Path) -> Response:
    """Read a sensitivity function.

    Raises
    ------
    BadFrameError
        If the file is none, or damaged.
    """
    try:
        check_whole(path)
        with fits.open(path, memmap=False) as hdus:
            return _response(hdus)
    except _FAULTS as error:
        raise BadFrameError(
            f"{path.name} is not a whole sensitivity function: {error}.",
            remedy="Make it again from its standards.",
        ) from error


def _response(hdus: Any) -> Response:
    header = hdus[0].header
    curve, covariance = hdus["CURVE"].data, np.array(hdus["COVARIANCE"].data, dtype=float)
    rows, stars = hdus["BANDS"].data, hdus["BANDS"].header
    bands = []
    for number in range(stars["NSTARS"]):
        mine = rows[rows["exposure"] == number]
        bands.append(
            Bands(
                name=stars[f"FILE{number}"],
                wavelength=np.array(mine["wavelength"], dtype=float),
                magnitude=np.array(mine["magnitude"], dtype=float),
                uncertainty=np.array(mine["uncertainty"], dtype=float),
                used=np.array(mine["used"], dtype=bool),
                grey=stars[f"GREY{number}"],
            )
        )
    air = hdus["TELLURIC"].data
    return Response(
        Sensitivity(
            knots=np.array(curve["knot"], dtype=float),
            coefficients=np.array(curve["coefficient"], dtype=float)[: len(covariance)],
            covariance=covariance,
            low=header["GSP_SLOW"],
            high=header["GSP_SHIG"],
            airmass=header["GSP_SAIR"],
            grey_error=header["GSP_SGRY"],
            rms=header["GSP_SRMS"],
            bands=tuple(bands),
        ),
        Absorption(
            wavelength=np.array(air["wavelength"], dtype=float),
            transmission=np.array(air["transmission"], dtype=float),
            uncertainty=np.array(air["uncertainty"], dtype=float),
            airmass=header["GSP_TAIR"],
        ),
        record.strip(header),
    )


def _table(name: str, columns: dict[str, Any], *units: str) -> Any:
    padded = [*units, *[""] * (len(columns) - len(units))]
    return fits.BinTableHDU.from_columns(
        [
            fits.Column(name=key, array=values, format="D", unit=unit or None)
            for (key, values), unit in zip(columns.items(), padded, strict=True)
        ],
        name=name,
    )


def _bands_table(rows: list[tuple[Any, ...]], bands: tuple[Bands, ...]) -> Any:
    number, wavelength, magnitude, uncertainty, used = zip(*rows, strict=True)
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(name="exposure", array=number, format="J"),
            fits.Column(name="wavelength", array=wavelength, format="D", unit="Angstrom"),
            fits.Column(name="magnitude", array=magnitude, format="D", unit="mag"),
            fits.Column(name="uncertainty", array=uncertainty, format="D", unit="mag"),
            fits.Column(name="used", array=used, format="L"),
        ],
        name="BANDS",
    )
    hdu.header["NSTARS"] = (len(bands), "exposures of standards")
    for k, one in enumerate(bands):
        hdu.header[f"FILE{k}"] = one.name
        hdu.header[f"GREY{k}"] = (one.grey, "mag below the best exposure")
    return hdu
