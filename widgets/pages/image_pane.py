"""Feeds the image of the Advanced page: tiles, cuts, wavelengths, sky, apertures."""

from __future__ import annotations

import array
import base64
import math
import re
import sys
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.components.plots import Plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.records import File, HeaderCard
    from goodman_live.widgets.pages.tasks import Tasks

MOST_PIXELS = 450_000
"""Of one tile: more than a figure shows, and less than two megabytes."""
STRIP = 65_536
"""Pixels of a cut: more than any frame is long."""
WAVE_POINTS = 512
"""Places between which wavelengths are interpolated; the dispersion bends little."""


class ImagePane:
    """One image of the Advanced page.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    tasks : Tasks
        Where background work runs.
    on_choice : callable
        Called with the reader's choices, to be kept.
    """

    def __init__(
        self,
        client: AsyncClient,
        tasks: Tasks,
        on_choice: Callable[[dict[str, Any]], None],
    ) -> None:
        self._client = client
        self._tasks = tasks
        self.window: dict[str, int] = {}
        self.shape = (1, 1)
        self.widget = Plane()
        self.widget.when("region", lambda value: tasks.start("detail", self._detail(value)))
        self.widget.when("cut", lambda value: tasks.start("cut", self._cut(value)))
        self.widget.when("choices", on_choice)

    async def show(self, file: File, family: list[File]) -> list[dict[str, Any]]:
        """Show an image; return the apertures that were extracted from it."""
        # What is on the screen counts, not what was wanted: that may never have been drawn.
        again = self.drawn == file["id"]
        found = await self._client.pixels(
            file["id"], max_pixels=MOST_PIXELS, apertures=True, limits="zscale"
        )
        wcs = celestial(await self._client.header(file["id"]))
        self.window = found["window"] or {"x0": 0, "y0": 0, "xbin": 1, "ybin": 1}
        self.shape = tuple(found["shape"])
        drawn: list[dict[str, Any]] = found["apertures"]
        with self.widget.hold_sync():
            if not again:
                self.widget.cuts, self.widget.wave = {}, {}
                self.widget.lay("detail", {})
            self.widget.frame = {
                "id": file["id"],
                "name": file["file_name"].removesuffix(".fits"),
                "shape": found["shape"],
                "x_name": found["x"]["name"],
                "y_name": found["y"]["name"],
                "unit": "ADU" if "ADU" in found["unit"] else found["unit"],
                "limits": found["limits"],
                "range": found["range"],
                "histogram": found["histogram"],
                "wcs": wcs,
            }
            self.widget.lay("whole", tile(found))
        self._tasks.start("wave", self._wavelengths(file, family))
        return drawn

    @property
    def drawn(self) -> int:
        """Number of the file on the screen, 0 for none."""
        return int(self.widget.frame.get("id", 0))

    async def _detail(self, region: Any) -> None:
        file = self.drawn
        x0, y0, x1, y1 = (int(value) for value in region)
        found = await self._client.pixels(file, (x0, y0, x1, y1), max_pixels=MOST_PIXELS)
        if file == self.drawn:
            self.widget.lay("detail", tile(found))

    async def _cut(self, place: Any) -> None:
        file = self.drawn
        x, y = (int(value) for value in place)
        rows, columns = self.shape
        row = await self._client.pixels(file, (0, y, columns, y + 1), max_pixels=STRIP)
        column = await self._client.pixels(file, (x, 0, x + 1, rows), max_pixels=STRIP)
        if file == self.drawn:
            self.widget.cuts = {"x": x, "y": y, "row": numbers(row), "column": numbers(column)}

    async def _wavelengths(self, file: File, family: list[File]) -> None:
        """Tell which wavelength falls on which column, as a calibrated spectrum says."""
        known = [one for one in family if one["data_type"] == "4" and one.get("is_current", True)]
        spectrum = next((one for one in known if not one.get("role")), None)
        if spectrum is None:
            return
        told = await self._client.spectrum(spectrum["id"])
        if file["id"] == self.drawn and told.get("column"):
            self.widget.wave = wavelengths(told, self.window)


def tile(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pixels of an answer as a tile for `Plane.lay`."""
    x0, x1, y0, y1 = found["region"]
    flags = found.get("flags")
    return {
        "region": [x0, y0, x1, y1],
        "shape": found["pixels"]["shape"],
        "pixels": base64.b64decode(found["pixels"]["data"]),
        "flags": base64.b64decode(flags["data"]) if flags else b"",
    }


def numbers(found: Mapping[str, Any]) -> list[float | None]:
    """Return the pixels of an answer as numbers, None for what is none."""
    values = array.array("f", base64.b64decode(found["pixels"]["data"]))
    if sys.byteorder == "big":
        values.byteswap()
    return [value if math.isfinite(value) else None for value in values]


def wavelengths(spectrum: Mapping[str, Any], window: Mapping[str, int]) -> dict[str, Any]:
    """Return columns of an image and their wavelengths, thinned, the columns rising."""
    pairs = [
        ((column - window["x0"] - (window["xbin"] - 1) / 2) / window["xbin"], wave)
        for column, wave in zip(spectrum["column"], spectrum["x"]["values"], strict=True)
        if column is not None and wave is not None
    ]
    pairs.sort()
    some = pairs[:: max(1, len(pairs) // WAVE_POINTS)]
    if pairs and some[-1] != pairs[-1]:
        some.append(pairs[-1])
    return {"column": [one[0] for one in some], "wavelength": [one[1] for one in some]}


def celestial(header: Iterable[HeaderCard]) -> dict[str, Any] | None:
    """Return the gnomonic solution of a header; None where there is none.

    ``crpix crval cd``, and ``a b``: terms [p, q, coefficient] of the distortion by the SIP
    convention.
    """
    cards = {card["keyword"]: card.get("value") for card in header}
    if not str(cards.get("CTYPE1", "")).startswith("RA---TAN"):
        return None
    try:
        scale = [float(str(cards.get(f"CDELT{i}", 1.0))) for i in (1, 2)]
        if "CD1_1" in cards:
            matrix = [[float(str(cards.get(f"CD{i}_{j}", 0.0))) for j in (1, 2)] for i in (1, 2)]
        else:
            matrix = [
                [scale[i - 1] * float(str(cards.get(f"PC{i}_{j}", float(i == j)))) for j in (1, 2)]
                for i in (1, 2)
            ]
        return {
            "crpix": [float(str(cards[f"CRPIX{i}"])) for i in (1, 2)],
            "crval": [float(str(cards[f"CRVAL{i}"])) for i in (1, 2)],
            "cd": matrix,
            "a": _distortion(cards, "A"),
            "b": _distortion(cards, "B"),
        }
    except (KeyError, ValueError):
        return None  # a header that says half of it says nothing


def _distortion(cards: Mapping[str, Any], axis: str) -> list[list[float]]:
    pattern = re.compile(rf"{axis}_(\d)_(\d)")
    found = ((pattern.fullmatch(name), value) for name, value in cards.items())
    return [[int(term[1]), int(term[2]), float(str(value))] for term, value in found if term]
