"""The live engine on a real watch folder, a real database and real Dask workers.

Prints, for 2x2 and 1x1:

* latency: masters and arc ready, science frames come one at a time; from the file being whole to
  each stage, every frame, with median and 95th percentile, and what the engine adds to the blocks;
* night: all frames of a night at the highest speed with 1 and 2 workers, to the end state; frames
  per minute, CPU, and what became of each kind;
* backlog: headers per second of an archive, and whole frames per second with checksums.

    python benchmarks/bench_live.py [--binning 2x2] [--part latency] [--frames 12]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import shutil
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import structlog
from astropy.io import fits
from sqlalchemy import func, select

from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import (
    CROWDED,
    STANDARD,
    SUPERNOVA_TARGET,
    Clock,
    bench_night,
    calibrations,
    visit,
)
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Event, Frame, Job, LatencyStamp
from goodman_live.server_extension.engine.engine import Engine, EngineSettings
from goodman_live.server_extension.engine.profile import DaskProfile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.orm import Session

    from goodman_live.pipeline.simulate.plan import Shot

NIGHT = 300
"""Frames of the night that is replayed at the highest speed."""
STAGES = ("catalogued", "reduce", "extract", "calibrate_wavelength")


@dataclass
class Site:
    """An engine with its folders and catalogue."""

    engine: Engine
    catalogue: Catalogue
    raw: Path

    def place(self, source: Path) -> None:
        """Let a frame appear in the watch folder, written piece by piece."""
        with source.open("rb") as origin, (self.raw / source.name).open("xb") as sink:
            shutil.copyfileobj(origin, sink, 1 << 20)

    def count(self, *where: object) -> int:
        """Return how many rows of the catalogue meet every clause."""
        with self.catalogue.read() as session:
            return session.scalar(select(func.count()).select_from(Frame).where(*where)) or 0

    async def rest(self, frames: int, *, limit_s: float = 1800.0) -> float:
        """Wait until nothing is left to do; return when that was."""
        until, quiet = time.monotonic() + limit_s, 0
        while time.monotonic() < until:
            with self.catalogue.read() as session:
                raw = session.scalar(select(func.count()).where(Frame.data_type == 0))
                busy = session.scalar(
                    select(func.count()).where(Job.state.in_(("queued", "running")))
                )
                last = session.scalar(select(func.max(Job.finished)))
            still = raw == frames and not busy and self.engine.resting
            quiet = quiet + 1 if still else 0
            if quiet >= 10 and last is not None:
                return float(last.timestamp())
            await asyncio.sleep(0.1)
        raise SystemExit("the night did not come to rest")


@asynccontextmanager
async def running(folder: Path, *, workers: int, watch: bool = True) -> AsyncIterator[Site]:
    url = f"sqlite:///{folder}/goodman.sqlite"
    migrate(url)
    catalogue = Catalogue(url)
    raw = folder / "raw" / "20260815"
    raw.mkdir(parents=True)
    settings = EngineSettings((folder / "raw",), folder / "products", folder / "work", watch=watch)
    engine = Engine(catalogue, settings, profile=DaskProfile(kind="local", workers=workers))
    await engine.start()
    try:
        yield Site(engine, catalogue, raw)
    finally:
        await engine.stop()
        catalogue.close()


def latency_night(binning: tuple[int, int], frames: int) -> list[Shot]:
    """Return calibrations, an arc, and `frames` science frames of the same visit."""
    rng = np.random.default_rng(5)
    clock = Clock(datetime(2026, 8, 15, 20, 30, tzinfo=UTC))
    set_up = setup("Red", "400_M1", binning=binning)
    law = random_law(set_up.mode, rng)
    shots = list(calibrations(set_up, clock, rng, law))
    for target in (SUPERNOVA_TARGET, CROWDED, STANDARD):
        shots += visit(
            set_up, clock, rng, law, target, arc_first=True, exposures=max(frames // 3, 1)
        )
    return shots


def long_night(frames: int) -> list[Shot]:
    """Return a night of `frames` in two set-ups: windows of 200 rows at 2x2, and whole frames.

    Small frames let the engine's own pace be seen and keep the run within minutes.
    """
    rng = np.random.default_rng(8)
    clock = Clock(datetime(2026, 8, 15, 20, 30, tzinfo=UTC))
    small = setup("Red", "400_M1", region=Region("user-defined", 0, 1895, 2071, 200))
    whole = setup("Red", "400_M2", binning=(2, 2))
    laws = {id(one): random_law(one.mode, rng) for one in (small, whole)}
    shots = [
        shot for one in (small, whole) for shot in calibrations(one, clock, rng, laws[id(one)])
    ]
    clock.wait_until(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    targets = (SUPERNOVA_TARGET, STANDARD, CROWDED)
    number = 0
    while len(shots) < frames:
        one = whole if number % 12 == 11 else small
        target = targets[number % len(targets)]
        shots += visit(one, clock, rng, laws[id(one)], target, exposures=6)
        number += 1
    return shots[:frames]


def cpu_s() -> float:
    """CPU seconds of this process and of its children so far."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def spread(values: Sequence[float]) -> str:
    return f"p50 {np.percentile(values, 50):6.2f}   p95 {np.percentile(values, 95):6.2f}"


async def run_latency(folder: Path, paths: Sequence[Path], label: str) -> None:
    async with running(folder, workers=2) as site:
        first = [p for p in paths if "_comp" in p.name or "GHTS" in p.name or "BIAS" in p.name]
        for path in first:
            site.place(path)
        await site.rest(len(first))
        rows = []
        science = [p for p in paths if p not in set(first)]
        for shown, path in enumerate(science, start=1):
            before = cpu_s()
            site.place(path)
            whole = time.time()
            await site.rest(len(first) + shown)
            rows.append(one_frame(site, path.name, whole, cpu_s() - before))
            print(rows[-1].line(), flush=True)
        print(f"  {label}: seconds from the file being whole, {len(rows)} frames")
        for stage in ("event", *STAGES):
            print(f"    {stage:22s} {spread([r.stages[stage] for r in rows])}")
        print(f"    {'CPU of the frame':22s} {spread([r.cpu_s for r in rows])}")
        for block in sorted({block for row in rows for block in row.overhead_s}):
            spent = [1e3 * value for row in rows for value in row.overhead_s.get(block, [])]
            print(f"    overhead, ms, {block:22s} {spread(spent)}   n {len(spent)}")
        print(f"    load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


@dataclass
class Row:
    """What one frame took."""

    name: str
    stages: dict[str, float]
    cpu_s: float
    blocks: dict[str, float]
    overhead_s: dict[str, list[float]]
    """By block: from a job's being queued to its record, less its work and a wait for workers."""

    def line(self) -> str:
        """Return the row as one line of text."""
        stages = "  ".join(f"{k.split('_')[0]} {v:.2f}" for k, v in self.stages.items())
        blocks = " ".join(f"{k.split('_')[0]} {v:.2f}" for k, v in self.blocks.items())
        return f"    {self.name[:26]:26s} {stages}  (blocks: {blocks})"


def one_frame(site: Site, name: str, whole: float, cpu: float) -> Row:
    """Read what the catalogue knows of a frame: when it told of each product."""
    with site.catalogue.read() as session:
        raw = session.scalars(select(Frame).where(Frame.file_name == name)).one()
        stamps = dict(
            session.execute(
                select(LatencyStamp.stage, LatencyStamp.at).where(LatencyStamp.frame_id == raw.id)
            ).all()
        )
        told = session.scalar(
            select(func.min(Event.at)).where(Event.frame_id == raw.id, Event.kind == "frame.added")
        )
        jobs = session.scalars(select(Job).where(Job.original_id == raw.id)).all()
        products = session.scalars(select(Frame).where(Frame.original_id == raw.id)).all()
        worked = {f.job_id: f.timing["worker"] for f in products}
        blocks: dict[str, float] = {}
        for job in jobs:
            blocks[job.block] = blocks.get(job.block, 0.0) + worked.get(job.id, 0.0)
        spent: dict[str, list[float]] = {}
        for job in jobs:
            if job.finished and job.id in worked:
                idle = worked[job.id] + all_busy(session, job, workers=2)
                took = (job.finished - job.created).total_seconds() - idle
                spent.setdefault(job.block, []).append(took)
        # The last product: all targets of the frame are calibrated then.
        ends = [j.finished for j in jobs if j.block == "calibrate_wavelength" and j.finished]
    stages = {"event": told.timestamp() - whole}
    for stage in STAGES:
        at = max(ends) if stage == "calibrate_wavelength" and ends else stamps.get(stage)
        stages[stage] = at.timestamp() - whole if at else float("nan")
    return Row(name, stages, cpu, blocks, spent)


def all_busy(session: Session, job: Job, workers: int) -> float:
    """Return for how many seconds a job waited while every worker had another: no overhead."""
    others = session.execute(
        select(Job.started, Job.finished).where(
            Job.id != job.id, Job.started < job.started, Job.finished > job.created
        )
    ).all()
    edges = sorted({job.created, job.started, *(at for row in others for at in row)})
    inside = [at for at in edges if job.created <= at <= job.started]
    return sum(
        (end - begin).total_seconds()
        for begin, end in itertools.pairwise(inside)
        if sum(since <= begin and end <= until for since, until in others) >= workers
    )


async def run_night(folder: Path, paths: Sequence[Path], workers: int) -> None:
    async with running(folder, workers=workers) as site:
        cpu, began = cpu_s(), time.time()
        for path in paths:
            await asyncio.to_thread(site.place, path)
        placed = time.time() - began
        took = await site.rest(len(paths)) - began
        used = cpu_s() - cpu
        print(
            f"  night of {len(paths)} frames, {workers} workers: written in {placed:.1f} s, at its"
            f" end after {took:.1f} s = {60 * len(paths) / took:.0f} frames/minute,"
            f" CPU {used:.1f} s, load {os.getloadavg()[0]:.1f}"
        )
        with site.catalogue.read() as session:
            states = session.execute(
                select(Frame.kind, Frame.state, Frame.provisional, func.count())
                .where(Frame.data_type == 0)
                .group_by(Frame.kind, Frame.state, Frame.provisional)
            ).all()
            ran = session.execute(
                select(Job.block, Job.state, func.count()).group_by(Job.block, Job.state)
            ).all()
            science = session.scalars(
                select(Frame).where(Frame.data_type == 4, Frame.is_current, Frame.role == "")
            ).all()
            late = [
                (f.created - s).total_seconds()
                for f in science
                if (
                    s := session.scalar(
                        select(LatencyStamp.at).where(
                            LatencyStamp.frame_id == f.original_id, LatencyStamp.stage == "whole"
                        )
                    )
                )
            ]
        print(f"    {len(science)} spectra, from whole to final {spread(late)} s")
        print("    " + ", ".join(f"{n} {k} {s}{' provisional' * p}" for k, s, p, n in states))
        print("    jobs: " + ", ".join(f"{n} {b} {s}" for b, s, n in ran))


async def run_backlog(folder: Path, source: Path, headers: int, frames: int) -> None:
    """Take an archive whose files differ in their headers and one pixel."""
    raw = folder / "raw" / "20260815"
    raw.mkdir(parents=True)
    with fits.open(source) as hdus:
        header, data = hdus[0].header, hdus[0].data
        header["OBSTYPE"] = "DARK"  # kept, not reduced: the intake alone is measured
        for number in range(headers):
            header["OBJECT"] = f"backlog {number}"
            small = data[:40] if number >= frames else data
            small[0, 0] = number
            fits.PrimaryHDU(small, header).writeto(raw / f"{number:05d}.fits")
    shutil.rmtree(folder / "products", ignore_errors=True)
    url = f"sqlite:///{folder}/goodman.sqlite"
    migrate(url)
    catalogue = Catalogue(url)
    settings = EngineSettings((folder / "raw",), folder / "products", folder / "work")
    engine = Engine(catalogue, replace(settings, watch=False))
    began, cpu = time.perf_counter(), time.process_time()
    done: dict[str, float] = {}

    async def look() -> None:
        while len(done) < 2:
            with catalogue.read() as session:
                known = session.scalar(select(func.count()).select_from(Frame)) or 0
                whole = session.scalar(select(func.count()).where(Frame.checksum.is_not(None)))
            if known == headers:
                done.setdefault("headers", time.perf_counter() - began)
            if whole == headers:
                done.setdefault("checksums", time.perf_counter() - began)
            await asyncio.sleep(0.05)

    watcher = asyncio.create_task(look())
    await engine.intake.scan()
    await watcher
    size = sum(path.stat().st_size for path in raw.iterdir()) / 1e6
    print(
        f"  backlog of {headers} files, {size:.0f} MB: {headers / done['headers']:.0f} headers/s,"
        f" with checksums {headers / done['checksums']:.0f} files/s,"
        f" CPU {time.process_time() - cpu:.2f} s, load {os.getloadavg()[0]:.1f}"
    )
    await engine.intake.stop()
    catalogue.close()


def simulated(cache: Path, name: str, shots: Sequence[Shot]) -> list[Path]:
    """Return the raw frames of a night, simulated unless an earlier run left them."""
    folder = cache / name
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_night(folder, shots)
        (folder / "whole").touch()
    return sorted((folder / "RAW").glob("*.fits"))


def measure(binning: str, parts: Sequence[str], cache: Path, options: argparse.Namespace) -> None:
    xbin, ybin = (int(text) for text in binning.split("x"))
    print(f"Red 400_M1 {binning}")
    if "latency" in parts:
        paths = simulated(
            cache,
            f"latency_{binning}_{options.frames}",
            latency_night((xbin, ybin), options.frames),
        )
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run_latency(Path(folder), paths, binning))
    if "night" in parts:
        paths = simulated(cache, f"night_{NIGHT}", long_night(NIGHT))
        for workers in options.workers or (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(run_night(Path(folder), paths, workers))
    if "backlog" in parts:
        paths = simulated(cache, f"night_{binning}", bench_night(1, binning=(xbin, ybin)))
        for headers, whole in ((600, 0), (60, 60)):
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(run_backlog(Path(folder), paths[0], headers, whole))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binning", action="append", help="default: 2x2 and 1x1")
    parser.add_argument("--part", action="append", choices=("latency", "night", "backlog"))
    parser.add_argument("--frames", type=int, default=12, help="science frames of latency")
    parser.add_argument("--workers", type=int, action="append", help="of the night: 1 and 2")
    parser.add_argument("--cache", type=Path, help="keep the simulated nights here")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("distributed").setLevel(logging.ERROR)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parts = options.part or ["latency", "night", "backlog"]
    with tempfile.TemporaryDirectory() as scratch:
        for binning in options.binning or ["2x2", "1x1"]:
            measure(binning, parts, options.cache or Path(scratch), options)


if __name__ == "__main__":
    main()
