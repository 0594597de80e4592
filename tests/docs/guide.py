"""The commands of the operator's guide, block by block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AS_ROOT = "# as root"
"""Begins a block that is for a machine of its own."""
NOT_RUN = "# not run"


def blocks(project: Path) -> list[list[str]]:
    """Return the lines of each block of commands."""
    guide = (project / "docs" / "operator.md").read_text()
    found = re.findall(r"^```sh\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    return [[line for line in block.splitlines() if line.strip()] for block in found]


def as_root(project: Path, first: str) -> str:
    """Return the one block for a machine of its own in which a word stands."""
    [found] = [lines for lines in blocks(project) if lines[0] == AS_ROOT and first in str(lines)]
    return "\n".join(found)
