"""Each user's own server: what it is told, and what it is not."""

import os
import subprocess
import sys
import time

import httpx
import psutil
import pytest
from traitlets.config import Config

from goodman_live.hub import places, userserver
from goodman_live.hub.demo.processes import marked
from goodman_live.hub.spawners import FORGOTTEN
from tests.processes import command_of, environ_of


@pytest.fixture(scope="module")
def server(live, sign_in):
    """Spawn the observer's server; return a client signed in, and the server's process."""
    client = sign_in("observer")
    client.get("/hub/spawn", follow_redirects=True)
    for _ in range(200):
        for process in marked(live.root):
            if (
                "jupyterhub.singleuser" in command_of(process)
                and environ_of(process).get("JUPYTERHUB_USER") == "observer"  # not a neighbour's
                and client.get("/user/observer/api", follow_redirects=True).is_success
            ):
                return client, process
        time.sleep(0.3)
    raise AssertionError((live.root / "logs" / "hub.log").read_text()[-3000:])


def test_it_is_told_the_service_and_neither_data_nor_database(server, live):
    environ = psutil.Process(server[1].pid).environ()
    assert environ["GOODMAN_API_URL"] == f"{live.url}/services/goodman"
    assert environ["GOODMAN_API_PATH"] == "/services/goodman"
    assert not set(FORGOTTEN) & set(environ)
    assert str(live.root / "goodman.sqlite") not in str(environ)


def test_its_token_reaches_the_service_and_no_other_user(server, live):
    token = psutil.Process(server[1].pid).environ()["JUPYTERHUB_API_TOKEN"]
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as kernel:
        assert kernel.get(f"{live.api}/files/").status_code == 200
        assert kernel.get(f"{live.url}/hub/api/user").json()["name"] == "observer"
        assert kernel.get(f"{live.url}/hub/api/users").status_code == 403
        assert kernel.get(f"{live.url}/hub/api/users/neighbour").status_code in {403, 404}
        assert kernel.get(f"{live.url}/hub/api/proxy").status_code == 403


def test_it_runs_in_the_users_own_folder_with_a_link_to_the_pages(server, live):
    home = live.root / "home" / "observer"
    assert psutil.Process(server[1].pid).cwd() == str(home)
    assert (home / userserver.PAGES).resolve() == places.notebooks().resolve()
    assert home.stat().st_mode & 0o077 == 0


def test_its_memory_is_limited_and_it_leaves_no_core(server):
    process = psutil.Process(server[1].pid)
    assert process.rlimit(psutil.RLIMIT_AS) == (4096 * 2**20,) * 2
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_its_pages_carry_a_policy_and_may_not_be_framed(server):
    client, _ = server
    for path in ("voila/render/pages/home.ipynb", "api", "no-such-page"):
        check_headers(client.get(f"/user/observer/{path}").headers)


def check_headers(headers):
    policy = headers["content-security-policy"]
    for part in (
        *("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"),
        *("base-uri 'self'", "form-action 'self'"),
    ):
        assert part in policy, policy
    assert "http" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_a_file_of_the_user_runs_in_an_origin_of_its_own(tmp_path, free_port):
    """As the server alone serves it, without a Hub in front."""
    port = free_port()
    (tmp_path / "page.html").write_text("<script>1</script>")
    command = [sys.executable, "-m", "jupyter_server", f"--config={userserver.__file__}"]
    command += [f"--port={port}", "--no-browser", "--IdentityProvider.token=t"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    env = os.environ | {"HOME": str(tmp_path), "GOODMAN_API_URL": "http://127.0.0.1:1/goodman"}
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
    url, answer = f"http://127.0.0.1:{port}/files/page.html?token=t", None
    try:
        for _ in range(600):
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            try:
                answer = httpx.get(url, trust_env=False, timeout=30)
                break
            except httpx.ConnectError:
                time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(60)
        log.close()
    assert answer.status_code == 200
    check_headers(answer.headers)
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy


def test_it_serves_pages_and_no_terminal(server):
    client, _ = server
    assert client.get("/user/observer/voila/static/theme.js").status_code == 200
    assert client.get("/user/observer/api/terminals").status_code == 404
    assert client.get("/user/observer/voila/files/pages/data.ipynb").status_code in {403, 404}


def test_pages_cannot_choose_their_frame_and_load_listed_extensions_only():
    c = Config()
    told = {"JUPYTERHUB_USER": "vera", "GOODMAN_API_PATH": "/s"}
    userserver.configure(c, told | {"GOODMAN_CONTACT_NAME": "Support"})
    assert c.VoilaConfiguration.allow_template_override == "NO"
    assert c.VoilaConfiguration.allow_theme_override == "NO"
    assert c.VoilaConfiguration.extension_allowlist == userserver.LAB_EXTENSIONS
    assert c.VoilaConfiguration.resources["goodman"]["user"] == "vera"
    contact = c.VoilaConfiguration.resources["goodman"]["contact"]
    assert contact == {"name": "Support", "email": ""}
    assert not c.VoilaConfiguration.show_tracebacks


def test_the_link_is_renewed_and_never_replaces_a_real_folder(tmp_path):
    link = tmp_path / "pages"
    link.symlink_to(tmp_path / "gone")
    userserver.link_pages(tmp_path)
    assert link.resolve() == places.notebooks().resolve()
    link.unlink()
    link.mkdir()
    with pytest.raises(FileExistsError, match="in the way"):
        userserver.link_pages(tmp_path)
