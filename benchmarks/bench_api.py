"""The API over a large catalogue: response times at 1, 20 and 100 users, saturation, memory.

Prints p50 and p95 of list, detail, header and cached preview under open load (each user sends one
request in 5 s, whether or not the last was answered), the first preview of 4096 x 1896 frames,
requests per second and what is shed where more come than can be served, and the memory of the
service over many requests. The load comes from this process, which is niced. The Hub is the one
part played here: a process that says whose token it is.

    python benchmarks/bench_api.py [--frames 250000] [--seconds 30] [--requests 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import itertools
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psutil
from sqlalchemy import insert

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.pipeline.simulate import frames as simulated
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.frames import Frame, HeaderCards
from goodman_live.server_extension.catalogue.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

ACCESS = "access:services!service=goodman"
PREFIX = "/services/goodman/"
USERS = 100
PROPOSALS = 250
REAL = 40
"""Frames that have a file: pictures are drawn of these."""
TARGETS_MS = {"list": 50, "detail": 30, "header": 30, "preview": 20, "first preview": 300}
"""95th percentiles to keep below, milliseconds."""


class HubSide(BaseHTTPRequestHandler):
    """Say whose token it is, as the Hub does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer the one question that the service asks."""
        name = self.headers.get("Authorization", "").removeprefix("token token-of-")
        known = {"kind": "user", "name": name, "admin": False, "groups": [], "scopes": [ACCESS]}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def be_the_hub(address: Connection) -> None:
    """Serve `HubSide` for ever, after telling its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubSide)
    address.send(server.server_address[1])
    server.serve_forever()


def rows(count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield `count` rows of frames: nights of 400, each proposal a part of each."""
    first = dt.datetime(2024, 1, 1, 23, tzinfo=dt.UTC)
    for number in range(count):
        night, place = divmod(number, 400)
        start = first + dt.timedelta(days=night, minutes=2 * place)
        real = number < REAL
        # A user's own proposal for the frames with a file, so that each user may see one.
        proposal = number % PROPOSALS if not real else number % USERS
        bias = not real and place % 10 == 0
        yield {
            "file_name": f"{number:07d}.fits" if not real else f"real{number:02d}.fits",
            "directory_name": str(folder),
            "size": 15_600_000,
            "checksum": f"{number:064x}",
            "camera": "red",
            "kind": "bias" if bias else "object",
            "technique": "Spectroscopy",
            "obstype": "BIAS" if bias else "SPECTRUM",
            "object_name": "bias" if bias else f"TARGET-{number % 997}",
            "filter": "NO_FILTER",
            "filter_2": "GG455",
            "grating": "SYZY_400",
            "wavmode": "400_M2",
            "slit": "1.0_LONG_SLIT",
            "roi": "Spectroscopic 1x1",
            "nx": 4096,
            "ny": 1896,
            "gain": 1.48,
            "rdnoise": 3.89,
            "exptime_s": 0.0 if bias else 600.0,
            "start": start,
            "mid": start,
            "date": start.date(),
            "night": f"{start.date():%Y%m%d}",
            "data_type": number % 5 if not real else 0,
            "proposal_id": "calibrate" if bias else f"SOAR2024A-{proposal:03d}",
            "state": "done",
        }


def fill(url: str, count: int, folder: Path, cards: str) -> None:
    """Fill an empty catalogue."""
    migrate(url)
    catalogue = Catalogue(url)
    with catalogue.write() as session:
        people = [
            User(username=f"user{n:03d}", email=f"user{n:03d}@example.org") for n in range(USERS)
        ]
        session.add_all(people)
        session.add_all(
            Proposal(soar_id=f"SOAR2024A-{n:03d}", semester="2024A", pi=people[n % USERS])
            for n in range(PROPOSALS)
        )
    made = rows(count, folder)
    while part := list(itertools.islice(made, 5000)):
        with catalogue.write() as session:
            session.execute(insert(Frame), part)
    with catalogue.write() as session:
        session.add_all(HeaderCards(frame_id=n + 1, text=cards) for n in range(REAL))
    catalogue.close()


def make_files(folder: Path) -> str:
    """Write one full frame under `REAL` names; return its header's cards."""
    folder.mkdir(parents=True)
    frame = simulated.spectrum(setup(binning=(1, 1)), [], seed=1, exptime_s=60)
    rows_, columns = frame.data.shape
    print(f"frames of {columns} x {rows_} pixels (4096 x 1896 and the prescan and overscan)")
    first = folder / "real00.fits"
    frame.write(first)
    for number in range(1, REAL):
        os.link(first, folder / f"real{number:02d}.fits")
    return frame.header.tostring(padding=False)


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(root: Path, hub: str, rate: float, database: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the service; return it and its address once it answers."""
    port = free_port()
    root.mkdir(exist_ok=True)
    profile = root / "dask.yaml"
    profile.write_text("kind: local\nworkers: 1\n")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "GOODMAN_DATA": str(root),
        "GOODMAN_DATABASE": database,
        "JUPYTERHUB_SERVICE_NAME": "goodman",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_API_URL": hub,
        "JUPYTERHUB_API_TOKEN": "token-of-service",
        "JUPYTERHUB_CLIENT_ID": "service-goodman",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([ACCESS]),
        "JUPYTERHUB_BASE_URL": "/",
    }
    command = [
        *(sys.executable, "-m", "goodman_live.server_extension.service"),
        *(f"--GoodmanExtension.{name}" for name in (f"dask={profile}", "watch=False")),
        f"--GoodmanExtension.rate_limit={rate}",
    ]
    with (root / "service.log").open("ab") as sink:
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
    url = f"http://127.0.0.1:{port}{PREFIX}api/"
    for _ in range(1200):
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return process, url
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    sys.exit((root / "service.log").read_text())


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the service."""
    process.send_signal(signal.SIGTERM)
    process.wait(60)


class Load:
    """Requests of many users, and how long each took.

    Parameters
    ----------
    url : str
        Address of the API.
    """

    def __init__(self, url: str) -> None:
        self.client = httpx.AsyncClient(
            base_url=url,
            timeout=60,
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=200),
        )
        self.took: dict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[int] = Counter()

    async def ask(self, name: str, user: int) -> None:
        """Send one request of a kind as a user who may see what is asked for."""
        mine = user % REAL
        path, query = {
            "list": ("files/", {"page_size": 50, "ordering": "-id"}),
            "detail": (f"files/{mine + 1}/", {}),
            "header": ("files/header/", {"id": mine + 1}),
            "preview": ("files/visualize/", {"id": mine + 1}),
        }[name]
        owner = mine if name != "list" else user
        headers = {"Authorization": f"Token token-of-user{owner:03d}"}
        began = time.perf_counter()
        answer = await self.client.get(path, params=query, headers=headers)
        self.took[name].append(1e3 * (time.perf_counter() - began))
        self.statuses[answer.status_code] += 1

    async def open_loop(self, users: int, seconds: float, period_s: float = 5.0) -> None:
        """Let each user send a request in `period_s`, never waiting for an answer."""
        kinds = itertools.cycle(("list", "detail", "header", "preview"))
        offsets = sorted(random.uniform(0, period_s) for _ in range(users))
        began, tasks = time.perf_counter(), []
        for turn in range(max(1, int(seconds / period_s))):
            for user, offset in enumerate(offsets):
                wait = began + turn * period_s + offset - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                tasks.append(asyncio.create_task(self.ask(next(kinds), user)))
        await asyncio.gather(*tasks)

    async def closed_loop(self, workers: int, count: int) -> float:
        """Send `count` requests, `workers` at a time; return the seconds it took."""
        numbers = iter(range(count))
        kinds = ("list", "detail", "header", "preview")

        async def work() -> None:
            for number in numbers:
                await self.ask(kinds[number % 4], number % USERS)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(workers)))
        return time.perf_counter() - began


def report(title: str, took: dict[str, list[float]]) -> None:
    """Print the percentiles of each kind of request."""
    for name, values in took.items():
        p50, p95 = np.percentile(values, [50, 95])
        target = TARGETS_MS.get(name)
        print(
            f"{title:>10}  {name:<14} n {len(values):5d}  p50 {p50:7.1f} ms  p95 {p95:7.1f} ms"
            f"  (target {target} ms)"
        )


async def measure(url: str, process: psutil.Process, options: argparse.Namespace) -> None:
    """Measure everything on one running service without a rate limit."""
    first = Load(url)
    for number in range(REAL):
        await first.ask("preview", number)
    report("alone", {"first preview": first.took["preview"]})
    for users in (1, 20, 100):
        load = Load(url)
        # One user alone needs more time for as many samples.
        seconds = options.seconds * (4 if users == 1 else 1)
        await load.open_loop(users, seconds, period_s=5.0 if users > 1 else 1.0)
        report(f"{users} users", load.took)
        if set(load.statuses) != {200}:
            print(f"  statuses: {dict(load.statuses)}")
        await load.client.aclose()
    load = Load(url)
    await load.closed_loop(16, 500)
    before = process.memory_info().rss
    done = 0
    while done < options.requests:
        part = min(2000, options.requests - done)
        took = await load.closed_loop(16, part)
        done += part
        now = process.memory_info().rss
        print(f"{done:7d} requests, 16 at a time: {part / took:6.1f}/s, {now / 2**20:7.1f} MiB")
    growth = (process.memory_info().rss - before) / 2**20
    print(f"memory over {done} requests: {growth:+.1f} MiB; statuses {dict(load.statuses)}")
    await load.client.aclose()


async def shed(url: str) -> None:
    """Let one user ask far more than allowed, and another as usual."""
    load, other = Load(url), Load(url)

    async def flood() -> None:
        await asyncio.gather(*(load.ask("detail", 1) for _ in range(1000)))

    async def usual() -> None:
        for _ in range(20):
            await other.ask("detail", 2)
            await asyncio.sleep(0.1)

    await asyncio.gather(flood(), usual())
    print(f"1000 requests of one user at once: {dict(load.statuses)}")
    print(f"  another user meanwhile: {dict(other.statuses)}")
    report("meanwhile", other.took)
    for one in (load, other):
        await one.client.aclose()


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=250_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--requests", type=int, default=10_000, help="For the look at memory.")
    options = parser.parse_args()
    told, tells = multiprocessing.Pipe(duplex=False)
    # A process of its own: as a thread of the load it would wait for it.
    processes = multiprocessing.get_context("spawn")
    hub = processes.Process(target=be_the_hub, args=(tells,), daemon=True)
    hub.start()
    address = f"http://127.0.0.1:{told.recv()}/hub/api"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cards = make_files(root / "raw")
        began = time.perf_counter()
        fill(f"sqlite:///{root}/goodman.sqlite", options.frames, root / "raw", cards)
        print(f"{options.frames} frames made in {time.perf_counter() - began:.0f} s")
        database = f"sqlite:///{root}/goodman.sqlite"
        # Both before this process steps back: a child would inherit its niceness.
        free = start(root, address, 0, database)
        limited = start(root / "limited", address, 50, database)
        os.nice(10)
        try:
            asyncio.run(measure(free[1], psutil.Process(free[0].pid), options))
            asyncio.run(shed(limited[1]))
        finally:
            stop(free[0])
            stop(limited[0])
            hub.terminate()
            hub.join()


if __name__ == "__main__":
    main()
