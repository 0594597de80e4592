"""The client's commands, each run as a user runs it, against a real server."""

import json
import os
import subprocess
import sys

import pytest

from tests.widgets.service import DIGEST, TOKEN, make_file

COMMAND = [sys.executable, "-c", "from goodman_live.pipeline.cli import main; main()"]


@pytest.fixture
def run(service, tmp_path):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GOODMAN_API_URL": service.url,
        "GOODMAN_TOKEN": TOKEN,
    }

    def call(*arguments, **changes):
        return subprocess.run(
            [*COMMAND, *arguments],
            env=env | changes,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def test_files_are_listed_newest_first_and_outside_text_moves_no_cursor(run, service):
    service.state.files[4] = make_file(4, object="\x1b[2Jevil\u202e", data_type="4", date=None)
    done = run("files", "--limit", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["4", "3"]
    assert "Wavelength calibrated" in lines[0]
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_files_as_json_and_by_kind(run, service):
    service.state.files[2]["data_type"] = "2"
    done = run("files", "--data-type", "reduced", "--json")
    assert [row["id"] for row in json.loads(done.stdout)] == [2], done.stderr


def test_get_writes_the_file(run, tmp_path):
    done = run("get", "1", "2", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    names = [line.rpartition("/")[2] for line in done.stdout.splitlines()]
    assert names == ["0001_target.fits", "0002_target.fits"]
    assert (tmp_path / names[0]).stat().st_size
    assert DIGEST


def test_reduce_remote_prints_the_products(run, service):
    done = run("reduce", "--remote", "1", "--set", "extraction=fractional")
    assert done.returncode == 0, done.stderr
    assert "reduce 1: done 100 %" in done.stderr
    assert service.state.bodies[-1] == {"id": 1, "extraction": "fractional"}


def test_a_failed_job_ends_with_its_message(run):
    done = run("reduce", "3", "--remote")
    assert done.returncode == 1
    assert "No suitable flat." in done.stderr
    assert "Traceback" not in done.stderr


def test_follow_prints_events(run, service):
    service.emit("frame.added", frame_id=7)
    service.emit("job.done", job_id=1)
    done = run("follow", "--since", "0", "--count", "2", "--json")
    assert done.returncode == 0, done.stderr
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds == ["frame.added", "job.done"]


def test_a_wrong_token_and_no_service_are_said_without_a_traceback(run):
    refused = run("files", GOODMAN_TOKEN="wrong")
    assert refused.returncode == 1
    assert "Sign in" in refused.stderr
    lost = run("files", GOODMAN_API_URL="")
    assert lost.returncode == 1
    assert "No Goodman Live service is known here" in lost.stderr
    assert "Traceback" not in refused.stderr + lost.stderr


def test_every_command_has_help(run):
    for name in ("files", "get", "follow"):
        assert run(name, "--help").stdout.startswith("Usage: ")
    remote = run("reduce", "--remote", "--help").stdout
    assert "ID..." in remote
    assert "RAW_DIR" in run("reduce", "--help").stdout
