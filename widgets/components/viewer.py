"""The view of a file: image or spectrum, with the choices that the reader has made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.client.errors import ClientError, ConnectionLostError, ServiceError
from goodman_live.widgets.client.records import CURVES, DataType
from goodman_live.widgets.components.colours import STOPS
from goodman_live.widgets.components.parts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.records import File
    from goodman_live.widgets.components.image_view import ImageView, Region
    from goodman_live.widgets.components.spectrum_view import SpectrumView

STRETCHES = ("linear", "log", "asinh")
LIMITS = ("zscale", "percentile", "minmax")
RETRY = 3.0
"""Seconds until what could not be drawn is tried again."""
FOCUS, ACQUISITION = "focus", "acquisition"
"""Roles of products that are drawn with what was measured on them."""
_SPECTRA = frozenset({DataType.EXTRACTED, DataType.WAVELENGTH, DataType.FLUX})


class Viewer:
    """Shows one file; loads bqplot when the first one is shown.

    Parameters
    ----------
    client : AsyncClient
        Where pixels and spectra come from.
    start : callable
        Runs background work by name; the latest of a name wins.
    """

    def __init__(self, client: AsyncClient, start: Callable[[str, Any], Any]) -> None:
        self._client = client
        self._start = start
        self._image: ImageView | None = None
        self._spectrum: SpectrumView | None = None
        self._file: File | None = None
        self._drawn = 0
        self._title = ""
        self.colours = _dropdown("Colours", tuple(STOPS))
        self.stretch = _dropdown("Stretch", STRETCHES)
        self.limits = _dropdown("Limits", LIMITS)
        self.saturated = _check("Saturated pixels", value=True)
        self.titled = _check("Title", value=True)
        self.uncertainty = _check("Uncertainty", value=False)
        self.sky = _check("Sky", value=False)
        self.whole = w.Button(description="Whole view", tooltip="Undo pan and zoom")
        self.heading = Text(kind="gl-heading")
        self.note = Text(kind="gl-viewnote")
        self.bar = w.HBox([]).add_class("gl-viewbar")
        self.frame = w.VBox([]).add_class("gl-figure")
        self.widget = w.VBox([self.bar, self.heading, self.note, self.frame])
        self.widget.add_class("gl-viewer")
        self._choices = {
            "colours": self.colours,
            "stretch": self.stretch,
            "limits": self.limits,
            "saturated": self.saturated,
            "title": self.titled,
            "uncertainty": self.uncertainty,
            "sky": self.sky,
        }
        for choice in (self.colours, self.stretch, self.limits, self.saturated):
            choice.observe(self._again, "value")
        for choice in (self.uncertainty, self.sky, self.titled):
            choice.observe(self._dress, "value")
        self.whole.on_click(lambda _: self._reset())

    def choices(self) -> dict[str, Any]:
        """Return the reader's choices, to be kept."""
        return {name: choice.value for name, choice in self._choices.items()}

    def choose(self, kept: Mapping[str, Any]) -> None:
        """Take kept choices; what no longer exists is left out."""
        for name, choice in self._choices.items():
            value = kept.get(name)
            options = getattr(choice, "options", (True, False))
            if value in options and type(value) is type(choice.value):
                choice.value = value

    def when_chosen(self, handler: Callable[[], object]) -> None:
        """Call `handler` after each choice."""
        for choice in self._choices.values():
            choice.observe(lambda _: handler(), "value")

    @property
    def shows(self) -> int:
        """Number of the file shown, 0 for none."""
        return 0 if self._file is None else self._file["id"]

    def show(self, file: File, title: str) -> None:
        """Show a file, soon; what cannot be shown is said in its place."""
        self._file, self._title = file, title
        self._start("view", self._draw(file))

    async def _draw(self, file: File) -> None:
        """Draw a file; where the service cannot answer just now, try until it does."""
        while True:
            try:
                await self._try_to_draw(file)
            except (ConnectionLostError, ServiceError) as error:
                self._say(f"This file cannot be shown just now: {error} Trying again …")
            except ClientError as error:
                self._say(f"This file cannot be shown: {error}")
                return
            else:
                return
            await asyncio.sleep(RETRY)

    async def _try_to_draw(self, file: File) -> None:
        # What is on the screen counts, not what was wanted: that may never have been drawn.
        same = self._drawn == file["id"]
        if file["data_type"] in _SPECTRA or file.get("role") in CURVES:
            await self._show_spectrum(file, keep=same)
        else:
            await self._show_image(file, keep=same)
        self._drawn = file["id"]
        self._say("")
        self._dress()

    async def _show_image(self, file: File, *, keep: bool) -> None:
        if self._image is None:
            from goodman_live.widgets.components.image_view import ImageView  # noqa: PLC0415

            self._image = ImageView(self._start)
        pointing = file.get("role") == ACQUISITION
        # A slit lights few pixels and its target fewer: limits for the sky would show neither.
        limits = "percentile" if pointing else self.limits.value

        async def draw(size: tuple[int, int], **more: Any) -> bytes:
            width, height = size
            return await self._client.picture(
                file["id"],
                width=width,
                height=height,
                colormap=self.colours.value,
                stretch=self.stretch.value,
                saturated=self.saturated.value,
                **more,
            )

        # At once: the service finds the same limits for both.
        facts, whole = await asyncio.gather(
            self._client.image(file["id"], limits=limits), draw(self._image.size, limits=limits)
        )
        seen = (await self._client.diagnostics(file["id"]))["data"] if pointing else None
        low, high = facts["limits"]["low"], facts["limits"]["high"]

        async def paint(region: Region, width: int, height: int) -> bytes:
            return await draw((width, height), region=region, levels=(low, high))

        rows, columns = facts["shape"]
        self._image.show((columns, rows), whole, paint, keep=keep)
        levels = (low, high, self.colours.value, self.stretch.value)
        self._image.dress(facts["x"]["name"], facts["y"]["name"], levels)
        self._image.point(seen)
        chosen = (self.colours, self.stretch, *(() if pointing else (self.limits,)))
        self._place(self._image.widget, (*chosen, self.saturated, self.titled, self.whole))

    async def _show_spectrum(self, file: File, *, keep: bool) -> None:
        if self._spectrum is None:
            from goodman_live.widgets.components.spectrum_view import (  # noqa: PLC0415
                SpectrumView,
            )

            self._spectrum = SpectrumView()
        self._spectrum.show(await self._client.spectrum(file["id"]), keep=keep)
        if file.get("role") == FOCUS:
            self._spectrum.show_run((await self._client.diagnostics(file["id"]))["data"])
            self._place(self._spectrum.widget, (self.titled, self.whole))
            return
        self._place(self._spectrum.widget, (self.uncertainty, self.sky, self.titled, self.whole))

    def _place(self, figure: w.Widget, bar: tuple[w.Widget, ...]) -> None:
        if self.frame.children != (figure,):
            self.frame.children = (figure,)
        if self.bar.children != bar:
            self.bar.children = bar

    def _say(self, text: str) -> None:
        self.note.text = text
        self.frame.layout.display = "none" if text else ""
        self.bar.layout.display = "none" if text else ""

    def _again(self, _: Any) -> None:
        if self._file is not None:
            self._start("view", self._draw(self._file))

    def _dress(self, _: Any = None) -> None:
        self.heading.text = self._title if self.titled.value else ""
        if self._spectrum is not None:
            self._spectrum.band.visible = self.uncertainty.value
            self._spectrum.sky.visible = self.sky.value

    def _reset(self) -> None:
        for view in (self._image, self._spectrum):
            if view is not None:
                view.reset()


def _dropdown(name: str, options: tuple[str, ...]) -> w.Dropdown:
    return w.Dropdown(
        options=options,
        description=name,
        layout=w.Layout(width="auto"),
        style={"description_width": "initial"},
    )


def _check(name: str, *, value: bool) -> w.Checkbox:
    return w.Checkbox(value=value, description=name, indent=False, layout=w.Layout(width="auto"))
