"""Each command of the operator's guide runs here, or is marked "not run"."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from goodman_live.server_extension.catalogue.migrate import migrate
from tests.docs.guide import AS_ROOT, NOT_RUN, blocks


@pytest.fixture
def guide(project):
    return (project / "docs" / "operator.md").read_text()


def commands(project):
    """Return the commands that any machine can run; for the others see `test_under_systemd.py`."""
    return [line for lines in blocks(project) if lines[0] != AS_ROOT for line in lines]


def test_the_commands_do_what_they_say(project, tmp_path):
    data, folder = tmp_path / "data", tmp_path / "backup"
    (data / "raw").mkdir(parents=True)
    (data / "raw" / "0001.fits").write_bytes(b"frame" * 1000)
    folder.mkdir()
    migrate(f"sqlite:///{data}/goodman.sqlite")
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GOODMAN_DATA": str(data),
        "GOODMAN_DATABASE": f"sqlite:///{data}/goodman.sqlite",
        "GOODMAN_ONE_OS_USER": "1",
    }
    run = [line for line in commands(project) if NOT_RUN not in line]
    assert len(run) >= 7
    for line in run:
        text = line.replace("/backup/", f"{folder}/").replace("/srv/new", str(tmp_path / "new"))
        if line.startswith("python -m goodman_live.hub.manage switch-off"):
            text = text.replace("somebody", "chief")
        done = subprocess.run(
            ["sh", "-euc", text], env=environ, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    new = tmp_path / "new" / "raw" / "0001.fits"
    assert new.read_bytes() == b"frame" * 1000
    assert len((tmp_path / "instrument-token").read_text().strip()) == 64


def test_what_is_not_run_here_is_at_least_a_command(project):
    elsewhere = [
        lines for lines in blocks(project) if lines[0] == AS_ROOT or NOT_RUN in str(lines)
    ]
    assert len(elsewhere) >= 5
    for lines in elsewhere:
        subprocess.run(["sh", "-nc", "\n".join(lines)], check=True)


def test_files_that_the_guide_names_are_there(guide, project):
    named = set(re.findall(r"`((?:etc|setup|tests|dask_config)/[\w./-]*[\w/])`", guide))
    assert len(named) > 12
    assert {name for name in named if not (project / name).exists()} == set()
