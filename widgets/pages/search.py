"""Search: filters with counts, a table read page by page, downloads, an address to share."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.errors import InvalidRequestError
from goodman_live.widgets.client.records import DataType
from goodman_live.widgets.components.blocks import Facets, Place, Saver
from goodman_live.widgets.pages import search_script, words
from goodman_live.widgets.pages.listing import Found, Listing, Plan, column
from goodman_live.widgets.pages.shell import Shell
from goodman_live.widgets.pages.tasks import Soon

if TYPE_CHECKING:
    from goodman_live.widgets.client.errors import ClientError
    from goodman_live.widgets.client.events import Event
    from goodman_live.widgets.client.records import File

log = logging.getLogger(__name__)

GROUPS = {
    "obstype": "By obstype",
    "filter": "By filter",
    "filter_2": "By filter_2",
    "grating": "By grating",
    "wavmode": "By wavmode",
    "slit": "By slit",
    "roi": "By roi",
    "technique": "By technique",
    "date": "By date",
    "proposal_id": "By proposal",
    "data_type": "By data type",
    "grade": "By quality grade",
}
"""The nine filters of the public service, then ours."""
SINGLE = ("search", "date_min", "date_max", "ra", "dec", "radius")
"""Filters of one value."""
RADIUS = "5"
"""Arcminutes around a position that came without a radius."""
MOST_PICKED = 500
"""Files of one archive: their numbers travel in its address."""

ALWAYS = (
    column("name", "File name", sort="file_name", link="href", kind="file"),
    column("proposal", "Proposal ID", sort="proposal_id"),
    column("obstype", "Obstype", sort="obstype"),
    column("object", "Object", sort="object"),
)
OPTIONAL = {
    "wavmode": column("wavmode", "Wavmode", sort="wavmode"),
    "filter": column("filter", "Filter", sort="filter"),
    "filter_2": column("filter_2", "Filter 2", sort="filter_2"),
    "grating": column("grating", "Grating", sort="grating"),
    "slit": column("slit", "Slit", sort="slit"),
    "roi": column("roi", "ROI", sort="roi"),
    "technique": column("technique", "Technique", sort="technique"),
    "date": column("date", "Date", sort="date", kind="mono"),
    "type": column("type", "Type", sort="data_type"),
    "grade": column("grade", "Grade", tone="grade_tone", sort="grade"),
    "state": column("state", "State", tone="state_tone", sort="state"),
    "start": column("start", "Start (UTC)", sort="start", kind="mono"),
    "exptime": column("exptime", "Exposure (s)", sort="exptime"),
    "airmass": column("airmass", "Airmass", sort="airmass"),
    "obsra": column("obsra", "RA", sort="obsra", kind="mono"),
    "obsdec": column("obsdec", "Dec", sort="obsdec", kind="mono"),
    "camera": column("camera", "Camera", sort="camera"),
    "binning": column("binning", "Binning", sort="binning"),
    "version": column("version", "Version", sort="version"),
    "created": column("created", "In the catalogue", sort="created", kind="mono"),
}
"""Columns that can be put away; those of the public service are shown at first."""
NO_FILES = "There are no files that you may see yet. They appear here as soon as they are taken."
NONE_FIT = "No file that you may see fits these filters. Take one back, or clear all, to see more."
FIRST = ("wavmode", "filter", "filter_2", "grating", "slit", "roi", "date", "type")
TONES = {"failed": "bad", "waiting": "warn", "working": "info"}
GRADES = {"A": "good", "B": "good", "C": "warn", "D": "bad"}
ORDERINGS = {one["sort"] for one in (*ALWAYS, *OPTIONAL.values())} | {"id"}


class SearchPage:
    """The page as one object: `widget` is what is shown.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    query : str
        Of the address: filters, ``ordering`` and ``page``.
    """

    def __init__(self, client: AsyncClient, query: str = "") -> None:
        self._client = client
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        self.place = Place()
        self.saver = Saver()
        self.facets = Facets()
        self.facets.when("filters", self._filter)
        self._columns = list(FIRST)
        chosen, ordering, page = from_query(query)
        plan = Plan(
            title="Data files",
            columns=self._shown(),
            read=self._read,
            empty=NO_FILES,
            ordering=ordering,
            page_size=20,
        )
        self.table = Listing(self.shell, plan, place=self.place)
        self._counts = Soon(self._count, self._uncounted)
        self.table.widget.page = page
        self.table.widget.pages = page
        self.table.widget.selectable = True
        for name, handler in {
            "pick": self._pick,
            "tool": self._tool,
            "column": self._column,
        }.items():
            self.table.widget.when(name, handler)
        self.facets.chosen = chosen
        self.widget = self.shell.widget
        columns = w.HBox([self.table.widget, self.facets]).add_class("gl-search")
        self.shell.place(self.place, self.saver, columns)
        self._offer()

    def begin(self) -> None:
        """Read, and follow what happens."""
        self.shell.begin()
        self.table.begin()
        self.shell.tasks.start("facets", self._counts.run())
        self.shell.tasks.start("columns", self._load_columns())

    def _heard(self, event: Event) -> None:
        if event.kind.startswith(("frame.", "product.")):
            self.table.news()

    def _again(self) -> None:
        self.table.ask()

    # filters and rows

    def _filter(self, told: Any) -> None:
        if not isinstance(told, dict) or not isinstance(told.get("chosen"), dict):
            return
        serial = told.get("serial")
        with self.facets.hold_sync():
            self.facets.chosen = clean(told["chosen"])
            if isinstance(serial, int):
                self.facets.heard = serial
        # Counts of what was chosen before are not waited for.
        self.shell.tasks.start("facets", self._counts.run())
        self.table.narrow()

    async def _read(self, asked: dict[str, Any]) -> Found:
        chosen = self.facets.chosen
        query = to_query(chosen, self.table.widget.ordering, asked["page"])
        try:
            page = await self._client.files(**as_filters(chosen), **asked)
        except InvalidRequestError as error:
            # What was typed is no date or no position: say so, and leave what is shown.
            self.facets.fault = str(error)
            table = self.table.widget
            return Found(table.rows, table.count)
        self.facets.fault = ""
        # The counts take longer and weigh more: the files do not wait for them.
        self._counts.ask()
        rows = [file_row(file) for file in page["results"]]
        return Found(rows, page["count"], query=query, empty=NONE_FIT if chosen else "")

    async def _count(self) -> None:
        chosen = self.facets.chosen
        try:
            found = await self._client.facets(**as_filters(chosen))
        except InvalidRequestError:
            return  # said where the files are read
        self.facets.groups = facet_groups(found, chosen)

    def _uncounted(self, error: ClientError) -> None:
        """Say nothing: the table says it, and the counts are tried again."""
        log.info("The files could not be counted: %s", error)

    # columns

    def _shown(self) -> list[dict[str, Any]]:
        return [*ALWAYS, *(OPTIONAL[name] for name in OPTIONAL if name in self._columns)]

    async def _load_columns(self) -> None:
        kept = (await self._client.me()).get("options", {}).get("search", {})
        names = kept.get("columns") if isinstance(kept, dict) else None
        # Columns that were chosen while we read stay.
        if isinstance(names, list) and self._columns == list(FIRST):
            self._columns = [name for name in names if name in OPTIONAL]
        self._offer()

    def _column(self, what: Any) -> None:
        if not isinstance(what, dict) or what.get("key") not in OPTIONAL:
            return
        others = [name for name in self._columns if name != what["key"]]
        self._columns = [*others, *([str(what["key"])] if what.get("on") else [])]
        self._offer()
        work = self._client.save_options("search", {"columns": self._columns})
        self.shell.tasks.start("keep", work)

    # choosing and downloading

    def _pick(self, what: Any) -> None:
        if not isinstance(what, dict) or not isinstance(what.get("keys"), list):
            return
        keys = [key for key in what["keys"] if isinstance(key, int)]
        others = [key for key in self.table.widget.picked if key not in keys]
        self.table.widget.picked = [*others, *(keys if what.get("on") else [])]
        self._offer()

    def _offer(self) -> None:
        picked = [int(key) for key in self.table.widget.picked]
        reason = "Choose files in the table first." if not picked else ""
        if len(picked) > MOST_PICKED:
            reason = f"An archive holds at most {MOST_PICKED} files; a script has no limit."
        archive: dict[str, Any] = {
            "key": "archive",
            "label": f"Download archive ({len(picked)})",
            "main": True,
        }
        if reason:
            archive["reason"] = reason
        else:
            ids = "&".join(f"id={number}" for number in picked)
            path = self._client.address.browser
            # A tab of its own: leaving this page ends its kernel.
            archive |= {"href": f"{path}api/files/download/?archive=true&{ids}", "tab": True}
        what = words.several(len(picked), "file") if picked else "whole search"
        tools = [archive, {"key": "script", "label": f"Download script ({what})"}]
        if picked:
            tools.append({"key": "none", "label": "Choose none"})
        optional = [
            {"key": name, "label": one["label"], "on": name in self._columns}
            for name, one in OPTIONAL.items()
        ]
        with self.table.widget.hold_sync():
            self.table.widget.tools, self.table.widget.optional = tools, optional
            self.table.widget.columns = self._shown()

    def _tool(self, key: Any) -> None:
        if key == "none":
            self.table.widget.picked = []
            self._offer()
        elif key == "script":
            path = self._client.address.browser
            base = "" if "://" in path else "__ORIGIN__"
            picked = [int(one) for one in self.table.widget.picked]
            filters = as_filters(self.facets.chosen)
            text = search_script.write(base + path, filters, picked)
            self.saver.hand("goodman_download.py", text)


def file_row(file: File) -> dict[str, Any]:
    """Return a file as a row of the table."""
    same = ("obstype", "object", "wavmode", "filter", "filter_2", "grating", "slit", "roi", "date")
    more = (
        "state",
        "exptime",
        "airmass",
        "obsra",
        "obsdec",
        "technique",
        "camera",
        "binning",
        "version",
        "grade",
    )
    row: dict[str, Any] = {name: file.get(name, "") for name in (*same, *more)}
    state, grade = str(file.get("state", "")), str(file.get("grade", ""))
    kind = DataType(file["data_type"]).label
    role = str(file.get("role") or "")
    return row | {
        "key": file["id"],
        "name": file["file_name"],
        "href": f"data.ipynb?file={file['id']}",
        "proposal": file.get("proposal_id", ""),
        "type": f"{kind} ({role})" if role else kind,
        "start": words.stamp(str(file.get("start") or "")),
        "created": words.stamp(str(file.get("created") or "")),
        "state_tone": TONES.get(state, ""),
        "grade_tone": GRADES.get(grade, ""),
    }


def facet_groups(found: dict[str, Any], chosen: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return each filter with its values and counts; what is chosen stays, at nought too."""
    groups = []
    for key, label in GROUPS.items():
        if key not in found and key not in chosen:
            continue
        values = [
            {
                "value": str(one["value"]),
                "label": _named(key, str(one["value"])),
                "count": one["count"],
            }
            for one in found.get(key, ())
            if str(one["value"])
        ]
        if key == "date":
            values.sort(key=lambda one: one["value"], reverse=True)
        listed = {one["value"] for one in values}
        values += [
            {"value": value, "label": _named(key, value), "count": 0}
            for value in chosen.get(key, ())
            if value not in listed
        ]
        groups.append({"key": key, "label": label, "values": values})
    return groups


def _named(key: str, value: str) -> str:
    if key == "data_type" and value in set(DataType):
        return DataType(value).label
    return value


def clean(chosen: dict[str, Any]) -> dict[str, list[str]]:
    """Return the filters that there are, as lists of texts."""
    found: dict[str, list[str]] = {}
    for name in (*GROUPS, *SINGLE):
        values = chosen.get(name)
        if isinstance(values, list):
            texts = [str(value).strip()[:200] for value in values[:100] if str(value).strip()]
            if texts:
                found[name] = texts[:1] if name in SINGLE else texts
    return found


def as_filters(chosen: dict[str, list[str]]) -> dict[str, Any]:
    """Return the filters as the client takes them; half a position is none yet."""
    filters: dict[str, Any] = {
        name: values[0] if name in SINGLE else values for name, values in chosen.items()
    }
    if "ra" in filters and "dec" in filters:
        return {"radius": RADIUS, **filters}
    return {key: value for key, value in filters.items() if key not in {"ra", "dec", "radius"}}


def from_query(query: str) -> tuple[dict[str, list[str]], str, int]:
    """Return filters, ordering and page of an address; what is unknown is left out."""
    asked = parse_qs(query, max_num_fields=300)
    ordering = asked.get("ordering", ["-id"])[0]
    if ordering.removeprefix("-") not in ORDERINGS:
        ordering = "-id"
    page = asked.get("page", ["1"])[0]
    return clean(asked), ordering, max(1, int(page)) if page.isdecimal() and len(page) < 9 else 1


def to_query(chosen: dict[str, list[str]], ordering: str, page: int) -> str:
    """Return the address of a search, without what is usual."""
    pairs = [(name, value) for name, values in chosen.items() for value in values]
    pairs += [("ordering", ordering)] if ordering not in {"", "-id"} else []
    pairs += [("page", str(page))] if page > 1 else []
    return urlencode(pairs)


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = SearchPage(AsyncClient(find_address()), os.environ.get("QUERY_STRING", ""))
    page.shell.when_seen(page.begin)
    return page.widget
