"""The figures of a night: frames by the hour, how they stand, how fast they were reduced."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.pages import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from goodman_live.widgets.client.records import File

    Row = dict[str, Any]

KINDS = {
    "spectrum": "spectra",
    "imaging": "images",
    "arc": "arcs",
    "flat": "flats",
    "bias": "bias",
}
"""Kinds of frames that have a colour; all others share one."""
EDGES = (1, 2, 5, 10, 20, 60, 300)
"""Bounds of the bins of latency, seconds."""
MOST_MISSING = 8
"""Missing things that are named; a night that lacks more has one reason for all."""
STATES = ("done", "working", "waiting", "failed", "new")


def by_hour(frames: Sequence[File], count: int) -> Row:
    """Return frames by the hour of their exposure, stacked by kind."""
    hours: dict[datetime, Counter[str]] = {}
    for frame in frames:
        if start := frame.get("start"):
            hour = datetime.fromisoformat(start).replace(minute=0, second=0, microsecond=0)
            hours.setdefault(hour, Counter())[_kind(frame)] += 1
    bars: list[Row] = []
    if hours:
        first, last = min(hours), max(hours)
        steps = int((last - first) / timedelta(hours=1))
        every = max(1, -(-steps // 8))
        for step in range(min(steps, 47) + 1):
            hour = first + timedelta(hours=step)
            found = hours.get(hour, Counter())
            parts = [
                {"kind": kind, "name": KINDS.get(kind, "others"), "value": found[kind]}
                for kind in (*KINDS, "other")
                if found[kind]
            ]
            bars.append(
                {
                    "label": f"{hour:%H}h UTC",
                    "tick": f"{hour:%H}h" if step % every == 0 else "",
                    "parts": parts,
                }
            )
    present = {kind for found in hours.values() for kind in found}
    legend = [
        {"kind": kind, "name": KINDS.get(kind, "others")}
        for kind in (*KINDS, "other")
        if kind in present
    ]
    said = ", ".join(
        f"{bar['label']}: {sum(part['value'] for part in bar['parts'])}" for bar in bars
    )
    note = f"The newest {len(frames)} of {count:,} frames." if count > len(frames) else ""
    return {
        "key": "hours",
        "title": "Frames by hour",
        "unit": "frames",
        "along": "hour of the exposure, UTC",
        "bars": bars,
        "legend": legend,
        "said": f"Frames by hour. {said}",
        "note": note,
    }


def by_state(standing: Iterable[Row]) -> Row:
    """Return how the frames of each kind stand."""
    table: dict[str, Counter[str]] = {}
    for one in standing:
        table.setdefault(one["kind"], Counter())[one["state"]] += one["count"]
    bars = [
        {
            "label": kind,
            "tick": kind,
            "parts": [
                {"kind": f"state-{state}", "name": state, "value": found[state]}
                for state in STATES
                if found[state]
            ],
        }
        for kind, found in sorted(table.items())
    ]
    legend = [
        {"kind": f"state-{state}", "name": state}
        for state in STATES
        if any(found[state] for found in table.values())
    ]
    said = "; ".join(
        f"{kind}: {', '.join(f'{number} {state}' for state, number in found.items())}"
        for kind, found in sorted(table.items())
    )
    return {
        "key": "states",
        "title": "How frames stand",
        "unit": "frames",
        "along": "kind of frame",
        "bars": bars,
        "legend": legend,
        "said": f"Frames by kind. {said}",
    }


def latencies(frames: Sequence[File], made: Sequence[File]) -> list[float]:
    """Return the seconds from a frame's row in the catalogue to its last first product.

    Later versions, made when a better master came, are no latency.
    """
    begin = {frame["id"]: frame["created"] for frame in frames if frame.get("created")}
    last: dict[int, datetime] = {}
    for product in made:
        root = product.get("original_file_id")
        if root in begin and product.get("version", 1) == 1 and product.get("created"):
            at = datetime.fromisoformat(product["created"])
            last[root] = max(at, last.get(root, at))
    found = [
        (at - datetime.fromisoformat(begin[root])).total_seconds() for root, at in last.items()
    ]
    return sorted(one for one in found if one >= 0)


def latency(seconds: Sequence[float]) -> Row:
    """Return the histogram of latencies."""
    counts = [0] * (len(EDGES) + 1)
    for one in seconds:
        counts[sum(one >= edge for edge in EDGES)] += 1
    names = [f"<{EDGES[0]}", *(f"<{edge}" for edge in EDGES[1:]), f"≥{EDGES[-1]}"]
    bars = [
        {
            "label": f"{name} s",
            "tick": name,
            "parts": [{"kind": "latency", "name": "frames", "value": number}] if number else [],
        }
        for name, number in zip(names, counts, strict=True)
    ]
    value = f"median {median(seconds):.1f} s" if seconds else ""
    said = ", ".join(f"{bar['label']}: {number}" for bar, number in zip(bars, counts, strict=True))
    return {
        "key": "latency",
        "title": "Latency",
        "unit": "frames",
        "along": "seconds from the catalogue to the last product",
        "bars": bars,
        "value": value,
        "said": f"Latency. {said}",
        "note": "" if seconds else "Nothing was reduced yet.",
    }


def missing(found: Iterable[Row]) -> list[Row]:
    """Return what frames wait for in words, each once, with how many wait for it.

    Parameters
    ----------
    found : iterable of dict
        ``text count``, as the service gives them.
    """
    return [
        {
            "text": f"{words.several(one['count'], 'frame')}: {one['text']}",
            "tone": "warn",
        }
        for one in list(found)[:MOST_MISSING]
    ]


def makeshift(found: Iterable[Row]) -> list[Row]:
    """Return what is reduced already but with calibrations that are not yet the best, by set-up.

    Such products are made again by themselves when better calibrations come.

    Parameters
    ----------
    found : iterable of dict
        ``camera wavmode slit binning count``, as the service gives them.
    """
    return [
        {
            "text": f"{setup(one)}: {words.several(one['count'], 'frame')} reduced with"
            " calibrations that are few, old or missing, until better ones come.",
            "tone": "warn",
        }
        for one in found
    ]


def setup(file: File | Row) -> str:
    """Return the set-up of a file in a few words."""
    parts = (file.get("camera"), file.get("wavmode"), file.get("slit"), file.get("binning"))
    return " ".join(str(part) for part in parts if part and part not in {"NO_MASK", "IMAGING"})


def _kind(frame: File) -> str:
    kind = str(frame.get("kind") or "")
    return kind if kind in KINDS else "other"
