"""Fixtures of the engine's tests.

===============  ===================================================================
``small_night``  10 bias, 10 flats, one target with its arc, one without: small windows
``live``         engine on a local cluster of one worker, blocks from ``odd_blocks``
``site``         catalogue, folders and a reduced frame; starts engines
``frames``       a short night: masters at once, an arc, its science
``fifty``        as ``frames``, with more calibrations
``begin``        function: a `Night` in its own folder; its processes end with the test
``undisturbed``  what ``frames`` come to when nothing happens to them
===============  ===================================================================
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import select

from goodman_live.hub.accounts.models import utc_now
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import (
    FAINT,
    SUPERNOVA_TARGET,
    Clock,
    calibrations,
    visit,
)
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Frame, Job
from goodman_live.server_extension.engine import blocks
from goodman_live.server_extension.engine.engine import Engine, EngineSettings
from goodman_live.server_extension.engine.profile import DaskProfile

from .whole_night import Night

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from .whole_night import State

ODD = ("tells", "works", "dies", "sleeps", "raises", "waits")


class Site:
    def __init__(self, url: str, folder: Path) -> None:
        migrate(url)
        self.catalogue = Catalogue(url)
        self.folder = folder
        self.engine: Engine

    def add_frame(self, name: str) -> int:
        path = self.folder / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        with self.catalogue.write() as session:
            frame = Frame(
                file_name=name,
                directory_name=str(path.parent),
                checksum=name.encode().hex().ljust(64, "0")[:64],
                kind="dark",
                state="kept",
                night="20260815",
                start=utc_now(),
                mid=utc_now(),
            )
            session.add(frame)
            session.flush()
            return frame.id

    async def start(self, workers: int = 1) -> Engine:
        settings = EngineSettings(
            (self.folder / "raw",), self.folder / "products", self.folder / "work", watch=False
        )
        profile = DaskProfile(kind="local", workers=workers)
        self.engine = Engine(self.catalogue, settings, profile=profile)
        await self.engine.start()
        return self.engine

    def job(self, job_id: int) -> Job:
        with self.catalogue.read() as session:
            job = session.get(Job, job_id)
            assert job.log is not None
            return job

    def current_jobs(self) -> list[int | None]:
        with self.catalogue.read() as session:
            current = select(Frame.job_id).where(Frame.data_type == 2, Frame.is_current)
            return list(session.scalars(current))

    async def until_written(self, mark: Path) -> None:
        for _ in range(1200):
            if mark.exists() and mark.read_text():  # noqa: ASYNC240 (a test may wait)
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"{mark.name} was not written")

    async def until(self, job_id: int, *states: str) -> Job:
        for _ in range(3000):
            job = self.job(job_id)
            if job.state in states:
                return job
            await asyncio.sleep(0.1)
        pytest.fail(f"job is {job.state}, not {states}: {[line.message for line in job.log]}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", here)
    for name in ODD:
        monkeypatch.setitem(
            blocks.BLOCKS, name, blocks.Block(name, "odd_blocks", name, 0, 2, "raw")
        )
    yield (site := Site(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path))
    site.catalogue.close()
    sys.modules.pop("odd_blocks", None)


@pytest.fixture
async def live(site: Site) -> AsyncIterator[Site]:
    await site.start()
    yield site
    await site.engine.stop()


def simulate(folder: Path, count: int) -> dict[str, list[Path]]:
    """Write a night with so many bias frames and flats; return its files by what they are."""
    rng = np.random.default_rng(11)
    clock = Clock(datetime(2026, 8, 15, 20, 30, tzinfo=UTC))
    set_up = setup("Red", "400_M1", region=Region("user-defined", 0, 1895, 2071, 200))
    law = random_law(set_up.mode, rng)
    shots = [*calibrations(set_up, clock, rng, law, count=count)]
    clock.wait_until(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    shots += visit(set_up, clock, rng, law, SUPERNOVA_TARGET)
    shots += list(visit(set_up, clock, rng, law, FAINT))[:1]
    paths = write_night(folder, shots)
    return {
        "bias": [path for path in paths if "BIAS" in path.name],
        "flat": [path for path in paths if "GHTS" in path.name],
        "arc": [path for path in paths if "_comp" in path.name],
        "spectrum": [
            path for path in paths if "SN2026abc_" in path.name and "_comp" not in path.name
        ],
        "lonely": [path for path in paths if "AT2026xyz" in path.name],
    }


@pytest.fixture(scope="session")
def small_night(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    return simulate(tmp_path_factory.mktemp("small"), 11)


# -- nights that are disturbed


@pytest.fixture(scope="session")
def frames(small_night: dict[str, list[Path]]) -> list[Path]:
    masters = [*small_night["bias"][:10], *small_night["flat"][:10]]
    return [*masters, *small_night["arc"], *small_night["spectrum"]]


@pytest.fixture(scope="session")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    night = simulate(tmp_path_factory.mktemp("fifty"), 24)
    science = [*night["arc"], *night["spectrum"]]
    return [*night["bias"], *night["flat"], *science][-50:]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Night]]:
    nights = []

    def begin(name: str, url: str = "") -> Night:
        (tmp_path / name).mkdir()
        nights.append(Night(tmp_path / name, url))
        return nights[-1]

    yield begin
    for night in nights:
        night.end()


@pytest.fixture(scope="session")
def undisturbed(frames: list[Path], tmp_path_factory: pytest.TempPathFactory) -> State:
    night = Night(tmp_path_factory.mktemp("calm"))
    try:
        night.start()
        night.place(frames)
        night.rest()
        state = night.state()
    finally:
        night.end()
    assert sum(key[1] == 4 for key in state) >= 1
    return state
