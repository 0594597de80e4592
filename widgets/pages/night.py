"""Night: tonight at a glance, what is missing, how fast it went, how the instrument does."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.components.blocks import Figures, Place, Rows, Tiles
from goodman_live.widgets.pages import forms, health, night_figures, words
from goodman_live.widgets.pages.jobs import JobTable
from goodman_live.widgets.pages.listing import Calm, column
from goodman_live.widgets.pages.shell import Shell
from goodman_live.widgets.pages.tasks import Soon

if TYPE_CHECKING:
    from goodman_live.widgets.client.errors import ClientError
    from goodman_live.widgets.client.events import Event
    from goodman_live.widgets.client.records import File

TRENDS_S = 10.0
"""For how long products are gathered before the trends are drawn again."""
MOST_FRAMES = 500
"""Frames of a night that are drawn by the hour."""
REFUSED_LATELY = timedelta(hours=24)
"""For how long a file that could not be taken is told of."""
TONES = {"failed": "bad", "waiting": "warn", "working": "info", "new": "info"}


class NightPage:
    """The page as one object: `widget` is what is shown.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    query : str
        Of the address: ``night``, YYYYMMDD; the newest without.
    """

    def __init__(self, client: AsyncClient, query: str = "") -> None:
        self._client = client
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        self.place = Place()
        asked = parse_qs(query).get("night", [""])[0]
        self._night = asked if len(asked) == 8 and asked.isdecimal() else ""
        self.head = Tiles(title="Night")
        self._tiles: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []
        self.choose = forms.BoundForm(self.shell, self._press, self._choose)
        self.choose.widget.add_class("gl-inline")
        self.figures = Figures()
        self.trends = Figures()
        self.waiting = Rows(
            title="Waiting or failed",
            columns=[
                column("name", "File", link="href", kind="long"),
                column("obstype", "Obstype"),
                column("object", "Object", kind="text"),
                column("setup", "Set-up"),
                column("state", "State", tone="tone_of"),
                column("waits", "Waits for, or why it failed", tone="tone_of", kind="text"),
            ],
        )
        self.masters = Rows(
            title="Masters of the night",
            columns=[
                column("name", "File", link="href", kind="long"),
                column("obstype", "Kind"),
                column("setup", "Set-up"),
                column("frames", "Frames"),
                column("level", "Level (ADU)"),
                column("noise", "Read noise (e-)"),
            ],
        )
        self.pointing = Rows(
            title="Focus and acquisition",
            columns=[
                column("name", "File", link="href", kind="long"),
                column("what", "What"),
                column("object", "Object", kind="text"),
                column("setup", "Set-up"),
                column("value", "Measured", tone="tone_of"),
            ],
        )
        self.jobs = JobTable(self.shell, client, title="What is being done, and was")
        top = w.HBox([self.head, self.choose.widget]).add_class("gl-nighthead")
        self.shell.place(
            self.place,
            top,
            self.figures,
            self.waiting,
            self.pointing,
            self.masters,
            self.trends,
            self.jobs.widget,
        )
        self.widget = self.shell.widget
        self._soon = Soon(self._read, self._failed)
        self._slow = Soon(self._read_trends, self._failed)
        self._calm = Calm(self._soon.ask)
        self._calm_trends = Calm(self._slow.ask, TRENDS_S)

    def begin(self) -> None:
        """Read, and follow what happens."""
        self.shell.begin()
        self.shell.tasks.start("night", self._soon.run())
        self.shell.tasks.start("trends", self._slow.run())
        self.jobs.begin()
        self._again()

    def _heard(self, event: Event) -> None:
        if event.kind.startswith(("frame.", "product.")):
            self._calm.news()
        if event.kind.startswith("product."):
            self._calm_trends.news()
        if event.kind.startswith("job."):
            self.jobs.table.news()

    def _again(self) -> None:
        self._soon.ask()
        self._slow.ask()
        self.jobs.ask()

    def _failed(self, error: ClientError) -> None:
        self.shell.failed("night", error)

    async def _press(self, _: str, values: dict[str, Any]) -> str:
        await self._choose("night", values)
        return ""

    async def _choose(self, _: str, values: dict[str, Any]) -> None:
        wanted = str(values.get("night") or "")
        self._night = wanted if len(wanted) == 8 and wanted.isdecimal() else ""
        self._again()

    async def _read(self) -> None:
        asked = {"night": self._night} if self._night else {}
        newest = not asked
        answer, status = await asyncio.gather(self._client.night(**asked), self._client.status())
        night = str(answer["night"] or "")
        self._show(answer, night, int(status.get("queue") or 0))
        which = {"night": night or "none", "page_size": MOST_FRAMES}
        frames, made, self._refused = await asyncio.gather(
            self._client.files(data_type="0", ordering="-start", **which),
            self._client.files(data_type=["2", "3", "4", "5"], current=True, **which),
            self._count_refused() if newest else _nothing(),
        )
        self.head.tiles = [*self._tiles, *self._refused]
        latencies = night_figures.latencies(frames["results"], made["results"])
        self.figures.figures = [
            night_figures.by_hour(frames["results"], frames["count"]),
            night_figures.by_state(answer["standing"]),
            night_figures.latency(latencies),
        ]
        self.place.query = urlencode({"night": self._night} if self._night else {})

    async def _count_refused(self) -> list[dict[str, Any]]:
        """Tell of files that could not be taken, to who may know: they belong to no night."""
        since = datetime.now(UTC) - REFUSED_LATELY
        page = await self._client.log_page(
            source="intake", level="warning", since=since.isoformat(), page_size=1
        )
        if not page["count"]:
            return []
        return [
            {
                "value": f"{page['count']:,}",
                "label": "files not taken, last 24 hours",
                "tone": "bad",
                "href": "logs.ipynb?source=intake&level=warning",
            }
        ]

    def _show(self, answer: dict[str, Any], night: str, queue: int) -> None:
        standing = answer["standing"]
        count = {
            state: sum(one["count"] for one in standing if one["state"] == state)
            for state in ("done", "waiting", "failed")
        }
        missing = [
            *night_figures.missing(answer["missing"]),
            *night_figures.makeshift(answer["makeshift"]),
        ]
        with self.head.hold_sync():
            self.head.title = f"Night of {words.night(night)}" if night else "No night yet"
            self._tiles = [
                {"value": f"{answer['count']:,}", "label": "raw frames"},
                {"value": f"{count['done']:,}", "label": "done", "tone": "good"},
                {
                    "value": f"{count['waiting']:,}",
                    "label": "waiting",
                    "tone": "warn" if count["waiting"] else "",
                },
                {
                    "value": f"{count['failed']:,}",
                    "label": "failed",
                    "tone": "bad" if count["failed"] else "",
                },
                {
                    "value": f"{queue:,}",
                    "label": "jobs waiting or running",
                    "tone": "info" if queue else "",
                },
                {"value": f"{len(answer['masters']):,}", "label": "masters"},
            ]
            self.head.tiles = [*self._tiles, *self._refused]
            fine = {"text": "No calibration is missing for the set-ups in use.", "tone": "good"}
            none = {"text": "It begins by itself with the first frame that you may see."}
            self.head.lines = missing or [fine if night else none]
        nights = [("", "newest night"), *((one, words.night(one)) for one in answer["nights"])]
        self.choose.widget.groups = [
            {"label": "", "fields": [forms.choice("night", "Night", nights)]}
        ]
        self.choose.fill(night=self._night)
        _fill(
            self.waiting,
            [waiting_row(file) for file in answer["waiting"]],
            "Nothing waits, nothing failed.",
        )
        _fill(
            self.pointing,
            [pointing_row(file) for file in answer["pointing"]],
            "No run through focus and no acquisition image yet.",
        )
        _fill(
            self.masters,
            [master_row(file) for file in answer["masters"]],
            "No master was made from this night's frames yet.",
        )

    async def _read_trends(self) -> None:
        files: list[File] = []
        # One after the other, and no more of each than is drawn: a kernel shall stay small.
        for asked in health.SOURCES:
            page = await self._client.files(
                current=True, ordering="-start", page_size=200, **asked
            )
            files += [health.kept(file) for file in page["results"]]
        self.trends.figures = health.trends(files)


async def _nothing() -> list[dict[str, Any]]:
    return []


def _fill(table: Rows, rows: list[dict[str, Any]], empty: str) -> None:
    with table.hold_sync():
        table.rows, table.count = rows, len(rows)
        table.message, table.state = ("", "ready") if rows else (empty, "empty")


def waiting_row(file: dict[str, Any]) -> dict[str, Any]:
    """Return a frame that waits or failed."""
    return {
        "key": file["id"],
        "name": file["file_name"],
        "href": f"data.ipynb?file={file['id']}",
        "obstype": file.get("obstype", ""),
        "object": file.get("object", ""),
        "setup": night_figures.setup(file),
        "state": file.get("state", ""),
        "waits": file.get("waits_for", ""),
        "tone_of": TONES.get(str(file.get("state")), ""),
    }


def pointing_row(file: File) -> dict[str, Any]:
    """Return a focus run or an acquisition image with what it tells."""
    told = words.quality(file) or {}
    return {
        "key": file["id"],
        "name": file["file_name"],
        "href": f"data.ipynb?file={file['id']}",
        "what": str(file.get("role", "")).capitalize(),
        "object": file.get("object", ""),
        "setup": night_figures.setup(file),
        "value": told.get("value", ""),
        "tone_of": told.get("tone", ""),
    }


def master_kind(file: dict[str, Any]) -> str:
    """Return what a master is, with what is beside the main one told apart."""
    kind, role = str(file.get("kind") or file.get("obstype") or ""), str(file.get("role") or "")
    # A sensitivity function is of kind spectrum, as the standard that it was made of.
    if not role or role == "sensitivity":
        return role or kind
    return f"{kind}, {role}"


def master_row(file: dict[str, Any]) -> dict[str, Any]:
    """Return a master with its numbers."""
    numbers = file.get("quality") or {}
    level = numbers.get("bias_level_adu", numbers.get("flat_level_adu"))
    noise = numbers.get("read_noise_e")
    return {
        "key": file["id"],
        "name": file["file_name"],
        "href": f"data.ipynb?file={file['id']}",
        "obstype": master_kind(file),
        "setup": night_figures.setup(file),
        "frames": numbers.get("frames", ""),
        "level": f"{level:,.1f}" if isinstance(level, float | int) else "",
        "noise": f"{noise:.2f}" if isinstance(noise, float | int) else "",
    }


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = NightPage(AsyncClient(find_address()), os.environ.get("QUERY_STRING", ""))
    page.shell.when_seen(page.begin)
    return page.widget
