"""A Hub of a benchmark's own, and people who sign in at it without a browser."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from goodman_live.hub.demo.processes import MARK, marked

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "a-long-w0rd-for-tests!"  # noqa: S105 (of people who do not exist)
STARTS_WITHIN_S = 180


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody uses."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def hub(root: Path) -> Iterator[str]:
    """Run a Hub on a data root that has its accounts; gives its address."""
    names = ("HUB", "HUB_INTERNAL", "PROXY_API", "SERVICE")
    ports = dict(zip(names, free_ports(4), strict=True))
    project = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "jupyterhub", "-f", str(project / "jupyterhub_config.py")]
    command += [f"--JupyterHub.db_url=sqlite:///{root}/hub.sqlite"]
    command += [f"--JupyterHub.cookie_secret_file={root}/cookie_secret"]
    command += [f"--ConfigurableHTTPProxy.pid_file={root}/proxy.pid"]
    env = os.environ | {"GOODMAN_DATA": str(root), "GOODMAN_ONE_OS_USER": "1", MARK: str(root)}
    env |= {f"GOODMAN_{name}_PORT": str(port) for name, port in ports.items()}
    log = root / "hub.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=env, cwd=root, stdout=sink, stderr=sink)
    url = f"http://127.0.0.1:{ports['HUB']}"
    deadline = time.monotonic() + STARTS_WITHIN_S
    try:
        for path in ("/hub/health", "/services/goodman/api/"):
            while not answers(url + path):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(log.read_text()[-3000:])
                time.sleep(0.5)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        for one in marked(root):
            one.kill()


def answers(url: str) -> bool:
    """Tell whether somebody answers well."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False, timeout=5).is_success
    return False


def visitor(url: str) -> httpx.Client:
    """Return somebody who has seen the page that asks who they are."""
    client = httpx.Client(base_url=url, trust_env=False, timeout=300, follow_redirects=True)
    client.get("/hub/login").raise_for_status()
    return client


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD) -> int:
    """Send name and password; return the status, 302 for who is let in."""
    form = {"username": name, "password": password}
    form["_xsrf"] = client.cookies.get("_xsrf", path="/hub/") or ""
    return client.post("/hub/login", data=form, follow_redirects=False).status_code
