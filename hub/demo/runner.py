"""The demonstration from start to stop: folders, people, ports, Hub, night, and an end to all."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event
from typing import IO, TYPE_CHECKING

import httpx

from goodman_live.hub import places
from goodman_live.hub.demo import people, processes, telescope
from goodman_live.hub.proxy import NoProxyError, install_proxy, proxy_command
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.migrate import migrate

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

READY_S = 300.0
"""How long Hub and service may take until they answer."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a polite kill, and the terminal that closes."""
CONTACT = {
    "GOODMAN_CONTACT_NAME": "Instrument support",
    "GOODMAN_CONTACT_EMAIL": "support@observatory.example",
}
"""Whom the footer of each page names, unless the environment says."""


class DemoError(GoodmanError):
    """The demonstration cannot run."""

    code = "demo"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    root: Path
    """Data root; kept between runs."""
    port: int = 8000
    """Port to begin with; the next free one is used."""
    interval_s: float = 3.0
    """Pause between two frames, seconds."""
    preset: str = "demo"
    """Which simulated night."""
    seed: int = 1
    """Seed of the night."""


@dataclass
class Demo:
    """One run. `say` receives each line for the terminal."""

    options: Options
    say: Callable[[str], None]
    stop: Event = field(default_factory=Event)
    _lock: IO[str] | None = None
    _hub: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """The data root."""
        return self.options.root

    def run(self) -> int:
        """Run until a signal; return the exit code."""
        for number in SIGNALS:
            signal.signal(number, lambda *_: self.stop.set())
        self._make_folders()
        try:
            self._take_lock()
            self._clear_remains()
            return self._live()
        finally:
            self._end()

    # -- before

    def _make_folders(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("raw", "products", "logs", "home", "hub"):
            (self.root / name).mkdir(exist_ok=True, mode=0o700)

    def _take_lock(self) -> None:
        """Hold the folder as long as this process lives: two Hubs on it would fight."""
        lock = (self.root / "hub" / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DemoError(
                f"A demonstration is running in {self.root} already.",
                remedy="Open its address, or stop it with Ctrl-C in its terminal.",
            ) from None
        self._lock = lock

    def _clear_remains(self) -> None:
        """End what a killed run left: processes, and the Hub's memory of their pids."""
        remains = processes.marked(self.root)
        if remains:
            self.say(f"Stopping {len(remains)} processes that an interrupted run left behind ...")
            processes.stop_all(self.root, patience_s=0)
        database = self.root / "hub" / "jupyterhub.sqlite"
        if database.is_file():
            forget_servers(database)

    # -- during

    def _live(self) -> int:
        environ = {
            key: value for key, value in os.environ.items() if key != "JUPYTERHUB_API_TOKEN"
        }
        night = self._simulate(environ)
        url = f"sqlite:///{self.root}/goodman.sqlite"
        migrate(url)
        passwords = people.settle_people(url, self.root / "accounts.json")
        port = self._start_hub(environ, url)
        address = f"http://127.0.0.1:{port}"
        if not self._wait_ready(address):
            return 0
        self._announce(address, passwords)
        if night is not None and not self._wait_for(night):
            return 0
        self._observe()
        while not self.stop.wait(1.0):
            self._must_run()
        return 0

    def _simulate(self, environ: dict[str, str]) -> subprocess.Popen[bytes] | None:
        folder = self.root / "night"
        if folder.is_dir():
            return None
        self.say("Simulating a raw night (once, in the background) ...")
        module = "goodman_live.hub.demo.telescope"
        what = [str(folder), self.options.preset, str(self.options.seed)]
        log_file = self.root / "logs" / "night.log"
        command = ["nice", sys.executable, "-m", module, *what]
        return processes.start(command, root=self.root, log_file=log_file, environ=environ)

    def _start_hub(self, environ: dict[str, str], url: str) -> int:
        try:
            proxy_command()
        except NoProxyError:
            self.say("Installing the Hub's proxy (once) ...")
            install_proxy()
        port = free_port(self.options.port)
        hub, proxy_api, service = free_ports(3)
        told = {
            "GOODMAN_DATA": str(self.root),
            "GOODMAN_DATABASE": url,
            "GOODMAN_ONE_OS_USER": "1",
            "GOODMAN_HUB_PORT": str(port),
            "GOODMAN_HUB_INTERNAL_PORT": str(hub),
            "GOODMAN_PROXY_API_PORT": str(proxy_api),
            "GOODMAN_SERVICE_PORT": str(service),
        }
        folder = self.root / "hub"
        command = [sys.executable, "-m", "jupyterhub", "-f", str(places.hub_config())]
        command += [f"--JupyterHub.db_url=sqlite:///{folder}/jupyterhub.sqlite"]
        command += [f"--JupyterHub.cookie_secret_file={folder}/cookie_secret"]
        command += [f"--ConfigurableHTTPProxy.pid_file={folder}/proxy.pid"]
        log_file = self.root / "logs" / "hub.log"
        self.say("Starting the Hub and the service ...")
        self._hub = processes.start(
            command, root=self.root, log_file=log_file, environ={**CONTACT, **environ, **told}
        )
        return port

    def _wait_ready(self, address: str) -> bool:
        """Wait until Hub and service answer; False if stopped meanwhile."""
        for path in ("/hub/health", "/services/goodman/api/"):
            deadline = time.monotonic() + READY_S
            while not answers(address + path):
                self._must_run()
                if time.monotonic() > deadline:
                    raise DemoError(
                        f"{address}{path} did not answer within {READY_S:.0f} s.",
                        remedy=f"See {self.root}/logs/hub.log.",
                    )
                if self.stop.wait(0.5):
                    return False
        return True

    def _must_run(self) -> None:
        if self._hub is not None and self._hub.poll() is not None:
            log_file = self.root / "logs" / "hub.log"
            raise DemoError(
                f"The Hub ended with exit code {self._hub.returncode}:\n{tail(log_file)}\n",
                remedy=f"All of it is in {log_file}.",
            )

    def _announce(self, address: str, passwords: dict[str, str]) -> None:
        file = self.root / "accounts.json"
        password = passwords[people.OBSERVER.username] or "(the one you have set)"
        self.say(
            "\n".join(
                [
                    "",
                    f"  Open       {address}",
                    f"  User name  {people.OBSERVER.username}",
                    f"  Password   {password}",
                    "",
                    f"  The other accounts are in {file}. All servers run as one operating-system",
                    "  user, which isolates nobody: this is a demonstration.",
                    "  Ctrl-C stops everything; the data stay.",
                    "",
                ]
            )
        )

    def _wait_for(self, night: subprocess.Popen[bytes]) -> bool:
        while night.poll() is None:
            self._must_run()
            if self.stop.wait(0.25):
                return False
        if night.returncode:
            log_file = self.root / "logs" / "night.log"
            raise DemoError(f"The night could not be simulated:\n{tail(log_file)}")
        return True

    def _observe(self) -> None:
        frames = telescope.raw_frames(self.root / "night")
        todo = telescope.missing(frames, self.root / "raw")
        if not todo:
            self.say(f"All {len(frames)} frames of the night are in already.")
            return
        self.say(f"The telescope delivers {len(todo)} frames:")
        arriving = telescope.observe(
            todo, self.root / "raw", interval_s=self.options.interval_s, stop=self.stop
        )
        done = len(frames) - len(todo)
        for number, frame in enumerate(arriving, start=done + 1):
            self._must_run()
            self.say(f"  {number:3d}/{len(frames)}  {frame.name}")
        if not self.stop.is_set():
            self.say("The night is over; what it left is being reduced. Ctrl-C stops everything.")

    # -- after

    def _end(self) -> None:
        if self._lock is None:
            return  # another run's folder
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if self._hub is not None:
            self.say("Stopping ...")
        processes.stop_all(self.root, self._hub)
        left = processes.marked(self.root)
        self._lock.close()
        if left:
            # Said, not raised: it must not hide what went wrong before.
            self.say(f"These processes could not be stopped: {left}.")
        elif self._hub is not None:
            self.say(f"Stopped. The data are in {self.root}.")


def free_port(first: int) -> int:
    """Return the first loopback port from `first` on that nobody listens on.

    Raises
    ------
    DemoError
        If a hundred of them are taken.
    """
    for port in range(first, first + 100):
        with socket.socket() as probe:
            # As servers do, or a port that was just closed would look taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError(f"No free port between {first} and {first + 99}.", remedy="Give --port.")


def free_ports(count: int) -> list[int]:
    """Return several different free loopback ports."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def answers(url: str) -> bool:
    """Say whether `url` answers with success."""
    try:
        # Without the environment's proxies: this is loopback.
        with httpx.Client(trust_env=False, timeout=5) as client:
            return client.get(url).is_success
    except httpx.TransportError:
        return False


def forget_servers(database: Path) -> None:
    """Remove running servers from the Hub's memory: their pids may be other programs' by now."""
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if {"spawners", "servers"} <= tables:
            connection.execute("UPDATE spawners SET server_id = NULL, state = '{}'")
            connection.execute("UPDATE services SET pid = NULL")


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log, after the last complaints that stand before them."""
    text = path.read_text(errors="replace").splitlines() if path.is_file() else []
    complaints = [line for line in text[-500:-lines] if line.startswith(("[C ", "[E "))]
    return "\n".join([*complaints[-3:], *text[-lines:]])
