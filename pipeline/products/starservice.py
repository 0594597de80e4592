"""Reference stars from a catalogue service on the network, where the operator names one.

It is never needed: a field that the local index covers asks nobody, and without an answer an
image is unsolved with the reason.
"""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from goodman_live.pipeline.core.errors import MissingCalibrationError, SettingsError
from goodman_live.pipeline.products.starcat import stars_of

if TYPE_CHECKING:
    from goodman_live.pipeline.core.astrometry import StarList

PATIENCE_S = 20.0
"""Seconds that a service may take."""
LARGEST = 32 << 20
"""Bytes of an answer at most."""
GAIA_EPOCH = 2016.0


def fetch_field(address: str, ra_deg: float, dec_deg: float, radius_deg: float) -> StarList:
    """Return the stars of a field from a service, the brightest first.

    Parameters
    ----------
    address : str
        Address with ``{ra}``, ``{dec}`` and ``{radius}`` in the place of degrees; it answers
        with CSV or VOTable in the columns of Gaia.
    ra_deg, dec_deg, radius_deg : float
        ICRS, degrees.

    Raises
    ------
    SettingsError
        If the address is none of http or https, or lacks one of the three.
    MissingCalibrationError
        If the service does not answer, or with something else than a table of stars.
    """
    named = urlsplit(address)
    if named.scheme not in {"http", "https"} or any(
        word not in address for word in ("{ra}", "{dec}", "{radius}")
    ):
        raise SettingsError(
            "The address of the star service is no http address with {ra}, {dec} and {radius}.",
            remedy="Mend GOODMAN_STARS_URL.",
            field="GOODMAN_STARS_URL",
        )
    place = {"{ra}": ra_deg, "{dec}": dec_deg, "{radius}": radius_deg}
    for word, value in place.items():
        address = address.replace(word, f"{value:.6f}")
    try:
        # Its scheme was looked at.
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:  # noqa: S310
            content = answer.read(LARGEST + 1)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise _silent(named.hostname, str(error)) from error
    if len(content) > LARGEST:
        raise _silent(named.hostname, f"its answer is longer than {LARGEST >> 20} MiB")
    return _read(content, named.hostname)


def _read(content: bytes, host: str | None) -> StarList:
    from astropy.table import Table  # noqa: PLC0415 (half a second, where a service is asked)

    kind = "votable" if content.lstrip()[:1] == b"<" else "ascii.csv"
    try:
        table = Table.read(io.BytesIO(content), format=kind)
    except Exception as error:
        raise _silent(host, f"its answer is no table ({error})"[:200]) from error
    return stars_of(table, host or "", epoch=GAIA_EPOCH)


def _silent(host: str | None, why: str) -> MissingCalibrationError:
    return MissingCalibrationError(
        f"The star service {host} gave no stars: {why}.",
        remedy="Try again later, or make a catalogue with `goodman-live stars`.",
        field="catalogue",
    )
