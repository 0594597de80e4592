"""The figures of the Advanced page as traits; the browser draws them and does all that moves."""

from __future__ import annotations

from typing import Any

import traitlets as t

from goodman_live.widgets.components.base import Component, script
from goodman_live.widgets.components.colours import STOPS


class Plane(Component):
    """An image with its masks, cuts and apertures.

    Pixels come as two tiles, each a rectangle of the frame: ``whole``, which may be shrunk, and
    ``detail``, what is in view. A tile has ``region`` (x0, y0, x1, y1) and ``shape``.

    Sends ``region`` (pixels in view), ``cut`` (column, row), ``edit`` (all apertures), ``apply
    undo place remove automatic`` (x, y of the middle of the view) and ``choices``.
    """

    _esm = script("pens", "sky", "plane")
    colours = t.Dict(default_value={name: list(stops) for name, stops in STOPS.items()}).tag(
        sync=True
    )
    choices = t.Dict().tag(sync=True)
    frame = t.Dict().tag(sync=True)
    whole = t.Dict().tag(sync=True)
    whole_pixels = t.Bytes(b"").tag(sync=True)
    whole_flags = t.Bytes(b"").tag(sync=True)
    detail = t.Dict().tag(sync=True)
    detail_pixels = t.Bytes(b"").tag(sync=True)
    detail_flags = t.Bytes(b"").tag(sync=True)
    cuts = t.Dict().tag(sync=True)
    wave = t.Dict().tag(sync=True)
    apertures = t.List(t.Dict()).tag(sync=True)
    editable = t.Bool(default_value=False).tag(sync=True)
    hand = t.Dict().tag(sync=True)

    def lay(self, name: str, tile: dict[str, Any]) -> None:
        """Put a tile into the traits ``name``, ``name_pixels`` and ``name_flags`` at once."""
        with self.hold_sync():
            setattr(self, f"{name}_pixels", tile.pop("pixels", b""))
            setattr(self, f"{name}_flags", tile.pop("flags", b""))
            setattr(self, name, tile)


class Curves(Component):
    """Spectra; the first is the one that is shown, the others lie over it.

    Sends ``fit`` (``low`` and ``high``), ``forget``, ``arc``, ``add`` and ``drop`` (number).
    """

    _esm = script("pens", "curves")
    spectra = t.List(t.Dict()).tag(sync=True)
    candidates = t.List(t.Dict()).tag(sync=True)
    lines = t.List(t.Dict()).tag(sync=True)
    arc = t.Dict().tag(sync=True)
    fit = t.Dict().tag(sync=True)


class Panels(Component):
    """Small figures, each with axes, series and a sentence."""

    _esm = script("pens", "panels")
    panels = t.List(t.Dict()).tag(sync=True)
    message = t.Unicode("").tag(sync=True)
