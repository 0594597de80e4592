"""Where the spectra of a frame were extracted: read from the products, in the frame's pixels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import or_, select

from goodman_live.pipeline.products.fits import read_spectrum
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.render.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from astropy.io.fits import Header
    from sqlalchemy.orm import Session

    from goodman_live.pipeline.core.frame import Window
    from goodman_live.pipeline.core.spectrum import Spectrum
    from goodman_live.server_extension.catalogue.viewer import Viewer

EXTRACTED = 3
LARGEST_NUMBER = 20
"""Targets drawn at most."""
_ZONE = re.compile(r"\s*(-?[0-9.]+):(-?[0-9.]+)")


def extracted_from(session: Session, viewer: Viewer, frame: Frame) -> list[Frame]:
    """Return the current extracted spectra of a raw or reduced frame that `viewer` may see."""
    found = session.scalars(
        select(Frame)
        .where(
            or_(Frame.parent_id == frame.id, Frame.original_id == frame.id),
            Frame.id != frame.id,
            Frame.data_type == EXTRACTED,
            Frame.is_current,
            Frame.role == "",
            visible_to(viewer),
        )
        .order_by(Frame.target, Frame.id)
        .limit(LARGEST_NUMBER)
    )
    return list(found)


def overlays_of(products: Sequence[tuple[str, Path]], window: Window) -> tuple[Overlay, ...]:
    """Return the apertures of extracted `products` (name, path) on a frame of this `window`.

    Raises
    ------
    BadFrameError
        If a product cannot be read.
    """
    return tuple(overlay_of(name, read_spectrum(path), window) for name, path in products)


def overlay_of(name: str, spectrum: Spectrum, window: Window) -> Overlay:
    """Return the aperture of one spectrum; traces and edges are kept in unbinned rows."""
    column = (spectrum.column - window.x0 - (window.xbin - 1) / 2) / window.xbin
    centre = (spectrum.trace - window.y0 - (window.ybin - 1) / 2) / window.ybin
    order = np.argsort(column)
    lower, upper = (float(spectrum.header.get(key, 0.0)) for key in ("GSP_APLO", "GSP_APHI"))
    return Overlay(
        name=name,
        column=column[order],
        centre=centre[order],
        aperture=(lower / window.ybin, upper / window.ybin),
        zones=zones_of(spectrum.header, window.ybin),
    )


def zones_of(header: Header, ybin: int) -> tuple[tuple[float, float], ...]:
    """Return the background zones as rows from the trace.

    The header has them, and the extraction zone, as rows of the product's own binning at its
    first column; the aperture's lower edge from the trace tells where the trace is there. A frame
    is shown in the binning of its products.
    """
    extraction = _ZONE.match(str(header.get("GSP_EXTR", "")))
    if extraction is None:
        return ()
    trace = float(extraction[1]) - float(header.get("GSP_APLO", 0.0)) / ybin
    found = (_ZONE.match(str(header.get(key, ""))) for key in ("GSP_BKG1", "GSP_BKG2"))
    return tuple((float(zone[1]) - trace, float(zone[2]) - trace) for zone in found if zone)
