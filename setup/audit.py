"""Look up known weaknesses of what is installed, and say of what that could not be done.

    python setup/audit.py PIP_AUDIT [FOLDER]

FOLDER holds installed distributions; without it, those of this Python are meant. The exit code is
1 if a weakness is known, 2 if nothing at all could be looked up, 0 otherwise. pip-audit by itself
stops at the first distribution that the index does not know, or passes over all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from typing import Any


def look_up(program: str, folder: str) -> list[dict[str, Any]]:
    """Return what pip-audit says of each distribution in a folder."""
    command = [program, "--progress-spinner", "off", "--format", "json", "--path", folder]
    # Its exit code is 1 for a weakness as for a failure: what it prints tells which.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        sys.exit(f"pip-audit failed with code {done.returncode}:\n{done.stderr}")


def report(found: list[dict[str, Any]]) -> int:
    """Print the weaknesses, then what was not looked up; return the exit code."""
    known = [one for one in found if one.get("vulns")]
    skipped = [one for one in found if "skip_reason" in one]
    for one in known:
        for weakness in one["vulns"]:
            mended = ", ".join(weakness["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {weakness['id']}, mended in {mended}")
    looked_up = len(found) - len(skipped)
    print(f"{looked_up} of {len(found)} looked up, {len(known)} with a known weakness")
    if skipped:
        print(f"NOT looked up, {len(skipped)}:")
        for one in skipped:
            print(f"  {one['name']}: {one['skip_reason']}")
    if known:
        return 1
    return 0 if looked_up else 2


if __name__ == "__main__":
    where = sys.argv[2] if len(sys.argv) > 2 else sysconfig.get_path("purelib")
    sys.exit(report(look_up(sys.argv[1], where)))
