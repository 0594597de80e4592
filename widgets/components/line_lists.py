"""Lines that people look for in spectra, read from ``widgets/data/lines.csv``."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Any

FAMILIES = ("stellar", "nebular", "galaxy", "telluric", "sky")
"""In the order in which they are offered."""


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = (files("goodman_live.widgets") / "data" / "lines.csv").read_text(encoding="utf-8")
    plain = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(csv.DictReader(plain))


def lines() -> list[dict[str, Any]]:
    """Return every line: ``family name wave`` (Angstrom, in air) and ``end``, 0 for no band."""
    found = [
        {
            "family": row["family"],
            "name": row["name"],
            "wave": float(row["wave"]),
            "end": float(row["end"] or 0),
        }
        for row in _rows()
    ]
    return sorted(found, key=lambda one: (FAMILIES.index(one["family"]), one["wave"]))
