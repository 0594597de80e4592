"""The Advanced visualization page: one file at length, and what its steps saw."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.errors import (
    ClientError,
    ConnectionLostError,
    NotFoundError,
    NotSignedInError,
    ServiceError,
)
from goodman_live.widgets.client.records import CURVES, DataType
from goodman_live.widgets.components.blocks import Place, Sections
from goodman_live.widgets.components.parts import Actions, Head, Text
from goodman_live.widgets.components.plots import Panels
from goodman_live.widgets.pages import words
from goodman_live.widgets.pages.data import wanted_file
from goodman_live.widgets.pages.diagnostic_panels import panels
from goodman_live.widgets.pages.hand import Hand, request
from goodman_live.widgets.pages.image_pane import ImagePane
from goodman_live.widgets.pages.open_notebook import write_notebook
from goodman_live.widgets.pages.shell import Shell
from goodman_live.widgets.pages.spectrum_pane import SPECTRA, SpectrumPane
from goodman_live.widgets.pages.tasks import RETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from goodman_live.widgets.client.events import Event
    from goodman_live.widgets.client.records import File, Job
    from goodman_live.widgets.pages.hand import Drawn

STEPS = {
    DataType.REDUCED: "Cosmic rays",
    DataType.EXTRACTED: "Profile and trace",
    DataType.WAVELENGTH: "Arc and sky",
}
"""Steps that tell what they saw, as the diagnostics' tabs."""
ASIDE = {words.FOCUS: "Focus", words.ACQUISITION: "Slit and target"}
"""The same of products beside the steps, by role."""


class AdvancedPage:
    """The page as one object: `widget` is what is shown.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    file_id : int, optional
        File to open; default: the newest frame's newest product.
    also : tuple of int, optional
        Spectra to lay over it.
    """

    def __init__(self, client: AsyncClient, file_id: int = 0, also: tuple[int, ...] = ()) -> None:
        self._client = client
        self._wanted, self._also = file_id, also
        self._family: list[File] = []
        self._file: File | None = None
        self._hand = Hand([])
        self._opening: asyncio.Task[None] | None = None
        self._drawn: File | None = None
        """The file whose apertures `_hand` holds."""
        self._jobs: dict[int, Job] = {}
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        tasks = self.shell.tasks
        self.place, self.head, self.note = Place(), Head(), Text(kind="gl-viewnote")
        self.image = ImagePane(client, tasks, self._keep)
        self.spectrum = SpectrumPane(client, tasks)
        self.actions = Actions()
        self.steps = Sections(label="Diagnostics")
        self.panels = Panels(message="")
        # All that there may be is made now: one made later might be missed by the browser.
        self.head.title = "Opening …"
        figures = [self.image.widget, self.spectrum.widget]
        parts = [self.place, self.head, self.actions, self.note, *figures]
        self.diagnostics = w.VBox([self.steps, self.panels]).add_class("gl-diagnostics")
        box = w.VBox([*parts, self.diagnostics]).add_class("gl-detail").add_class("gl-advanced")
        for part in (*figures, self.diagnostics):
            part.layout.display = "none"
        self.shell.place(box)
        self.widget = self.shell.widget
        self._listen()

    def _listen(self) -> None:
        self.head.when("tab", lambda value: self._open(int(value)))
        self.steps.when("section", self._choose_step)
        self.actions.when("act", self._act)
        self.actions.when("cancel", self._cancel)
        self.actions.when("dismiss", self._dismiss)
        plane = self.image.widget
        plane.when("edit", lambda value: self._change(lambda: self._hand.move(list(value))))
        plane.when("undo", lambda _: self._change(self._hand.undo))
        plane.when("remove", lambda _: self._change(self._hand.remove))
        plane.when("place", self._place_aperture)
        plane.when("apply", lambda _: self._extract(by_hand=True))
        plane.when("automatic", lambda _: self._extract(by_hand=False))

    def begin(self) -> None:
        """Start to follow events, and open what was asked for."""
        self.shell.begin()
        self._open_soon(self._start)

    def _open_soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._opening = self.shell.tasks.start("open", self._try(work))

    async def _try(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Open something; where the service cannot answer just now, try until it does."""
        while True:
            try:
                await work()
            except (ConnectionLostError, ServiceError) as error:
                self.note.text = f"{error} Trying again …"
                await asyncio.sleep(RETRY)
            else:
                return

    @property
    def _is_opening(self) -> bool:
        return self._opening is not None and not self._opening.done()

    async def _start(self) -> None:
        kept = (await self._client.me()).get("options", {}).get("advanced")
        if isinstance(kept, dict):
            self.image.widget.choices = kept
        if not self._wanted:
            newest = await self._client.files(page_size=1, data_type=DataType.RAW.value)
            if not newest["results"]:
                self.head.title = "No frames yet."
                return
            family = await self._client.related(newest["results"][0])
            self._wanted = min(family, key=words.tab_order)["id"]
        await self._show(self._wanted)

    def _open(self, file_id: int) -> None:
        self._open_soon(lambda: self._show(file_id))

    async def _show(self, file_id: int) -> None:
        """Show a file: its family as tabs, its picture, its actions, its diagnostics."""
        try:
            file, family = await self._client.file_and_related(file_id)
        except NotFoundError:
            self.head.title = f"There is no file {file_id}, or you may not see it."
            self.note.text = ""
            return
        self._file, self._family = file, family
        self._draw_head()
        spectral = file["data_type"] in SPECTRA or file.get("role") in CURVES
        self.place.query = urlencode({"file": file_id})
        self.actions.actions = self._actions(file)
        # The diagnostics draw a run through focus: it has neither wavelengths nor lines to fit.
        run = file.get("role") == words.FOCUS
        try:
            if spectral and not run:
                await self.spectrum.show(file, self._family, self._also)
                self._also = ()
            elif not spectral:
                drawn = await self.image.show(file, self._family)
                self._take(file, drawn)
            self.note.text = ""
        except (NotSignedInError, ConnectionLostError, ServiceError):
            raise
        except ClientError as error:
            self.note.text = f"This file cannot be shown: {error}"
        failed = bool(self.note.text)
        self.image.widget.layout.display = "none" if spectral or failed else ""
        shown = spectral and not run and not failed
        self.spectrum.widget.layout.display = "" if shown else "none"
        self._draw_steps()

    def _draw_head(self) -> None:
        file = self._file
        if file is None:
            return
        ordered = sorted(self._family, key=words.tab_order)
        with self.head.hold_sync():
            title = words.title(file)
            self.head.title = f"{title} · {file['file_name']}" if title else file["file_name"]
            self.head.tabs = [words.tab(one, ordered) for one in ordered if words.is_main(one)]
            self.head.more = [words.tab(one, ordered) for one in ordered if not words.is_main(one)]
            self.head.selected = file["id"]
            self.head.facts = words.facts(file, {})

    def _actions(self, file: File) -> list[dict[str, Any]]:
        found = [
            {"key": "data", "label": "Data page", "href": f"data.ipynb?file={file['id']}"},
            {
                "key": "download",
                "label": "Download",
                "href": self._client.download_url(file["id"]),
            },
            {"key": "notebook", "label": "Open in notebook"},
        ]
        return [{"reason": "", "file": file["id"], **one} for one in found]

    # what happens meanwhile

    def _heard(self, event: Event) -> None:
        if not event.kind.startswith(("product.", "frame.")):
            return
        if self._is_opening:  # it may be news of what is being opened
            self.shell.tasks.start("family", self._refresh())
            return
        file = self._file
        if file is None:
            return
        if event.data.get("original_file_id", file.get("original_file_id")) in {
            file.get("original_file_id"),
            file["id"],
        }:
            self.shell.tasks.start("family", self._refresh())

    def _again(self) -> None:
        if self._file is not None:
            self.shell.tasks.start("family", self._refresh())

    async def _refresh(self) -> None:
        """Read the family again; what the reader looks at stays."""
        while self._is_opening and self._opening is not None:
            await asyncio.wait([self._opening])
        file = self._file
        if file is None:
            return
        family = await self._client.related(file)
        if self._file is file:  # the reader may have gone on while we read
            self._family = family
            self._draw_head()

    # apertures

    def _take(self, file: File, drawn: list[dict[str, Any]]) -> None:
        """Begin with the apertures that were extracted with."""
        self._hand, self._drawn = Hand(drawn), file
        spectral = file.get("technique") != "Imaging" and file.get("kind", "spectrum") in {
            "spectrum",
            "standard",
        }
        plane = self.image.widget
        with plane.hold_sync():
            plane.editable = spectral and file["data_type"] in {DataType.RAW, DataType.REDUCED}
            self._draw_hand()

    def _draw_hand(self, message: str = "") -> None:
        plane = self.image.widget
        # A list of its own: the browser has moved what it was given.
        plane.apertures = []
        plane.apertures = [dict(one) for one in self._hand.now]
        plane.hand = {"changed": self._hand.changed, "message": message}

    def _change(self, change: Any) -> None:
        change()
        self._draw_hand()

    def _place_aperture(self, value: Any) -> None:
        x, y = (float(one) for one in value)
        self._change(lambda: self._hand.place(x, y, self.image.shape))

    def _extract(self, *, by_hand: bool) -> None:
        # The file whose apertures the reader sees: another one may be on its way.
        if self._drawn is None or self.image.drawn != self._drawn["id"]:
            return
        options: dict[str, Any] = {}
        if by_hand:
            options["apertures"] = request(self._hand.now, self.image.window)
        self.shell.tasks.start("extract", self._run(self._drawn, self._hand.now, options))

    def _say_of(self, file: File, message: str) -> None:
        """Say something beside the apertures of a file, if they are still what is shown."""
        if self._drawn is not None and self._drawn["id"] == file["id"]:
            self._draw_hand(message)

    async def _run(self, file: File, asked: Drawn, options: dict[str, Any]) -> None:
        self._say_of(file, "Extracting …")
        try:
            job = await self._client.run("extract", file["id"], **options)
            async for state in self._client.watch(job):
                job = state
                self._keep_job(job)
        except ClientError as error:
            self._say_of(file, f"It was not extracted: {error}")
            return
        if job["status"] != "done":
            self._say_of(file, job.get("message") or "It was not extracted.")
            return
        if self._shows(file):
            drawn = await self.image.show(file, self._family)
            if self._shows(file) and self._hand.now is asked:  # else it was changed meanwhile
                self._take(file, drawn)
        self._say_of(file, "Extracted; the next frames of this target tonight follow.")
        await self._refresh()

    def _shows(self, file: File) -> bool:
        return self._file is not None and self._file["id"] == file["id"]

    def _keep_job(self, job: Job) -> None:
        self._jobs[job["id"]] = job
        self.actions.jobs = [words.job(one) for one in self._jobs.values()]

    def _cancel(self, job_id: Any) -> None:
        if job_id in self._jobs:
            self.shell.tasks.also("cancel", self._client.cancel(int(job_id)))

    def _dismiss(self, job_id: Any) -> None:
        self._jobs.pop(job_id, None)
        self.actions.jobs = [words.job(one) for one in self._jobs.values()]

    # diagnostics

    def _sources(self) -> dict[str, File]:
        """Return the product of each step whose diagnostics go with the file shown."""
        file = self._file
        if file is None:
            return {}
        found: dict[str, File] = {}
        for one in sorted(self._family, key=words.tab_order):
            step = step_of(one)
            same = not file.get("target") or not one.get("target")
            if step and words.is_main(one) and (same or one["target"] == file["target"]):
                found.setdefault(step, one)
        step = step_of(file)
        if step:
            found[step] = file
        return found

    def _draw_steps(self) -> None:
        sources = self._sources()
        order = [name for name in (*reversed(STEPS.values()), *ASIDE.values()) if name in sources]
        self.diagnostics.layout.display = "" if order else "none"
        own = step_of(self._file) if self._file else None
        with self.steps.hold_sync():
            self.steps.sections = [{"key": name, "label": name} for name in order]
            if self.steps.section not in order or own:
                self.steps.section = own if own in order else (order[0] if order else "")
        self._read_panels()

    def _choose_step(self, name: Any) -> None:
        if name in self._sources():
            self.steps.section = str(name)
            self._read_panels()

    def _read_panels(self) -> None:
        source = self._sources().get(self.steps.section)
        self.shell.tasks.stop("panels")
        if source is None:
            self.panels.panels, self.panels.message = [], ""
            return
        with self.panels.hold_sync():
            self.panels.panels, self.panels.message = [], "Looking at the step again …"
        self.shell.tasks.start("panels", self._show_panels(source))

    async def _show_panels(self, source: File) -> None:
        try:
            found = panels(await self._client.diagnostics(source["id"]))
        except ClientError as error:
            self.panels.message = str(error)
            return
        with self.panels.hold_sync():
            self.panels.panels, self.panels.message = found, ""

    # the rest

    def _act(self, what: Any) -> None:
        if isinstance(what, dict) and what.get("key") == "notebook" and self._file is not None:
            self.shell.tasks.start("notebook", self._write(self._file))

    async def _write(self, file: File) -> None:
        written = await write_notebook(self._client, file)
        if not self._shows(file):
            return  # it is in the reader's folder all the same
        self.actions.actions = [
            *(one for one in self.actions.actions if one["key"] != "written"),
            words.written(written.name, written.href, file["id"]),
        ]

    def _keep(self, choices: Any) -> None:
        if isinstance(choices, dict):
            self.shell.tasks.start("keep", self._client.save_options("advanced", choices))


def step_of(file: File) -> str | None:
    """Return the tab of the diagnostics of a file, None where there are none."""
    role = str(file.get("role") or "")
    return ASIDE.get(role) if role else STEPS.get(DataType(file["data_type"]))


def wanted_also(query: str) -> tuple[int, ...]:
    """Return the spectra that an address lays over the first with ``&also=ID,ID``."""
    parts = parse_qs(query).get("also", [""])[0].split(",")
    return tuple(int(one) for one in parts if one.isdecimal() and len(one) < 16)[:5]


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    query = os.environ.get("QUERY_STRING", "")
    page = AdvancedPage(AsyncClient(find_address()), wanted_file(query), wanted_also(query))
    page.shell.when_seen(page.begin)
    # The notice and the tasks hold the page; the widget shows it.
    return page.widget
