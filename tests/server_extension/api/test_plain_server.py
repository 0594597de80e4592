"""The same extension in a plain ``jupyter server``: one person, their own folder."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

TOKEN = "a-token-of-the-owner"


@pytest.fixture(scope="module")
def plain(project, tmp_path_factory, free_port):
    """Start ``jupyter server`` with the extension enabled by its JSON alone."""
    root = tmp_path_factory.mktemp("plain")
    port = free_port()
    profile = root / "dask.yaml"
    profile.write_text("kind: local\nworkers: 1\n")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "JUPYTER_CONFIG_PATH": str(project / "etc" / "jupyter"),
        "JUPYTER_TOKEN": TOKEN,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    options = [
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={root}",
        "--ServerApp.allow_root=True",
        "--ServerApp.open_browser=False",
        f"--GoodmanExtension.dask={profile}",
        "--GoodmanExtension.rate_limit=1",
        "--GoodmanExtension.rate_burst=40",
    ]
    log = root / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options],
            env=env, cwd=root, stdout=sink, stderr=sink,
        )  # fmt: skip
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}/goodman/",
        headers={"Authorization": f"Token {TOKEN}"},
        timeout=180,
        trust_env=False,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("api/")
            break
        except httpx.TransportError:
            time.sleep(0.2)
    client.root = root
    client.log = log
    yield client
    client.close()
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def test_installing_enables_and_nothing_starts_before_it_is_asked_for(plain):
    status = plain.get("api/").json()
    assert status["status"] == "starting", plain.log.read_text()
    assert not (plain.root / "goodman-live").exists()


def test_the_owner_does_everything(plain, raw_frames):
    me = plain.get("api/users/me/").json()
    assert me["is_superuser"] is True
    assert plain.get("api/").json()["status"] == "ok"
    content = (raw_frames / "bias.fits").read_bytes()
    added = plain.post("api/files/", files={"file": ("bias.fits", content)})
    assert added.status_code == 201, added.text
    number = added.json()["id"]
    comment = plain.post("api/files/comments/", json={"id": number, "text": "My own."})
    assert comment.status_code == 201, comment.text
    assert plain.get("api/files/visualize/", params={"id": number}).status_code == 200
    assert (plain.root / "goodman-live" / "goodman.sqlite").is_file()


def test_a_stranger_is_refused(plain):
    answer = httpx.get(f"{plain.base_url}api/files/", trust_env=False)
    assert answer.status_code == 401


def test_jupyter_itself_still_works(plain):
    answer = plain.get(str(plain.base_url).replace("/goodman/", "/api/status"))
    assert answer.status_code == 200


def test_who_asks_too_often_is_told_when_to_come_back(plain):
    answers = [plain.get("api/users/me/") for _ in range(60)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].json()["code"] == "too_many_requests"
