"""Search, Night and Logs: what their tables show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.records import DataType
from goodman_live.widgets.pages import table_page, words
from goodman_live.widgets.pages.table_page import Found, Plan

if TYPE_CHECKING:
    import ipywidgets as w

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.records import File

CHOICES = {
    "data_type": "Step",
    "obstype": "Type",
    "object": "Object",
    "proposal_id": "Proposal",
    "grating": "Grating",
    "wavmode": "Mode",
    "slit": "Slit",
    "technique": "Technique",
}
"""Filters of the search whose values the service counts."""
TONES = {"failed": "bad", "error": "bad", "waiting": "warn", "warning": "warn"}


def show_search() -> w.Widget:
    """Return the Search page."""
    return table_page.show(SEARCH)


def show_night() -> w.Widget:
    """Return the Night page."""
    return table_page.show(NIGHT)


def show_logs() -> w.Widget:
    """Return the Logs page."""
    return table_page.show(LOGS)


def file_row(file: File) -> dict[str, Any]:
    """Return a file as a row of a table."""
    return {
        "file": file["id"],
        "name": file["file_name"],
        "step": DataType(file["data_type"]).label,
        "obstype": file.get("obstype", ""),
        "object": file.get("object", ""),
        "proposal": file.get("proposal_id", ""),
        "setup": " ".join(str(file.get(key, "")) for key in ("wavmode", "slit")),
        "start": words.stamp(str(file.get("start") or "")),
        "state": file.get("state", ""),
        "waits": file.get("waits_for", ""),
        "tone": TONES.get(file.get("state", ""), ""),
    }


async def search(client: AsyncClient, filters: dict[str, Any]) -> Found:
    """Return the files that fit, and the values that each filter may take."""
    page = await client.files(**filters)
    plain = {name: v for name, v in filters.items() if name not in {"page", "page_size"}}
    facets = await client.facets(**plain)
    fields: list[dict[str, Any]] = [
        {"key": "search", "label": "Name or object", "kind": "text", "hint": "Text"},
        *(_choice(key, label, facets.get(key, [])) for key, label in CHOICES.items()),
        {"key": "date_min", "label": "From (UT date)", "kind": "date"},
        {"key": "date_max", "label": "To (UT date)", "kind": "date"},
    ]
    return Found([file_row(file) for file in page["results"]], page["count"], fields)


async def night(client: AsyncClient, filters: dict[str, Any]) -> Found:
    """Return what waits or failed in a night, and its masters."""
    chosen = {"night": filters["night"]} if "night" in filters else {}
    answer = await client.night(**chosen)
    rows = [file_row(file) for file in (*answer["waiting"], *answer["masters"])]
    nights = [{"value": one, "label": one} for one in answer["nights"]]
    fields: list[dict[str, Any]] = [
        {"key": "night", "label": "Night", "kind": "choice", "options": nights, "any": "newest"}
    ]
    return Found(rows, len(rows), fields)


async def logs(client: AsyncClient, filters: dict[str, Any]) -> Found:
    """Return the newest lines of the log."""
    answer = await client.transport.json("GET", "api/logs/", params=filters)
    rows = [
        {
            "at": words.stamp(line["at"]),
            "level": line["level"],
            "source": line["source"],
            "proposal": line["proposal_id"],
            "message": line["message"],
            "file": line["file_id"] or 0,
            "tone": TONES.get(line["level"], ""),
        }
        for line in answer["results"]
    ]
    levels = [{"value": one, "label": one} for one in ("info", "warning", "error")]
    fields: list[dict[str, Any]] = [
        {"key": "search", "label": "Text", "kind": "text"},
        {"key": "level", "label": "Level", "kind": "choice", "options": levels},
    ]
    return Found(rows, answer["count"], fields)


def _choice(key: str, label: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    options = []
    for one in values:
        if not one["value"]:
            continue  # nothing to filter by
        name = DataType(one["value"]).label if key == "data_type" else one["value"]
        options.append({"value": one["value"], "label": f"{name} ({one['count']})"})
    return {"key": key, "label": label, "kind": "choice", "options": options}


SEARCH = Plan(
    title="Search",
    columns={
        "name": "File",
        "step": "Step",
        "obstype": "Type",
        "object": "Object",
        "proposal": "Proposal",
        "setup": "Setup",
        "start": "Start of exposure",
        "state": "State",
    },
    read=search,
    empty="No file fits these filters.",
    kinds=("frame.", "product."),
    toned=frozenset({"state"}),
)
NIGHT = Plan(
    title="Night: what is still missing, and the masters",
    columns={
        "name": "File",
        "step": "Step",
        "obstype": "Type",
        "object": "Object",
        "state": "State",
        "waits": "Waits for",
    },
    read=night,
    empty="Nothing waits, nothing failed.",
    kinds=("frame.", "product."),
    toned=frozenset({"state", "waits"}),
)
LOGS = Plan(
    title="Logs",
    columns={
        "at": "When",
        "level": "Level",
        "source": "Where",
        "proposal": "Proposal",
        "message": "What happened",
    },
    read=logs,
    empty="Nothing was logged about your proposals.",
    kinds=("frame.", "product.", "job."),
    toned=frozenset({"level"}),
)
