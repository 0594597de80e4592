"""A 2-D image that pans and zooms: the visible part is drawn by the server, at screen size."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any

import bqplot
import ipywidgets

from goodman_live.widgets.components.colours import bar
from goodman_live.widgets.components.parts import ColourBar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Region = tuple[int, int, int, int]
    Painter = Callable[[Region, int, int], Awaitable[bytes]]

PIXEL_ARCSEC = 0.15
"""Side of an unbinned pixel, as `pipeline.core.slitimage` has it: that takes long to import."""
ANY_SHAPE = (0.01, 100.0)
"""Width over height of a figure: what bqplot allows by itself."""
PAUSE = 0.15
"""Seconds without a movement after which the visible part is drawn again."""
HEIGHT = "440px"
SIZE = (1200, 480)
"""Pixels of the picture that is asked for; the browser scales it to the figure."""
KEPT = 4
"""Pictures that are kept after they were replaced."""
MARGIN = {"top": 10, "bottom": 42, "left": 62, "right": 14}


class ImageView:
    """Two pictures on one pair of axes: the whole frame, and the visible part in detail.

    Attributes
    ----------
    widget : ipywidgets.Widget
        The figure, to put on a page.
    size : tuple of int
        Width and height of the pictures that are asked for.
    """

    size = SIZE

    def __init__(self, start: Callable[[str, Any], Any]) -> None:
        self._start = start
        self._paint: Painter | None = None
        self._size = (1, 1)
        self._moving = False
        self._retired: deque[ipywidgets.Image] = deque()
        self.x = bqplot.LinearScale(allow_padding=False)
        self.y = bqplot.LinearScale(allow_padding=False)
        scales = {"x": self.x, "y": self.y}
        self.whole = bqplot.Image(image=_blank(), scales=scales)
        self.detail = bqplot.Image(image=_blank(), scales=scales, visible=False)
        nowhere: dict[str, Any] = {"x": [0.0], "y": [0.0], "scales": scales, "visible": False}
        self.slit = bqplot.Lines(
            **nowhere, colors=["#e0913a"], line_style="dashed", stroke_width=1.5
        )
        self.target = bqplot.Scatter(
            **nowhere, colors=["#26a69a"], marker="circle", fill=False, default_size=700
        )
        self.target.stroke_width = 2
        self.x_axis = bqplot.Axis(scale=self.x, label_offset="34px", grid_lines="none")
        self.y_axis = bqplot.Axis(
            scale=self.y, side="left", label_offset="48px", grid_lines="none"
        )
        self.figure = figure = bqplot.Figure(
            marks=[self.whole, self.detail, self.slit, self.target],
            axes=[self.x_axis, self.y_axis],
            interaction=bqplot.PanZoom(scales={"x": [self.x], "y": [self.y]}),
            fig_margin=MARGIN,
            animation_duration=0,
            padding_x=0,
            padding_y=0,
        )
        figure.layout.height = HEIGHT
        self.bar = ColourBar()
        self.widget = ipywidgets.HBox([figure, self.bar]).add_class("gl-imagebox")
        for scale in (self.x, self.y):
            scale.observe(self._moved, ["min", "max"])

    def show(self, size: tuple[int, int], whole: bytes, paint: Painter, *, keep: bool) -> None:
        """Show a frame.

        Parameters
        ----------
        size : tuple of int
            Columns and rows of the frame, in pixels.
        whole : bytes
            PNG of all of it, of `SIZE`.
        paint : callable
            Makes the PNG of a region (x0, y0, x1, y1; the last excluded) at a width and height.
        keep : bool
            Stay where the reader has zoomed to, if the frame has the same size.
        """
        keep = keep and size == self._size
        self._paint, self._size = paint, size
        self._retire(_assign(self.whole, whole, (0, 0, *size)))
        if keep:
            self._moved()
        else:
            self.reset()

    def reset(self) -> None:
        """Show the whole frame."""
        self._moving = True
        with self.x.hold_sync(), self.y.hold_sync():
            self.x.min, self.x.max = -0.5, self._size[0] - 0.5
            self.y.min, self.y.max = -0.5, self._size[1] - 0.5
        self._moving = False
        self.detail.visible = False

    def dress(self, x_name: str, y_name: str, levels: tuple[float, float, str, str]) -> None:
        """Name the axes, and set the colour bar to what the picture was drawn with.

        `levels` are the lowest and the highest value, the colour map, the stretch.
        """
        self.x_axis.label, self.y_axis.label = x_name, y_name
        self.bar.bar = bar(*levels)

    def point(self, seen: Mapping[str, Any] | None) -> None:
        """Mark the edges of the slit and the target; None for an image without them.

        Parameters
        ----------
        seen : mapping or None
            ``columns rows slit target`` as the service's diagnostics give them, in unbinned
            pixels of the readout.
        """
        target = seen["target"] if seen else None
        self.slit.visible, self.target.visible = seen is not None, target is not None
        # Offsets are judged by eye: the pixels are square, where other images fill the page.
        least, most = (_square(self._size),) * 2 if seen is not None else ANY_SHAPE
        with self.figure.hold_sync():
            self.figure.min_aspect_ratio, self.figure.max_aspect_ratio = least, most
        if seen is None:
            return
        across = _scale(seen["columns"], self._size[0])
        along = _scale(seen["rows"], self._size[1])
        half = (seen["slit"]["width_arcsec"] or 0.0) / PIXEL_ARCSEC / 2
        with self.slit.hold_sync():
            self.slit.x = [
                [across(column + side) for column in seen["slit"]["column"]]
                for side in (-half, half)
            ]
            self.slit.y = [[along(row) for row in seen["slit"]["row"]]] * 2
        if target is not None:
            with self.target.hold_sync():
                self.target.x, self.target.y = [across(target["column"])], [along(target["row"])]

    def visible_region(self) -> Region:
        """Return the pixels in view, as x0, y0, x1, y1 with the last excluded."""
        x0, x1 = _span(self.x.min, self.x.max, self._size[0])
        y0, y1 = _span(self.y.min, self.y.max, self._size[1])
        return x0, y0, x1, y1

    def _retire(self, picture: ipywidgets.Image) -> None:
        """Close a picture that is no longer shown, a little later: a browser may still ask."""
        self._retired.append(picture)
        while len(self._retired) > KEPT:
            old = self._retired.popleft()
            # Both models would stay in the kernel for ever.
            old.layout.close()
            old.close()

    def _moved(self, _: Any = None) -> None:
        if self._paint is not None and not self._moving:
            self._start("detail", self._redraw())

    async def _redraw(self) -> None:
        await asyncio.sleep(PAUSE)
        region = self.visible_region()
        if region[2] <= region[0] or region[3] <= region[1] or self._paint is None:
            return
        if region == (0, 0, *self._size):
            self.detail.visible = False
            return
        paint = self._paint
        png = await paint(region, *SIZE)
        if paint is self._paint and region == self.visible_region():
            # Else another frame is shown by now, or another part of it.
            self._retire(_assign(self.detail, png, region))
            self.detail.visible = True


def _square(size: tuple[int, int]) -> float:
    """Return the width over height of a figure, margins included, whose pixels are square."""
    height = float(HEIGHT.removesuffix("px"))
    inside = height - MARGIN["top"] - MARGIN["bottom"]
    return (inside * size[0] / size[1] + MARGIN["left"] + MARGIN["right"]) / height


def _scale(span: Sequence[float], size: int) -> Callable[[float], float]:
    """Return what gives the pixel of an image for an unbinned pixel of its `span`."""
    binning = (span[1] - span[0]) / size
    return lambda place: (place - span[0] - (binning - 1) / 2) / binning


def _span(low: float | None, high: float | None, size: int) -> tuple[int, int]:
    """Return the whole pixels between two places on an axis; pixel i is centred on i."""
    first = 0 if low is None else math.floor(low + 0.5)
    last = size if high is None else math.ceil(high + 0.5)
    return max(first, 0), min(last, size)


def _blank() -> ipywidgets.Image:
    # One transparent pixel: a figure without a picture must still be a figure.
    png = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
        b"\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa75\x81\x84"
        b"\x00\x00\x00\x00IEND\xaeB`\x82"
    )
    return ipywidgets.Image(value=png)


def _assign(mark: bqplot.Image, png: bytes, region: Region) -> ipywidgets.Image:
    """Put a picture on its place; a new widget each time, or the old pixels stay.

    Returns the picture that was there.
    """
    old: ipywidgets.Image = mark.image
    with mark.hold_sync():
        mark.image = ipywidgets.Image(value=png)
        mark.x = [region[0] - 0.5, region[2] - 0.5]
        mark.y = [region[1] - 0.5, region[3] - 0.5]
    return old
