"""Fixtures for all tests.

===================  ========  ================================================================
fixture              scope     gives
===================  ========  ================================================================
``project``          session   root of the source tree
``free_port``        function  function that returns a free loopback port
``postgres_server``  session   URL of a PostgreSQL server started for these tests
``database_url``     function  URL of an empty database; every test runs on SQLite and PostgreSQL
``engine``           function  engine on ``database_url`` with all tables
``session``          function  SQLAlchemy session on ``engine``
``real_frames``      session   folder of real Goodman frames; skips where they are absent
``night_dir``        session   folder of a simulated raw night's frames: Red, 2x2, 28 frames
``live``             session   the whole system, started as ``make live`` starts it (`Live`)
``sign_in``          session   function that returns an `httpx.Client` signed in at ``live``
``browser``          module    Chromium, driven by Playwright
``page``             function  a page in a fresh browser context; fails on errors of its scripts
``enter``            session   function that signs somebody in on a page, on the way to an address
===================  ========  ================================================================
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from xdist.scheduler import LoadScopeScheduling

# One thread per process, as in production: before numpy is imported by anything.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

PROJECT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, or one process would end long after the others."""

    def shares(item: pytest.Item) -> int:
        for rank, name in enumerate(("live", "service")):
            (fixture, *_) = item._fixtureinfo.name2fixturedefs.get(name, [None])
            if fixture is not None and fixture.scope == "session":
                return rank
        return 2

    items.sort(key=shares)


SYSTEMS = {
    "tests/browser/": "pages",
    "tests/hub/test_": "accounts",
    "tests/docs/": "accounts",
    "tests/server_extension/api/test_hub.py": "accounts",
    "tests/server_extension/api/": "service",
}
"""Files that share one running system, by how their names begin: the first that fits."""
OF_THEIR_OWN = ("test_components.py", "test_planted.py", "test_subdomains.py")


class Together(LoadScopeScheduling):
    """Files that share a system run in one process, always the same ones in the same order.

    What a test leaves in a shared system is there for those after it: which they are must not
    depend on how fast the machine is.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        if not file.endswith(OF_THEIR_OWN):
            for begin, system in SYSTEMS.items():
                if file.startswith(begin):
                    return system
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Together(config, log)


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return find_free_port


@pytest.fixture(scope="session")
def real_frames() -> Path:
    folder = PROJECT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("the real Goodman frames are not beside the project (../shared/real)")
    return folder


@pytest.fixture(scope="session")
def night_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from goodman_live.pipeline.simulate.night import write_night  # noqa: PLC0415 (heavy)

    folder = tmp_path_factory.mktemp("night")
    write_night(folder, "demo", seed=7)
    return folder / "RAW"


# -- databases


def _postgres_program(name: str) -> str:
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if versions:  # Debian keeps them off the path
        return str(versions[-1])
    assert found is not None, f"{name} is missing: run make test-needs"
    return found


class PostgresServer:
    """A PostgreSQL of our own on a free port; it refuses root, so it runs as `postgres`."""

    def __init__(self) -> None:
        self._user = "postgres" if os.geteuid() == 0 else None
        # Not below pytest's own folder: that one is closed to the account `postgres`.
        self._folder = Path(tempfile.mkdtemp(prefix="goodman-postgres-"))
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._data, self._port = self._folder / "data", find_free_port()
        self.url = f"postgresql+psycopg://goodman@127.0.0.1:{self._port}/postgres"
        self._run("initdb", "-D", self._data, "-U", "goodman", "--auth=trust", "-E", "UTF8", "-N")

    def _run(self, program: str, *arguments: object, check: bool = True) -> int:
        command = [_postgres_program(program), *map(str, arguments)]
        run = {"capture_output": True, "user": self._user, "cwd": self._folder, "timeout": 120}
        return subprocess.run(command, check=check, **run).returncode

    def start(self, **settings: object) -> None:
        """Start, and return when it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            "fsync": "off",
            **settings,
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        command = [_postgres_program("postgres"), "-D", str(self._data), "-p", str(self._port)]
        log = self._folder / "log"
        with log.open("ab") as sink:
            self._server = subprocess.Popen(
                [*command, *options], user=self._user, cwd=self._folder, stdout=sink, stderr=sink
            )
        for _ in range(300):
            if self._run("pg_isready", "-h", "127.0.0.1", "-p", self._port, check=False) == 0:
                return
            assert self._server.poll() is None, log.read_text()
            time.sleep(0.1)
        pytest.fail(f"PostgreSQL does not answer: {log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop and throw everybody out; ``SIGQUIT`` does so at once, as a crash would."""
        self._server.send_signal(how)
        self._server.wait(timeout=30)

    def remove(self) -> None:
        """Stop it for good."""
        if self._server.poll() is None:
            self.stop()
        shutil.rmtree(self._folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    server = PostgresServer()
    server.start()
    yield server.url
    server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/goodman.sqlite"
        return
    from sqlalchemy import create_engine, text  # noqa: PLC0415 (most tests need no database)

    server = request.getfixturevalue("postgres_server")
    name = f"test_{os.urandom(6).hex()}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        admin.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    from goodman_live.hub.accounts.database import make_engine  # noqa: PLC0415
    from goodman_live.hub.accounts.models import Base  # noqa: PLC0415

    engine = make_engine(database_url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    from goodman_live.hub.accounts.database import session_factory  # noqa: PLC0415

    with session_factory(engine)() as session:
        yield session


# -- the whole system


@dataclass
class Live:
    """A running demonstration."""

    process: subprocess.Popen[str]
    root: Path
    url: str
    passwords: dict[str, str]

    @property
    def database(self) -> str:
        return f"sqlite:///{self.root}/goodman.sqlite"

    @property
    def api(self) -> str:
        return f"{self.url}/services/goodman/api"

    def sessions(self):
        """Return a factory of sessions on the demonstration's own database."""
        from goodman_live.hub.accounts.database import (  # noqa: PLC0415
            make_engine,
            session_factory,
        )

        return session_factory(make_engine(self.database))


def start_demo(root: Path, *options: str) -> subprocess.Popen[str]:
    """Start a demonstration in `root`; what it prints is in ``<root>.out``."""
    command = [sys.executable, "-m", "goodman_live.hub.demo", "--data", str(root), *options]
    with root.with_name(f"{root.name}.out").open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def wait_for_address(process: subprocess.Popen[str], root: Path, since: int = 0) -> str:
    """Return the address that the demonstration prints when it is ready."""
    out = root.with_name(f"{root.name}.out")
    for _ in range(600):
        text = out.read_text()[since:]
        found = re.search(r"^  Open +(\S+)$.*^  Password", text, re.MULTILINE | re.DOTALL)
        if found:
            return found[1]
        assert process.poll() is None, text
        time.sleep(0.3)
    raise AssertionError(out.read_text())


@contextmanager
def running_demo(root: Path) -> Iterator[Live]:
    """Run a demonstration in `root`, whose frames come five a second."""
    process = start_demo(root, "--port", str(find_free_port()), "--interval", "0.2")
    try:
        url = wait_for_address(process, root)
        yield Live(process, root, url, json.loads((root / "accounts.json").read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running_demo(tmp_path_factory.mktemp("live") / "live") as running:
        yield running


@pytest.fixture(scope="session")
def sign_in(live: Live) -> Iterator[Callable[..., httpx.Client]]:
    clients: list[httpx.Client] = []

    def enter(username: str, password: str | None = None) -> httpx.Client:
        client = httpx.Client(base_url=live.url, trust_env=False, timeout=60)
        clients.append(client)
        client.get("/hub/login")
        form = {
            "username": username,
            "password": live.passwords[username] if password is None else password,
            "_xsrf": client.cookies.get("_xsrf", path="/hub/"),
        }
        client.last = client.post("/hub/login", data=form)
        return client

    yield enter
    for client in clients:
        client.close()


# -- browser


def chromium_path() -> str | None:
    """Return Debian's Chromium, or None to let Playwright use its own."""
    for name in ("chromium", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    return None


# Not for the session: Playwright keeps a loop running, in which no asynchronous test can run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (browser tests only)

    options = ["--no-sandbox", "--use-gl=swiftshader", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=options)
        plain = browser.new_context

        def patient(**given: Any) -> BrowserContext:
            context = plain(**given)
            context.set_default_timeout(120_000)  # a loaded machine may be slow to answer a click
            return context

        browser.new_context = patient  # type: ignore[method-assign]
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def enter(live: Live) -> Callable[..., None]:
    """Return ``enter(page, name, notebook="data")``: ask for a page, and sign in on the way."""

    def sign_in_on(page: Page, name: str, notebook: str = "data") -> None:
        path = f"/user/{name}/voila/render/pages/{notebook}.ipynb"
        page.goto(live.url + path)
        page.get_by_label("User name or e-mail").fill(name)
        page.get_by_label("Password").fill(live.passwords[name])
        page.keyboard.press("Enter")
        page.wait_for_url(f"{live.url}{path}*", timeout=300_000, wait_until="commit")

    return sign_in_on


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, f"scripts of the page failed: {errors}"
