"""Logs: what concerns the reader, filtered, live, with links to frames and jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.components.blocks import Place
from goodman_live.widgets.pages import jobs, words
from goodman_live.widgets.pages.listing import Found, Listing, Plan, choice, column, text_filter
from goodman_live.widgets.pages.shell import Shell

if TYPE_CHECKING:
    import ipywidgets as w

    from goodman_live.widgets.client.events import Event

TONES = {"error": "bad", "warning": "warn"}
ASKED = ("search", "level", "source", "proposal_id", "file_id", "job_id")
SOURCES = ("intake", "engine", "accounts", "mail")


class LogsPage:
    """The page as one object: `widget` is what is shown.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    query : str
        Of the address: filters, such as ``file_id`` or ``job_id``.
    """

    def __init__(self, client: AsyncClient, query: str = "") -> None:
        self._client = client
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        self.place = Place()
        self._proposals: list[str] | None = None
        plan = Plan(
            title="Logs",
            columns=[
                column("at", "When", kind="mono"),
                column("level", "Level", tone="tone_of"),
                column("source", "Where"),
                column("proposal", "Proposal", kind="mono"),
                column("message", "What happened", kind="text"),
                column("actions", ""),
            ],
            read=self._read,
            empty="Nothing that concerns you was logged yet.",
            unfit="Nothing that concerns you was logged under these filters. Clear some.",
            fields=self._fields(),
        )
        self.table = Listing(self.shell, plan, place=self.place)
        self.jobs = jobs.JobTable(self.shell, client)
        asked = parse_qs(query, max_num_fields=50)
        self.table.filters = {key: asked[key][0][:200] for key in ASKED if key in asked}
        self.table.widget.chosen = self.table.filters
        self.shell.place(self.place, self.table.widget, self.jobs.widget)
        self.widget = self.shell.widget

    def begin(self) -> None:
        """Read, and follow what happens."""
        self.shell.begin()
        self.table.begin()
        self.jobs.begin()

    def _heard(self, event: Event) -> None:
        self.table.news()
        if event.kind.startswith("job."):
            self.jobs.table.news()

    def _again(self) -> None:
        self.table.ask()
        self.jobs.ask()

    def _fields(self) -> list[dict[str, Any]]:
        return [
            text_filter("Text", "in the message"),
            choice("level", "Level", [(one, one) for one in ("info", "warning", "error")]),
            choice("source", "Where", [(one, one) for one in SOURCES]),
            choice("proposal_id", "Proposal", [(one, one) for one in self._proposals or ()]),
            {"key": "file_id", "label": "File number", "kind": "text"},
            {"key": "job_id", "label": "Job number", "kind": "text"},
        ]

    async def _read(self, asked: dict[str, Any]) -> Found:
        if self._proposals is None:
            self._proposals = [str(one["soar_id"]) for one in await self._client.proposals()]
        query = urlencode(self.table.filters)
        answer = await self._client.log_page(**asked)
        rows = [log_row(line) for line in answer["results"]]
        return Found(rows, answer["count"], self._fields(), query)


def log_row(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the log as a row, with links to its frame and the lines of its job."""
    actions = []
    if line.get("file_id"):
        actions.append(
            {"key": "file", "label": "Frame", "href": f"data.ipynb?file={line['file_id']}"}
        )
    if line.get("job_id"):
        actions.append(
            {
                "key": "job",
                "label": f"Job {line['job_id']}",
                "href": f"logs.ipynb?job_id={line['job_id']}",
            }
        )
    return {
        "key": line["id"],
        "name": f"of line {line['id']}",
        "at": words.stamp(line["at"]),
        "level": line["level"],
        "source": line["source"],
        "proposal": line["proposal_id"],
        "message": line["message"],
        "tone_of": TONES.get(line["level"], ""),
        "tone": TONES.get(line["level"], ""),
        "actions": actions,
    }


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = LogsPage(AsyncClient(find_address()), os.environ.get("QUERY_STRING", ""))
    page.shell.when_seen(page.begin)
    return page.widget
