"""A night in processes of its own that a test disturbs, and what the night came to."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from astropy.io import fits
from sqlalchemy import func, inspect, select
from sqlalchemy.exc import DBAPIError

from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Frame, Job, ProductInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TIMES = frozenset({"created", "last_modified", "timing"})
"""Columns of a frame that hold times."""
NUMBERS = frozenset({"id", "original_id", "parent_id", "job_id", "version", "directory_name"})
"""Columns that count what happened on the way, or name the night's own folder."""
OF_PRODUCTS = frozenset({"checksum", "size"})
"""Columns that follow from the cards of times and versions; a product is compared inside."""
CARDS = frozenset({"DATE", "GSP_DATE", "GSP_PATH", "GSP_BSHA", "GSP_FSHA", "CHECKSUM", "DATASUM"})
"""Cards that hold a time or the night's own folder, and checksums of files with such cards; the
masters that two of them name are compared themselves."""
VERSION = re.compile(r"_v\d+(?=[_.]|$)")
LIMIT_S = 300.0
HERE = Path(__file__).parent

State = dict[tuple[Any, ...], tuple[Any, ...]]


class Night:
    """A folder, a database, and the processes that work on them."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder}/goodman.sqlite"
        self.raw = folder / "raw" / "20260815"
        self.raw.mkdir(parents=True)
        (folder / "profile.yaml").write_text("kind: local\nworkers: 1\n")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.placed = 0
        migrate(self.url)
        self.catalogue = Catalogue(self.url)

    # --- processes ---

    def start(self, name: str = "service", command: Sequence[object] = ()) -> None:
        """Start the service, or another process of the night."""
        if not command:
            (self.folder / "started").unlink(missing_ok=True)
            command = [sys.executable, HERE / "night_service.py", self.url, self.folder]
        with (self.folder / f"{name}.log").open("ab") as sink:
            self.processes[name] = subprocess.Popen(
                [str(part) for part in command],
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}"},
            )

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes of the service's own cluster."""
        children = psutil.Process(self.processes["service"].pid).children(recursive=True)
        return [one for one in children if "spawn_main" in " ".join(_command(one))]

    def kill(self, name: str = "service") -> None:
        """End a process at once and without notice; what it started ends by itself, or is ended.

        The workers of a service must not outlive it: they would write what others write.
        """
        process = self.processes.pop(name)
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(30)
        if name != "service":
            for one in started:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        assert psutil.wait_procs(started, timeout=60)[1] == []

    def end(self) -> None:
        """End everything."""
        for name, process in list(self.processes.items()):
            if process.poll() is None:
                self.kill(name)
        self.catalogue.close()

    # --- what happens ---

    def place(self, paths: Iterable[Path]) -> None:
        """Copy raw frames into the watched folder."""
        for path in paths:
            shutil.copy(path, self.raw / path.name)
            self.placed += 1

    def count(self, what: Any, *where: Any) -> int:
        """Return how many rows there are."""
        with self.catalogue.read() as session:
            return session.scalar(select(func.count()).select_from(what).where(*where)) or 0

    def jobs(self, *states: str) -> int:
        """Return how many jobs are in these states."""
        return self.count(Job, Job.state.in_(states))

    def log(self, name: str = "service") -> str:
        """Return what a process has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def until(self, what: str, condition: Callable[[], bool], *, pause_s: float = 0.1) -> None:
        """Wait for something to happen."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            if condition():
                return
            service = self.processes.get("service")
            if service is not None and service.poll() is not None:
                break
            time.sleep(pause_s)
        pytest.fail(f"not {what}: {self.log()[-4000:]}")

    def rest(self) -> None:
        """Wait until all frames are taken and nothing is left to do."""
        quiet = 0

        def still() -> bool:
            nonlocal quiet
            quiet = quiet + 1 if self._is_done() else 0
            return quiet > 12

        self.until("at rest", still)

    def _is_done(self) -> bool:
        if not (self.folder / "started").exists():
            return False
        try:
            taken = self.count(Frame, Frame.data_type == 0, Frame.checksum.is_not(None))
            busy = self.jobs("queued", "running")
        except DBAPIError:
            return False  # the database is away for the moment
        return taken == self.placed and not busy and (self.folder / "resting").read_text() == "1"

    def restart(self) -> None:
        """End the service like a power cut, start it, and wait until it rests."""
        self.kill()
        self.start()
        self.rest()

    # --- what it came to ---

    def state(self) -> State:
        """Return rows, inputs, headers and data of what is current.

        Named by the frames' names without versions: a night that begins anew may have skipped a
        provisional one.
        """
        with self.catalogue.read() as session:
            rows = session.scalars(select(Frame).where(Frame.is_current)).all()
            inputs: dict[int, set[tuple[str, str, str]]] = {}
            for row in session.scalars(select(ProductInput)):
                grade = row.grade
                inputs.setdefault(row.frame_id, set()).add((row.role, plain(row.file_name), grade))
            found = {
                (plain(row.file_name), row.data_type, row.target, row.role): (
                    _columns(row),
                    inputs.get(row.id, set()),
                    _contents(row.path),
                )
                for row in rows
            }
        assert len(found) == len(rows)
        return found

    def check_files(self, originals: Iterable[Path]) -> None:
        """Assert that products are whole, nothing half-written is left, raw is untouched."""
        with self.catalogue.read() as session:
            rows = session.scalars(select(Frame)).all()
        for row in rows:
            assert digest(row.path) == row.checksum, row.path
        raws = [row.checksum for row in rows if row.data_type == 0]
        assert len(set(raws)) == len(raws) == self.placed
        assert not list((self.folder / "products").rglob("*.part"))
        for path in originals:
            assert digest(self.raw / path.name) == digest(path)


def assert_equal(state: State, expected: State) -> None:
    """Assert that two nights came to the same; say where they differ."""
    assert set(state) == set(expected)
    for key, (row, inputs, contents) in expected.items():
        found, found_inputs, found_contents = state[key]
        differ = {name: (found[name], row[name]) for name in row if found[name] != row[name]}
        assert differ == {}, (key, differ)
        assert found_inputs == inputs, (key, found_inputs, inputs)
        assert len(found_contents) == len(contents), key
        for (data, cards), (wanted, wanted_cards) in zip(found_contents, contents, strict=True):
            assert data == wanted, key
            apart = set(cards) ^ set(wanted_cards)
            assert apart == set(), (key, apart)


def plain(name: str) -> str:
    """Return a name without its version."""
    return VERSION.sub("", name)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _columns(row: Frame) -> dict[str, Any]:
    apart = TIMES | NUMBERS | (OF_PRODUCTS if row.data_type else frozenset())
    names = [name for name in inspect(Frame).columns.keys() if name not in apart]  # noqa: SIM118
    return {name: _without_versions(getattr(row, name)) for name in names}


def _without_versions(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [_without_versions(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_versions(item) for name, item in value.items()}
    return value


def _contents(path: Path) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    with fits.open(path) as hdus:
        return [
            (
                "" if hdu.data is None else hashlib.sha256(hdu.data.tobytes()).hexdigest(),
                tuple(
                    (card.keyword, plain(str(card.value)))
                    for card in hdu.header.cards
                    if card.keyword not in CARDS
                ),
            )
            for hdu in hdus
        ]
