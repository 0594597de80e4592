"""What the blocks write into headers beside the ``GSP_*`` record of the public service."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.slit import SlitEdges
from goodman_live.pipeline.products.record import name_card, put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from astropy.io.fits import Header

    from goodman_live.pipeline.settings import ReductionSettings

_WHOSE = (
    *("PROPID", "PROPOSAL", "PROPTITL", "PI", "PI_NAME", "OBSERVER", "OBSERVE", "USERID", "NOTES"),
    *("OBSID", "CONFID", "REQNUM", "REQTIME", "GROUPID", "BLKUID", "BLOCK_ID", "BLKID", "TAGID"),
    *("L1PUBDAT",),
)
_WHERE = (
    *("RA", "DEC", "OBSRA", "OBSDEC", "CAT-RA", "CAT-DEC", "TARGRA", "TARGDEC", "TARGNAME"),
    *("HA", "LST", "ZD", "AZ", "EL", "MOUNT_AZ", "MOUNT_EL", "DOME_AZ", "AIRMASS", "POSANGLE"),
    *("ADCPOS", "SEEING"),
)
_TEXTS = ("COMMENT", "HISTORY", "")
SHARED = "calibrate"
"""Proposal of what all who are signed in may see."""

_discreet: ContextVar[bool] = ContextVar("discreet", default=False)


@contextmanager
def discreet() -> Iterator[None]:
    """Let masters that are made meanwhile name none of their raw frames.

    For where those who see a master may not know of the frames: observers name files as they name
    targets. Checksums still tell which they are.
    """
    token = _discreet.set(True)
    try:
        yield
    finally:
        _discreet.reset(token)


def put_members(
    header: Header, kind: str, inputs: Sequence[tuple[str, str]], rejected: Mapping[str, str]
) -> None:
    """Write into a master's header what it is made of, as far as its readers may know.

    Parameters
    ----------
    header : Header
        Begun from that of a raw frame; it is changed.
    kind : str
        OBJECT of the master.
    inputs : sequence of (str, str)
        Names and checksums of the frames.
    rejected : mapping of str to str
        Names of those left out, and sentences that say why.
    """
    put_shared(header, kind)
    hide = _discreet.get()
    if hide:
        put(header, "GSP_ONAM", "combined", "file name of the raw frame")
        inputs = [(f"raw frame {n}", sha256) for n, (_, sha256) in enumerate(inputs, 1)]
    put_inputs(header, inputs)
    put(header, "GSP_NREJ", len(rejected), "frames left out")
    for name, reason in rejected.items():
        text = reason.replace(name, "A frame") if hide else reason
        header.add_history("".join(c if " " <= c <= "~" else "?" for c in text))


def put_shared(header: Header, name: str | None = None) -> None:
    """Take off a master's header whose frames it is made of, and where the telescope looked.

    A master is seen by everybody, the frames it begins with by the members of a proposal: flats
    are taken where its target is, and observers write what they like into texts.

    Parameters
    ----------
    header : Header
        Begun from that of a raw frame; it is changed.
    name : str, optional
        OBJECT of the master. Without it that of the frame stays, and where that is: the standard
        star of a sensitivity function.
    """
    for key in (*_WHOSE, *(_WHERE if name else ()), *_TEXTS):
        header.remove(key, ignore_missing=True, remove_all=True)
    header["PROPID"] = SHARED
    if name:
        header["OBJECT"] = name


def put_inputs(header: Header, inputs: Sequence[tuple[str, str]]) -> None:
    """List the combined files, ``GSP_IC01`` to ``GSP_IC99`` and on from ``GSP_I100``.

    `inputs` are their names and checksums; ``GSP_ISHA`` is the checksum of these in that order.
    """
    digest = hashlib.sha256()
    for number, (name, sha256) in enumerate(inputs, 1):
        key = f"GSP_IC{number:02d}" if number < 100 else f"GSP_I{number:03d}"
        put(header, key, name_card(name), "combined file")
        digest.update(sha256.encode())
    put(header, "GSP_NIC", len(inputs), "number of combined files")
    put(header, "GSP_ISHA", digest.hexdigest())


def put_settings(header: Header, settings: ReductionSettings) -> None:
    """Write the settings that shape 2-D products."""
    put(header, "GSP_STHR", settings.saturation_threshold, "saturated pixels allowed, per cent")
    put(header, "GSP_SCOS", settings.cosmic_method, "setting: cosmic-ray method")
    put(header, "GSP_STEC", settings.technique, "setting: technique")
    put(header, "GSP_SIGB", settings.ignore_bias, "setting: ignore bias")
    put(header, "GSP_SIGF", settings.ignore_flats, "setting: ignore flats")
    put(header, "GSP_SNOR", settings.flat_normalisation, "setting: flat normalisation")
    put(header, "GSP_SORD", settings.flat_order, "setting: order of the flat fit")


def put_edges(header: Header, edges: SlitEdges) -> None:
    """Write the traced edges of the slit; a side without an edge gets no card."""
    for letter, series in (("L", edges.lower), ("U", edges.upper)):
        for power, value in enumerate(series or ()):
            put(header, f"GSP_S{letter}{power:02d}", value, "slit edge, row = series in u")
    put(header, "GSP_SRMS", edges.scatter, "rms of the traced slit edges, unbinned px")


def edges_of(header: Header) -> SlitEdges:
    """Return the slit edges that `put_edges` wrote."""

    def series(letter: str) -> tuple[float, ...] | None:
        keys = [f"GSP_S{letter}{power:02d}" for power in range(10)]
        values = tuple(float(header[key]) for key in keys if key in header)
        return values or None

    return SlitEdges(series("L"), series("U"), float(header.get("GSP_SRMS") or 0.0))
