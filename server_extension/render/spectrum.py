"""A spectrum as a picture or as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.draw.canvas import Box, Canvas, Palette
from goodman_live.server_extension.render.image import RegionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.server_extension.render.choices import Choices

MARGIN = {"left": 92, "right": 26, "top": 16, "bottom": 56}
TITLE_ROOM = 40
DEFAULT_PROPORTION = 0.48
"""Height by width."""
NEAR_ZERO = 0.3
"""A spectrum whose lowest value is less than this part of the highest is shown from zero."""
FINER = 3
"""The curve is drawn this many times larger and shrunk: smooth lines without a plot library."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What is drawn: a spectrum with the words beside it."""

    x: NDArray[np.float64]
    """Rising, shape (n,)."""
    y: NDArray[np.float64]
    """Shape (n,)."""
    uncertainty: NDArray[np.float64]
    """One sigma, shape (n,)."""
    flags: NDArray[np.uint8]
    """Bits of `Flag`, shape (n,)."""
    sky: NDArray[np.float64]
    """Shape (n,)."""
    saturated: NDArray[np.bool_]
    """Shape (n,)."""
    title: Sequence[str]
    x_name: str
    x_unit: str
    y_name: str
    y_unit: str
    column: NDArray[np.float64] | None = None
    """Unbinned detector columns, shape (n,)."""


def within(curve: Curve, choices: Choices) -> slice:
    """Return the pixels asked for by column (x0, x1) and by value (wmin, wmax).

    Raises
    ------
    RegionError
        If fewer than two of them are left.
    """
    start, stop = choices.x0 or 0, min(choices.x1 or curve.x.size, curve.x.size)
    if choices.wmin is not None:
        start = max(start, int(np.searchsorted(curve.x, choices.wmin)))
    if choices.wmax is not None:
        stop = min(stop, int(np.searchsorted(curve.x, choices.wmax, side="right")))
    if stop - start < 2:
        raise RegionError(
            f"Nothing of the spectrum is there: it runs from {curve.x[0]:g} to {curve.x[-1]:g}.",
            field="wmin" if choices.wmin is not None or choices.wmax is not None else "x0",
        )
    return slice(start, stop)


def spectrum_png(curve: Curve, choices: Choices) -> bytes:
    """Return `curve` as PNG."""
    part = within(curve, choices)
    height = choices.height or round(choices.width * DEFAULT_PROPORTION)
    top = MARGIN["top"] + (TITLE_ROOM if choices.title else 0)
    box = Box(
        MARGIN["left"],
        top,
        max(choices.width - MARGIN["right"], MARGIN["left"] + 32),
        max(height - MARGIN["bottom"], top + 16),
    )
    canvas = Canvas(choices.width, height, choices.theme)
    x, y, sigma = curve.x[part], curve.y[part], curve.uncertainty[part]
    good = (curve.flags[part] & ~np.uint8(Flag.EXTRAPOLATED)) == 0
    x_low, x_high = float(x[0]), float(x[-1])
    y_low, y_high = _heights(y, good, choices)
    sheet = _Sheet(box, (x_low, x_high), (y_low, y_high), canvas.palette)
    if choices.uncertainty:
        sheet.band(x, y - sigma, y + sigma)
    sheet.line(x, y)
    if choices.saturated:
        sheet.marks(x[curve.saturated[part]])
    canvas.paste(sheet.picture(), box)
    canvas.frame(box)
    canvas.x_axis(box, x_low, x_high, curve.x_name)
    power = _power(y_low, y_high)
    name = curve.y_name.replace("(", f"(1e{power} ", 1) if power else curve.y_name
    canvas.y_axis(box, y_low / 10.0**power, y_high / 10.0**power, name)
    if choices.title:
        canvas.title(curve.title, box)
    return canvas.png()


def spectrum_json(curve: Curve, choices: Choices) -> dict[str, Any]:
    """Return the numbers of `curve`, not-finite ones as null, thinned if they are very many."""
    part = within(curve, choices)
    size = part.stop - part.start
    step = max(1, -(-size // choices.max_points))
    some = slice(part.start, part.stop, step)
    return {
        "kind": "spectrum",
        "title": list(curve.title),
        "points": curve.x.size,
        "region": [part.start, part.stop],
        "step": step,
        "x": {"name": curve.x_name, "unit": curve.x_unit, "values": _plain(curve.x[some])},
        "y": {"name": curve.y_name, "unit": curve.y_unit, "values": _plain(curve.y[some])},
        "uncertainty": _plain(curve.uncertainty[some]),
        "sky": _plain(curve.sky[some]),
        "flags": curve.flags[some].tolist(),
        "column": None if curve.column is None else _plain(curve.column[some]),
        "saturated": int(np.count_nonzero(curve.saturated[part])),
    }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.astype(float).tolist()]


def _heights(
    y: NDArray[np.float64], good: NDArray[np.bool_], choices: Choices
) -> tuple[float, float]:
    """Return the range of y: what is unmasked with a margin, or as given by hand."""
    shown = y[good & np.isfinite(y)]
    if shown.size == 0:
        shown = y[np.isfinite(y)]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 1.0)
    if 0 < low < NEAR_ZERO * high:
        # The faint end, often masked, belongs into the picture, and heights can be compared.
        low = 0.0
    margin = 0.05 * (high - low) or max(abs(high) * 0.05, 1.0)
    low = low - margin if choices.vmin is None else choices.vmin
    high = high + margin if choices.vmax is None else choices.vmax
    return (low, high) if high > low else (low, low + max(abs(low) * 1e-6, 1.0))


def _power(low: float, high: float) -> int:
    """Return the power of ten to take out of the labels: 0 where they are short as they are."""
    largest = max(abs(low), abs(high))
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return 0 if -3 <= power < 6 else power


class _Sheet:
    """The inside of the axes, drawn finer than it is shown."""

    def __init__(
        self, box: Box, x: tuple[float, float], y: tuple[float, float], palette: Palette
    ) -> None:
        self._size = (box.width, box.height)
        self._image = Image.new("RGB", (box.width * FINER, box.height * FINER), palette.ground)
        self._draw = ImageDraw.Draw(self._image)
        self._x, self._y, self._palette = x, y, palette

    def _across(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self._x
        return (x - low) / (high - low) * (self._image.width - 1)

    def _up(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self._y
        # Far outside is as good as outside, and Pillow's integers do not overflow.
        part = np.clip((y - low) / (high - low), -2.0, 3.0)
        return (1 - part) * (self._image.height - 1)

    def line(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Draw a line, broken where `y` is not finite."""
        across, up = self._across(x), self._up(y)
        for start, stop in _runs(np.isfinite(y)):
            points = np.column_stack([across[start:stop], up[start:stop]]).ravel().tolist()
            if stop - start == 1:
                points += points  # a lone pixel is a dot
            self._draw.line(points, self._palette.line, width=FINER + 1, joint="curve")

    def band(
        self, x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> None:
        """Fill between `low` and `high`."""
        across, bottom, top = self._across(x), self._up(low), self._up(high)
        for start, stop in _runs(np.isfinite(low) & np.isfinite(high)):
            if stop - start > 1:
                there = np.column_stack([across[start:stop], top[start:stop]])
                back = np.column_stack([across[start:stop], bottom[start:stop]])[::-1]
                outline = np.concatenate([there, back]).ravel().tolist()
                self._draw.polygon(outline, fill=self._palette.band)

    def marks(self, x: NDArray[np.float64]) -> None:
        """Mark saturated pixels by a tick along the top."""
        for at in self._across(x).tolist():
            self._draw.line((at, 0, at, 10 * FINER), self._palette.alarm, width=FINER)

    def picture(self) -> Image.Image:
        """Return the sheet at its size."""
        return self._image.resize(self._size, Image.Resampling.BOX)


def _runs(good: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and stop of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
