"""Each command of the operator's guide runs here, or is marked "not run"."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from goodman_live.server_extension.catalogue.migrate import migrate


@pytest.fixture
def guide(project):
    return (project / "docs" / "operator.md").read_text()


def commands(guide):
    for block in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL):
        yield from (line for line in block.splitlines() if line.strip())


def test_the_commands_do_what_they_say(guide, tmp_path):
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
    run = [line for line in commands(guide) if "# not run" not in line]
    assert len(run) >= 7
    # An examination finds what is wrong with so small an installation, and says so by its exit.
    run.sort(key=lambda line: line.startswith("goodman-live doctor"))
    for line in run:
        text = line.replace("/backup/", f"{folder}/").replace("/srv/new", str(tmp_path / "new"))
        if line.startswith("python -m goodman_live.hub.manage switch-off"):
            text = text.replace("somebody", "chief")
        done = subprocess.run(
            ["sh", "-euc", text], env=environ, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        expected = {0, 1} if "doctor" in line else {0}
        assert done.returncode in expected, f"{line}\n{done.stdout}{done.stderr}"
    new = tmp_path / "new" / "raw" / "0001.fits"
    assert new.read_bytes() == b"frame" * 1000
    assert len((tmp_path / "instrument-token").read_text().strip()) == 64


def test_what_is_not_run_is_at_least_a_command(guide):
    marked = [line for line in commands(guide) if "# not run" in line]
    assert marked
    for line in marked:
        subprocess.run(["sh", "-nc", line], check=True)


def test_files_that_the_guide_names_are_there(guide, project):
    named = set(re.findall(r"`((?:etc|setup|tests|dask_config)/[\w./-]*[\w/])`", guide))
    assert len(named) > 12
    assert {name for name in named if not (project / name).exists()} == set()
