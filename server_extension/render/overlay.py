"""What was extracted from an image, drawn over it: apertures and background zones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from goodman_live.pipeline.draw.canvas import font

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.server_extension.render.image import Region

APERTURE_COLOUR = (0, 220, 255)
BACKGROUND_COLOUR = (255, 176, 0)
"""Neither is the colour of saturated pixels, and both are seen on every colour map."""
SHADE = 30
"""Opacity of a zone's inside, of 255."""
POINTS = 257
"""Places along a trace that are drawn or sent: it bends little."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One extracted target on the pixels of an image; pixel centres are whole numbers, from 0."""

    name: str
    """Number of the target."""
    column: NDArray[np.float64]
    """Columns, rising, shape (n,)."""
    centre: NDArray[np.float64]
    """Row of the trace at each column, shape (n,)."""
    aperture: tuple[float, float]
    """Lower and upper edge, rows from the trace."""
    zones: tuple[tuple[float, float], ...]
    """Background zones, rows from the trace."""


def thinned(overlay: Overlay) -> NDArray[np.int64]:
    """Return which points of a trace to draw: the ends and some between."""
    size = overlay.column.size
    return np.unique(np.linspace(0, size - 1, min(size, POINTS)).round().astype(np.int64))


def draw_overlays(
    image: Image.Image, overlays: tuple[Overlay, ...], region: Region
) -> Image.Image:
    """Return `image`, which shows `region`, with the overlays on it."""
    base = image.convert("RGBA")
    sheet = Image.new("RGBA", base.size)
    pen = ImageDraw.Draw(sheet)
    across = base.width / (region.x1 - region.x0)
    up = base.height / (region.y1 - region.y0)

    def points(overlay: Overlay, offset: float) -> list[tuple[float, float]]:
        some = thinned(overlay)
        x = (overlay.column[some] - region.x0 + 0.5) * across
        y = base.height - (overlay.centre[some] + offset - region.y0 + 0.5) * up
        # Far outside is as good as outside, and Pillow's integers do not overflow.
        y = y.clip(-base.height, 2 * base.height)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    zones = [(one, zone, BACKGROUND_COLOUR) for one in overlays for zone in one.zones]
    # What comes later is on top: apertures on zones, and names on all.
    for overlay, (low, high), colour in [
        *zones,
        *((one, one.aperture, APERTURE_COLOUR) for one in overlays),
    ]:
        bottom, top = points(overlay, low), points(overlay, high)
        pen.polygon([*bottom, *top[::-1]], fill=(*colour, SHADE))
        for edge in (bottom, top):
            pen.line(edge, fill=(*colour, 255), width=1)
    for overlay in overlays:
        spot = (base.width - 6, points(overlay, overlay.aperture[1])[-1][1] - 3)
        pen.text(
            spot, overlay.name, (*APERTURE_COLOUR, 255), font(13), "rs",
            stroke_width=2, stroke_fill=(0, 0, 0, 255),
        )  # fmt: skip
    return Image.alpha_composite(base, sheet).convert("RGB")


def overlay_json(overlay: Overlay) -> dict[str, Any]:
    """Return an overlay as numbers, in pixels of the whole image."""
    some = thinned(overlay)
    return {
        "name": overlay.name,
        "column": overlay.column[some].round(2).tolist(),
        "centre": overlay.centre[some].round(3).tolist(),
        "aperture": list(overlay.aperture),
        "zones": [list(zone) for zone in overlay.zones],
    }
