"""What the blocks write into headers beside the ``GSP_*`` record of the public service."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.slit import SlitEdges
from goodman_live.pipeline.products.record import name_card, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

    from goodman_live.pipeline.settings import ReductionSettings


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
