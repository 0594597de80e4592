"""A Hub of a test's own, with people who sign in at it with a browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.demo.processes import MARK, marked
from goodman_live.server_extension.catalogue.migrate import migrate
from tests.browser.tls import terminated

GOOD = "a-long-w0rd-for-tests!"
PATIENCE_MS = 300_000


@dataclass
class Site:
    """A Hub, on a name of its own and behind TLS where users' servers have subdomains."""

    root: Path
    port: int
    domain: str = ""
    front: int = 0
    """Port of TLS."""

    @property
    def hub(self):
        if self.domain:
            return f"https://{self.domain}:{self.front}"
        return f"http://127.0.0.1:{self.port}"

    def server(self, name):
        host = f"https://{name}.{self.domain}:{self.front}" if self.domain else self.hub
        return f"{host}/user/{name}/"

    @property
    def log(self):
        return (self.root / "hub.log").read_text(errors="replace")

    def sessions(self):
        return session_factory(make_engine(f"sqlite:///{self.root}/goodman.sqlite"))

    def ask(self, path):
        headers = {"Host": self.hub.partition("//")[2]}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(url, headers=headers, trust_env=False, timeout=10)


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    numbers = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return numbers


@contextmanager
def running(project, fill, domain=""):
    """Run a Hub with a data root that `fill(site, session)` has put people and files into."""
    root = Path(tempfile.mkdtemp(prefix="goodman-names-"))
    url = f"sqlite:///{root}/goodman.sqlite"
    migrate(url)
    keys = ("HUB", "HUB_INTERNAL", "PROXY_API", "SERVICE")
    *numbers, front = free_ports(5)
    ports = dict(zip(keys, numbers, strict=True))
    made = Site(root, ports["HUB"], domain, front if domain else 0)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        fill(made, session)
    engine.dispose()
    env = {key: os.environ[key] for key in ("PATH", "HOME")} | {
        "GOODMAN_DATA": str(root),
        "GOODMAN_ONE_OS_USER": "1",
        **({"GOODMAN_SUBDOMAIN_HOST": made.hub} if domain else {"GOODMAN_SHARED_ORIGIN": "1"}),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        MARK: str(root),
        **{f"GOODMAN_{key}_PORT": str(port) for key, port in ports.items()},
    }
    command = [sys.executable, "-m", "jupyterhub", "-f", str(project / "jupyterhub_config.py")]
    command += [f"--JupyterHub.db_url=sqlite:///{root}/hub.sqlite"]
    command += [f"--JupyterHub.cookie_secret_file={root}/cookie_secret"]
    command += [f"--ConfigurableHTTPProxy.pid_file={root}/proxy.pid"]
    with (root / "hub.log").open("ab") as sink:
        hub = subprocess.Popen(command, env=env, cwd=root, stdout=sink, stderr=sink)
    try:
        for path in ("/hub/health", "/services/goodman/api/"):
            wait_for(made, hub, path)
        with terminated(made.port, front) if domain else nullcontext():
            yield made
    finally:
        hub.send_signal(signal.SIGTERM)
        try:
            hub.wait(60)
        except subprocess.TimeoutExpired:
            hub.kill()
            hub.wait()
        left = marked(root)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=30)
        shutil.rmtree(root)


def wait_for(site, hub, path):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert hub.poll() is None, site.log[-4000:]
        try:
            if site.ask(path).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.3)
    pytest.fail(f"{path} does not answer\n{site.log[-4000:]}")


@contextmanager
def signed_in(browser, site, name, notebook="home"):
    """Open one of somebody's pages in a browser of their own."""
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    where = f"{site.server(name)}voila/render/pages/{notebook}.ipynb"
    try:
        page.goto(where)
        page.get_by_label("User name or e-mail").fill(name)
        page.get_by_label("Password").fill(GOOD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{where}*", timeout=PATIENCE_MS, wait_until="commit")
        yield page
    finally:
        context.close()
