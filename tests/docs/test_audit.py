"""`make audit` tells weaknesses, and what it could not look up, apart."""

import json
import subprocess
import sys

import pytest

GOOD = {"name": "toolz", "version": "1.0", "vulns": []}
BAD = {
    "name": "tornado",
    "version": "6.0",
    "vulns": [
        {"id": "PYSEC-2023-75", "fix_versions": ["6.3.2"], "aliases": [], "description": ""}
    ],
}
UNKNOWN = {"name": "goodman-live", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([GOOD], 0, ["1 of 1 looked up, 0 with a known weakness"]),
        ([GOOD, UNKNOWN], 0, ["1 of 2 looked up", "NOT looked up, 1:", "goodman-live: not found"]),
        ([UNKNOWN], 2, ["0 of 1 looked up", "NOT looked up, 1:"]),
        ([UNKNOWN, BAD], 1, ["tornado 6.0: PYSEC-2023-75, mended in 6.3.2", "NOT looked up, 1:"]),
    ],
)
def test_what_could_not_be_looked_up_hides_no_weakness(tmp_path, project, found, code, said):
    program = tmp_path / "pip-audit"
    answer = json.dumps({"dependencies": found, "fixes": []})
    # As pip-audit does: code 1 for a weakness.
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {int(BAD in found)}\n")
    program.chmod(0o755)
    done = run(project, program)
    assert done.returncode == code
    for words in said:
        assert words in done.stdout


def test_an_index_that_does_not_answer_is_no_clean_bill(tmp_path, project):
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho no route to host >&2\nexit 1\n")
    program.chmod(0o755)
    done = run(project, program)
    assert done.returncode == 1
    assert "no route to host" in done.stderr


def run(project, program):
    return subprocess.run(
        [sys.executable, str(project / "setup" / "audit.py"), str(program)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
