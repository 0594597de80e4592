"""FITS files as the objects that astronomers work with; the science stack is imported only here.

Nothing of the pipeline is needed: the files say all of it themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from astropy.io.fits import Header
    from astropy.nddata import CCDData
    from astropy.table import Table
    from specutils import Spectrum

EXTRAPOLATED = 64
"""Bit of a spectrum's flags for what lies beyond the lamp's lines: its flux is good."""
NOT_A_COLUMN = ("settings", "versions", "timing", "latency", "inputs", "messages", "quality")
"""What a file says of itself that is no single value."""


class WrongKindError(ClientError):
    """A file of another kind than was asked for: an image for a spectrum, or the reverse."""

    code = "wrong_kind"


def read_ccd(path: Path) -> CCDData:
    """Return an image with its uncertainty, mask and world coordinates.

    Parameters
    ----------
    path : Path
        A raw frame, a master or a reduced frame.

    Returns
    -------
    CCDData
        Shape (ny, nx), in the file's ``BUNIT`` (adu where it has none). The uncertainty (one
        standard deviation) and the mask are None for a raw frame; the bits behind the mask are
        in ``flags``. ``wcs`` is None where the header has no celestial solution.

    Raises
    ------
    WrongKindError
        If it holds no image.
    """
    import numpy as np  # noqa: PLC0415 (light until an image is asked for)
    from astropy.io import fits  # noqa: PLC0415
    from astropy.nddata import CCDData, StdDevUncertainty  # noqa: PLC0415

    with fits.open(path, memmap=False) as hdus:
        image = next((hdu for hdu in hdus if hdu.is_image and hdu.data is not None), None)
        # An old raw frame is a cube of one plane.
        data = None if image is None else np.squeeze(image.data)
        if image is None or data is None or data.ndim != 2:
            raise WrongKindError(f"{path.name} is no image.", remedy="Ask for its spectrum.")
        names = {hdu.name for hdu in hdus}
        flags = hdus["FLAGS"].data if "FLAGS" in names else None
        sigma = hdus["UNCERT"].data if "UNCERT" in names else None
        return CCDData(
            data.astype(np.float32),
            unit=_unit(image.header.get("BUNIT", "adu")),
            uncertainty=None if sigma is None else StdDevUncertainty(sigma.astype(np.float32)),
            mask=None if flags is None else flags != 0,
            flags=flags,
            wcs=_celestial(image.header),
            meta=_plain(image.header),
        )


def read_spectrum(path: Path) -> Spectrum:
    """Return a spectrum with its uncertainty and mask.

    Parameters
    ----------
    path : Path
        A product of data type 3, 4 or 5.

    Returns
    -------
    specutils.Spectrum
        Against wavelength in air (Angstrom) where it is calibrated, else against unbinned
        detector columns (pixel). ``meta`` has the header, and the table's other columns
        (``flags sky trace wavelength_uncertainty``) under their names.

    Raises
    ------
    WrongKindError
        If it holds no spectrum of this service.
    """
    import numpy as np  # noqa: PLC0415 (light until a spectrum is asked for)
    from astropy import units  # noqa: PLC0415
    from astropy.io import fits  # noqa: PLC0415
    from astropy.nddata import StdDevUncertainty  # noqa: PLC0415
    from specutils import Spectrum  # noqa: PLC0415 (heavy, and optional)

    with fits.open(path, memmap=False) as hdus:
        if "SPECTRUM" not in {hdu.name for hdu in hdus}:
            raise WrongKindError(f"{path.name} is no spectrum.", remedy="Ask for its image.")
        table, header = hdus["SPECTRUM"], hdus[0].header
        columns = {
            name: np.array(table.data[name], dtype=table.data[name].dtype.newbyteorder("="))
            for name in table.columns.names
        }
        unit = _unit(table.columns["flux"].unit or header.get("BUNIT", "adu"))
        calibrated = "wavelength" in columns
        axis = columns["wavelength"] * units.AA if calibrated else columns["column"] * units.pix
        taken = {"flux", "uncertainty", "wavelength"}
        return Spectrum(
            flux=columns["flux"] * unit,
            spectral_axis=axis,
            uncertainty=StdDevUncertainty(columns["uncertainty"]),
            mask=(columns["flags"] & ~np.uint8(EXTRAPOLATED)) != 0,
            meta={
                "header": _plain(header),
                **{name: values for name, values in columns.items() if name not in taken},
            },
        )


def table_of(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Return files as a table: a column for each plain value, masked where there is none."""
    from astropy.table import MaskedColumn, Table  # noqa: PLC0415 (light until it is asked for)

    found = list(rows)
    names = [name for name in (found[0] if found else ()) if name not in NOT_A_COLUMN]
    table = Table(masked=True)
    for name in names:
        values = [row.get(name) for row in found]
        known = [value for value in values if value is not None]
        blank = type(known[0])() if known else ""
        table[name] = MaskedColumn(
            [blank if value is None else value for value in values],
            mask=[value is None for value in values],
        )
    return table


def _unit(text: str) -> Any:
    from astropy import units  # noqa: PLC0415

    # The telescope writes ADU in capitals, and FITS knows it in small letters.
    return units.Unit(text.lower() if text.strip().lower() == "adu" else text)


def _celestial(header: Header) -> Any:
    from astropy.wcs import WCS  # noqa: PLC0415

    if not str(header.get("CTYPE1", "")).startswith(("RA", "DEC")):
        return None
    wcs = WCS(header, naxis=2)
    return wcs if wcs.has_celestial else None


def _plain(header: Header) -> dict[str, Any]:
    """Return a header as a plain mapping: what notebooks compare, save and send on."""
    cards: dict[str, Any] = {}
    for card in header.cards:
        if card.keyword in {"COMMENT", "HISTORY", ""}:
            if card.keyword:
                cards.setdefault(card.keyword, []).append(str(card.value))
        else:
            cards[card.keyword] = card.value
    return cards
