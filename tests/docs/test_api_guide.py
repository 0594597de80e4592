"""The developer's guide: its examples are one script, run against the real Hub and service."""

import os
import re
import subprocess
import sys
import time

import httpx
import pytest

ACCESS = "access:services!service=goodman"


@pytest.fixture(scope="module")
def guide(project):
    return (project / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def token(live, sign_in):
    client = sign_in("nightstaff")
    answer = client.post(
        "/hub/api/users/nightstaff/tokens",
        json={"note": "guide", "scopes": [ACCESS]},
        headers={"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")},
    )
    return answer.json()["token"]


@pytest.fixture(scope="module")
def some_files(live, token):
    """Wait until the demonstration's telescope has delivered a few frames."""
    headers = {"Authorization": f"Token {token}"}
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = httpx.get(
            f"{live.api}/files/", params={"data_type": "0"}, headers=headers, timeout=60
        )
        if found.json()["count"] >= 3:
            return
        time.sleep(1)
    pytest.fail("no frames came")


def test_every_example_of_the_guide_runs(live, guide, token, some_files, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    script = tmp_path / "guide.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    environment = {**os.environ, "GOODMAN_API": live.api, "GOODMAN_TOKEN": token}
    run = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert run.stdout.startswith("nightstaff ")


def test_the_guide_names_only_routes_that_exist(guide):
    from goodman_live.server_extension.routes import ROUTES  # noqa: PLC0415 (one test needs it)

    patterns = [re.compile(route.pattern) for route in ROUTES]
    named = set(re.findall(r"\{base\}(/[a-z/{}'\[\]_-]*)", guide))
    assert named
    for path in named:
        real = "/api" + re.sub(r"\{[^}]*\}", "1", path)
        assert any(pattern.fullmatch(real) for pattern in patterns), path
