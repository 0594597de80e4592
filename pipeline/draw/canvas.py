"""A drawing with two axes: frame, ticks, names and a title, in Pillow."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageDraw, ImageFont

from goodman_live.pipeline.draw.ticks import round_ticks, tick_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Theme = Literal["dark", "light"]
Colour = tuple[int, int, int]

TICK = 5
"""Length of a tick in pixels."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a theme."""

    ground: Colour
    ink: Colour
    line: Colour
    band: Colour
    alarm: Colour


PALETTES: dict[str, Palette] = {
    "dark": Palette((38, 50, 56), (224, 232, 235), (128, 216, 195), (62, 96, 98), (255, 82, 82)),
    "light": Palette((255, 255, 255), (33, 43, 48), (0, 105, 92), (178, 223, 219), (211, 0, 0)),
}
"""Colours of each theme."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the picture, pixels, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top


@cache
def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return the font that comes with Pillow."""
    return ImageFont.load_default(size)


class Canvas:
    """A picture of `width` x `height` with room for axes.

    Parameters
    ----------
    width, height : int
        Size of the whole picture, pixels.
    theme : {'dark', 'light'}
        Colours.
    """

    def __init__(self, width: int, height: int, theme: Theme) -> None:
        self.palette = PALETTES[theme]
        self.image = Image.new("RGB", (width, height), self.palette.ground)
        self._draw = ImageDraw.Draw(self.image)
        self._font = font(13)

    def paste(self, picture: Image.Image, box: Box) -> None:
        """Put `picture` at the corner of `box`."""
        self.image.paste(picture, (box.left, box.top))

    def title(self, lines: Sequence[str], box: Box) -> None:
        """Write `lines` centred above `box`."""
        middle = (box.left + box.right) / 2
        room = 2 * min(middle, self.image.width - middle) - 4
        for number, line in enumerate(reversed(lines)):
            spot = (middle, box.top - 8 - 19 * number)
            text = _shortened(_fitting(line), room)
            self._draw.text(spot, text, self.palette.ink, font(15), anchor="ms")

    def frame(self, box: Box) -> None:
        """Draw the frame around `box`."""
        edge = (box.left - 1, box.top - 1, box.right, box.bottom)
        self._draw.rectangle(edge, outline=self.palette.ink)

    def x_axis(self, box: Box, low: float, high: float, name: str) -> None:
        """Draw ticks and the name below `box`."""
        ticks = round_ticks(low, high, max(2, box.width // 90))
        for tick, label in zip(ticks, tick_labels(ticks), strict=True):
            at = box.left + (tick - low) / (high - low) * box.width
            self._draw.line((at, box.bottom, at, box.bottom + TICK), self.palette.ink)
            spot = (at, box.bottom + TICK + 3)
            self._draw.text(spot, label, self.palette.ink, self._font, anchor="mt")
        spot = ((box.left + box.right) / 2, box.bottom + 40)
        self._draw.text(spot, _fitting(name), self.palette.ink, self._font, anchor="ms")

    def y_axis(self, box: Box, low: float, high: float, name: str) -> None:
        """Draw ticks and the name left of `box`."""
        ticks = round_ticks(low, high, max(2, box.height // 45))
        for tick, label in zip(ticks, tick_labels(ticks), strict=True):
            at = box.bottom - (tick - low) / (high - low) * box.height
            self._draw.line((box.left - 1 - TICK, at, box.left - 1, at), self.palette.ink)
            spot = (box.left - TICK - 4, at)
            self._draw.text(spot, label, self.palette.ink, self._font, anchor="rm")
        self._upright(name, box.left - 66, (box.top + box.bottom) // 2)

    def bar(
        self, box: Box, ticks: Sequence[float], name: str, place: Callable[[float], float]
    ) -> None:
        """Draw `ticks` and the name right of a colour bar in `box`.

        `place` says where between 0 (bottom) and 1 (top) a value lies.
        """
        self.frame(box)
        taken = box.bottom + 100.0
        for tick in ticks:
            label = f"{tick:g}"
            at = box.bottom - place(tick) * box.height
            if taken - at < 14:
                continue
            taken = at
            self._draw.line((box.right, at, box.right + TICK, at), self.palette.ink)
            spot = (box.right + TICK + 3, at)
            self._draw.text(spot, label, self.palette.ink, self._font, anchor="lm")
        self._upright(name, box.right + 68, (box.top + box.bottom) // 2)

    def _upright(self, text: str, x: int, y: int) -> None:
        """Write `text` from bottom to top, centred on (`x`, `y`)."""
        text = _fitting(text)
        left, top, right, bottom = self._font.getbbox(text)
        stamp = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
        ImageDraw.Draw(stamp).text((2 - left, 2 - top), text, 255, self._font)
        stamp = stamp.rotate(90, expand=True)
        spot = (x - stamp.width // 2, y - stamp.height // 2)
        self.image.paste(Image.new("RGB", stamp.size, self.palette.ink), spot, stamp)

    def png(self) -> bytes:
        """Return the picture as PNG."""
        return to_png(self.image)


def to_png(image: Image.Image, level: int = 3) -> bytes:
    """Return `image` as PNG, packed fast rather than small."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=level)
    return out.getvalue()


def _fitting(text: str) -> str:
    """Return one line without control characters, of a length that can be drawn."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:120]


def _shortened(text: str, room: float) -> str:
    """Return as much of a title as fits into `room` pixels."""
    if font(15).getlength(text) <= room:
        return text
    while text and font(15).getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text.rstrip()}…" if text else ""
