"""One pair of axes on a canvas, in data coordinates: curves, dots with errors, marks, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from goodman_live.pipeline.draw.canvas import Box, Canvas, Colour, font

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Panel:
    """A box of a canvas with its limits."""

    canvas: Canvas
    box: Box
    x_limits: tuple[float, float]
    """Values at the left and right edge."""
    y_limits: tuple[float, float]
    """Values at the bottom and top edge."""

    def axes(self, x_name: str, y_name: str) -> None:
        """Draw frame, ticks and names; an empty name leaves its axis bare."""
        self.canvas.frame(self.box)
        if x_name:
            self.canvas.x_axis(self.box, *self.x_limits, x_name)
        self.canvas.y_axis(self.box, *self.y_limits, y_name)

    def _x(self, x: ArrayLike) -> NDArray[np.float64]:
        low, high = self.x_limits
        return self.box.left + (np.asarray(x, float) - low) / (high - low) * self.box.width

    def _y(self, y: ArrayLike) -> NDArray[np.float64]:
        low, high = self.y_limits
        place = self.box.bottom - (np.asarray(y, float) - low) / (high - low) * self.box.height
        return np.clip(place, self.box.top, self.box.bottom - 1)

    @property
    def _pen(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.canvas.image)

    def curve(self, x: ArrayLike, y: ArrayLike, colour: Colour | None = None) -> None:
        """Join points by a line; values that are not finite leave a gap."""
        xs, ys = self._x(x), self._y(y)
        whole = np.isfinite(xs) & np.isfinite(ys)
        for part in np.split(np.arange(xs.size), np.flatnonzero(~whole)):
            kept = part[whole[part]]
            points = list(zip(xs[kept].tolist(), ys[kept].tolist(), strict=True))
            if len(points) > 1:
                self._pen.line(points, fill=colour or self.canvas.palette.line)

    def dot(self, x: float, y: float, error: float, colour: Colour) -> None:
        """Draw one point with its error bar of one sigma either side."""
        at = float(self._x(x))
        top, middle, bottom = (float(self._y(v)) for v in (y + error, y, y - error))
        self._pen.line([(at, top), (at, bottom)], fill=colour)
        self._pen.ellipse([(at - 3, middle - 3), (at + 3, middle + 3)], fill=colour)

    def level(self, y: float) -> None:
        """Draw a thin line across at `y`."""
        at = float(self._y(y))
        ends = [(self.box.left, at), (self.box.right - 1, at)]
        self._pen.line(ends, fill=self.canvas.palette.band)

    def mark(self, x: float, text: str, colour: Colour, *, taken: float = -np.inf) -> float:
        """Draw a short line at the top of the panel, with `text` upright if there is room.

        Returns the place of the last text, to be given as `taken` for the next mark.
        """
        at = float(self._x(x))
        self._pen.line([(at, self.box.top), (at, self.box.top + 8)], fill=colour)
        if not text or at - taken < 13:
            return taken
        stamp = Image.new("L", (70, 14))
        ImageDraw.Draw(stamp).text((0, 0), text, 255, font(11))
        stamp = stamp.rotate(90, expand=True)
        spot = (round(at) - 7, self.box.top + 10)
        self.canvas.image.paste(Image.new("RGB", stamp.size, colour), spot, stamp)
        return at

    def legend(self, entries: dict[str, Colour]) -> None:
        """Name colours in the upper right corner."""
        x = self.box.right - 8
        for text, colour in reversed(entries.items()):
            self._pen.text((x, self.box.top + 6), text, colour, font(13), anchor="rt")
            x -= int(font(13).getlength(text)) + 16
