"""The Data page: the night's frames on the left, the chosen one on the right."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.pages.file_detail import FileDetail
from goodman_live.widgets.pages.file_list import FileList
from goodman_live.widgets.pages.shell import Shell

if TYPE_CHECKING:
    from goodman_live.widgets.client.events import Event


class DataPage:
    """The page as one object: `widget` is what is shown.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    file_id : int, optional
        File to open at first; default: the newest.
    """

    def __init__(self, client: AsyncClient, file_id: int = 0) -> None:
        self.shell = Shell(client, on_event=self._heard, on_live=self._live)
        self.files = FileList(client, self.shell.tasks, self._choose)
        self.detail = FileDetail(client, self.shell.tasks, self._shown)
        self._client = client
        self._wanted = file_id
        self.files.widget.observe(self._first, "rows")
        self.files.widget.observe(self._none, "state")
        self.shell.place(w.HBox([self.files.widget, self.detail.widget]).add_class("gl-columns"))
        self.widget = self.shell.widget

    def begin(self) -> None:
        """Start to follow the night."""
        self.files.begin()
        self.detail.begin()
        self.shell.begin()
        self.files.news()
        self.shell.tasks.start("choices", self._load_choices())
        if self._wanted:
            self.detail.open(self._wanted)

    async def _load_choices(self) -> None:
        """Take the choices that the reader made last time, and keep those of this time."""
        viewer = self.detail.viewer
        before = viewer.choices()
        kept = (await self._client.me()).get("options", {}).get("data", {})
        now = viewer.choices()
        # What was chosen while we read counts, and is kept.
        viewer.choose({name: kept.get(name) for name in now if now[name] == before[name]})
        viewer.when_chosen(self._keep_soon)
        if now != before:
            self._keep_soon()

    def _keep_soon(self) -> None:
        self.shell.tasks.start("keep", self._keep_choices())

    async def _keep_choices(self) -> None:
        await asyncio.sleep(1.0)
        await self._client.save_options("data", self.detail.viewer.choices())

    def _choose(self, file_id: int) -> None:
        self.detail.open(file_id)

    def _shown(self, root: int, shown: int) -> None:
        self.files.select(root)
        self.files.widget.shown = shown

    def _none(self, _: object) -> None:
        """Where nothing is listed there is nothing to choose either."""
        if self.files.widget.state == "ready" and not (self.detail.root or self._wanted):
            rows = self.files.widget.rows
            self.detail.empty("Choose a frame on the left." if rows else "No frame to show yet.")

    def _first(self, _: object) -> None:
        """Open the newest file, once, if the reader has asked for none."""
        rows = self.files.widget.rows
        if rows and not self.detail.root and not self._wanted:
            self._wanted = int(rows[0]["id"])
            self.detail.open(self._wanted)

    def _heard(self, event: Event) -> None:
        if event.kind.startswith(("frame.", "product.")):
            self.files.news()
        self.detail.heard(event)

    def _live(self) -> None:
        self.files.news()
        self.detail.again()


def wanted_proposal(query: str) -> str:
    """Return the SOAR id that an address asks for with ``?proposal=ID``, empty for all."""
    return parse_qs(query).get("proposal", [""])[0][:80]


def wanted_file(query: str) -> int:
    """Return the file that an address asks for with ``?file=ID``, 0 for none."""
    value = parse_qs(query).get("file", ["0"])[0]
    return int(value) if value.isdecimal() and len(value) < 16 else 0


def show() -> w.Widget:
    """Return the Data page for a notebook's cell, alive."""
    client = AsyncClient(find_address())
    query = os.environ.get("QUERY_STRING", "")
    page = DataPage(client, wanted_file(query))
    page.files.proposal = wanted_proposal(query)
    page.shell.when_seen(page.begin)
    # The notice and the tasks hold the page; the widget shows it.
    return page.widget
