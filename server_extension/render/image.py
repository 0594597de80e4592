"""An image as a picture or as data: a region of a frame, decimated to what is shown."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.draw.canvas import Box, Canvas, to_png
from goodman_live.pipeline.draw.ticks import round_ticks
from goodman_live.server_extension.render.colormaps import table
from goodman_live.server_extension.render.overlay import Overlay, draw_overlays, overlay_json
from goodman_live.server_extension.render.scale import (
    Limits,
    apply_stretch,
    find_limits,
    shrink_any,
    shrink_bits,
    shrink_mean,
    stretched,
    unstretched,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Window
    from goodman_live.server_extension.render.choices import Choices

SATURATED_COLOUR = (255, 45, 45)
"""Colour of saturated pixels, absent from gray."""
MARGIN = {"left": 86, "right": 26, "top": 14, "bottom": 56}
"""Room around the image for ticks and names, pixels."""
TITLE_ROOM = 40
BAR_ROOM = 104
BAR_WIDTH = 16
MARK = 255
"""Level of the palette that saturated pixels take."""
BINS = 128
"""Of the histogram that travels in JSON."""


class RegionError(GoodmanError):
    """A region that is not on the image."""

    status = 400
    code = "bad_region"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What is drawn: pixels with the words beside them."""

    data: NDArray[np.float32]
    """Pixels, shape (ny, nx); not finite where there is nothing to show."""
    saturated: NDArray[np.bool_]
    """Same shape."""
    title: Sequence[str]
    """Lines above."""
    unit: str
    """Name of the values."""
    x_name: str = "Dispersion Axis (pixels)"
    y_name: str = "Spatial Axis (pixels)"
    overlays: tuple[Overlay, ...] = ()
    """Apertures to draw over it."""
    flags: NDArray[np.uint8] | None = None
    """Bits of `Flag` of each pixel; None where there are none."""
    window: Window | None = None
    """Where the pixels lie on the detector."""


@dataclass(frozen=True, slots=True)
class Region:
    """Columns and rows shown, the last ones excluded."""

    x0: int
    x1: int
    y0: int
    y1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0


def region_of(picture: Picture, choices: Choices) -> Region:
    """Return the region asked for, cut to the image.

    Raises
    ------
    RegionError
        If nothing of it is on the image.
    """
    ny, nx = picture.data.shape
    region = Region(
        choices.x0 or 0,
        min(nx if choices.x1 is None else choices.x1, nx),
        choices.y0 or 0,
        min(ny if choices.y1 is None else choices.y1, ny),
    )
    if min(region.shape) < 1:
        field = "x0" if region.x1 <= region.x0 else "y0"
        raise RegionError(
            f"The region is not on the image, which has {nx} columns and {ny} rows.", field=field
        )
    return region


def image_png(picture: Picture, choices: Choices) -> bytes:
    """Return `picture` as PNG."""
    region = region_of(picture, choices)
    if not choices.axes:
        width, height = _bare_size(region, choices)
        return to_png(_colours(picture, region, choices, (width, height))[0], level=1)
    right = MARGIN["right"] + (BAR_ROOM if choices.colorbar else 0)
    top = MARGIN["top"] + (TITLE_ROOM if choices.title else 0)
    inner = max(choices.width - MARGIN["left"] - right, 32)
    height = choices.height or _height(region, inner) + top + MARGIN["bottom"]
    bottom = max(height - MARGIN["bottom"], top + 16)
    box = Box(MARGIN["left"], top, MARGIN["left"] + inner, bottom)
    canvas = Canvas(choices.width, max(height, bottom + MARGIN["bottom"]), choices.theme)
    colours, limits = _colours(picture, region, choices, (box.width, box.height))
    canvas.paste(colours, box)
    canvas.frame(box)
    # The centre of pixel i is at i: its edges are half a pixel to either side.
    canvas.x_axis(box, region.x0 - 0.5, region.x1 - 0.5, picture.x_name)
    canvas.y_axis(box, region.y0 - 0.5, region.y1 - 0.5, picture.y_name)
    if choices.title:
        canvas.title(picture.title, box)
    if choices.colorbar:
        _bar(canvas, box, limits, picture.unit, choices)
    return canvas.png()


def image_json(picture: Picture, choices: Choices) -> dict[str, Any]:
    """Return what an interactive plot needs: limits, region, names and on request the pixels."""
    region = region_of(picture, choices)
    cut, saturated = _cut(picture, region)
    limits = _limits(cut, choices)
    answer: dict[str, Any] = {
        "kind": "image",
        "title": list(picture.title),
        "shape": list(picture.data.shape),
        "region": [region.x0, region.x1, region.y0, region.y1],
        "x": {"name": picture.x_name, "unit": "pixels"},
        "y": {"name": picture.y_name, "unit": "pixels"},
        "unit": picture.unit,
        "limits": {"low": limits.low, "high": limits.high, "method": limits.method},
        "range": _range(cut),
        "histogram": _histogram(cut),
        "saturated": int(np.count_nonzero(saturated)),
        "apertures": [overlay_json(one) for one in picture.overlays],
        "window": None if picture.window is None else _window(picture.window),
        "pixels": None,
        "flags": None,
    }
    if choices.pixels:
        shape = _shrunk(cut.shape, choices.max_pixels)
        answer["pixels"] = _packed(shrink_mean(cut, shape), "<f4")
        if picture.flags is not None:
            part = picture.flags[region.y0 : region.y1, region.x0 : region.x1]
            answer["flags"] = _packed(shrink_bits(part, shape), "|u1")
    return answer


def _shrunk(shape: tuple[int, ...], most: int) -> tuple[int, int]:
    """Return rows and columns of at most `most` pixels, in the proportions of `shape`."""
    rows, columns = shape
    if rows * columns <= most:
        return rows, columns
    finer = (most / (rows * columns)) ** 0.5
    # A strip of few rows keeps them.
    rows = max(1, int(rows * finer))
    return rows, max(1, min(columns, most // rows))


def _window(window: Window) -> dict[str, int]:
    return {name: getattr(window, name) for name in ("x0", "y0", "xbin", "ybin")}


def _packed(values: NDArray[Any], dtype: str) -> dict[str, Any]:
    plain = np.ascontiguousarray(values, dtype=dtype)
    return {
        "encoding": "base64",
        "dtype": dtype,
        "shape": list(plain.shape),
        "data": base64.b64encode(plain.tobytes()).decode("ascii"),
    }


def _histogram(cut: NDArray[np.float32]) -> dict[str, Any] | None:
    """Return counts over the range of all but the most extreme pixels, a hundredth of a per cent.

    What lies beyond is counted in the outermost bins.
    """
    finite = cut[np.isfinite(cut)]
    if not finite.size:
        return None
    some = finite[:: max(1, finite.size // 200_000)]
    low, high = (float(value) for value in np.percentile(some, [0.01, 99.99]))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    counts, _ = np.histogram(np.clip(some, low, high), BINS, (low, high))
    return {"low": low, "high": high, "counts": counts.tolist()}


def _range(cut: NDArray[np.float32]) -> list[float] | None:
    finite = cut[np.isfinite(cut)]
    return [float(finite.min()), float(finite.max())] if finite.size else None


def _cut(picture: Picture, region: Region) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    part = (slice(region.y0, region.y1), slice(region.x0, region.x1))
    return picture.data[part], picture.saturated[part]


def _limits(cut: NDArray[np.float32], choices: Choices) -> Limits:
    return find_limits(
        cut,
        choices.limits,
        percentile=choices.percentile,
        low=choices.vmin,
        high=choices.vmax,
    )


def _height(region: Region, width: int) -> int:
    """Return a height that keeps the proportions, within what is pleasant to look at."""
    rows, columns = region.shape
    return round(min(max(width * rows / columns, 160), 1.2 * width))


def _bare_size(region: Region, choices: Choices) -> tuple[int, int]:
    rows, columns = region.shape
    width = min(choices.width, columns)
    height = choices.height or round(rows * width / columns)
    return width, max(1, min(height, rows))


def _colours(
    picture: Picture, region: Region, choices: Choices, size: tuple[int, int]
) -> tuple[Image.Image, Limits]:
    """Return the region in colours, scaled to `size` (width, height), first row at the bottom."""
    cut, saturated = _cut(picture, region)
    limits = _limits(cut, choices)
    shape = size[::-1]
    bright = apply_stretch(shrink_mean(cut, shape), limits, choices.stretch)
    colours = table(choices.colormap).copy()
    if choices.saturated:
        # One of the 256 levels makes room for the mark; nobody sees the difference.
        colours[MARK] = SATURATED_COLOUR
        np.minimum(bright, MARK - 1, out=bright)
        bright[shrink_any(saturated, shape)] = MARK
    image = Image.fromarray(np.ascontiguousarray(bright[::-1]))
    image.putpalette(colours.tobytes())
    if image.size != size:
        image = image.resize(size, Image.Resampling.NEAREST)
    if picture.overlays:
        image = draw_overlays(image, picture.overlays, region)
    return image, limits


def _bar(canvas: Canvas, box: Box, limits: Limits, unit: str, choices: Choices) -> None:
    bar = Box(box.right + 14, box.top, box.right + 14 + BAR_WIDTH, box.bottom)
    level = np.linspace(255, 0, bar.height).round().astype(np.uint8)
    ramp = np.repeat(table(choices.colormap)[level][:, None, :], BAR_WIDTH, axis=1)
    canvas.paste(Image.fromarray(np.ascontiguousarray(ramp)), bar)

    def place(value: float) -> float:
        part = np.array((value - limits.low) / (limits.high - limits.low))
        return float(stretched(part.clip(0, 1), choices.stretch))

    if choices.stretch == "linear":
        ticks = round_ticks(limits.low, limits.high, max(2, bar.height // 60))
    else:
        spots = unstretched(np.linspace(0, 1, max(3, bar.height // 45)), choices.stretch)
        values = limits.low + (limits.high - limits.low) * spots
        ticks = [float(f"{value:.2g}") for value in values]
    canvas.bar(bar, [tick for tick in ticks if limits.low <= tick <= limits.high], unit, place)
