"""A soak: many people signed in for a while, with frames arriving, and whether anything grows.

    python benchmarks/bench_soak.py [--minutes 30] [--people 50] [--pages 2] [--every 3]

Starts a Hub of its own, signs people in through its proxy, gives each an open stream of events
and a client that asks for lists, and some the page Data in Chromium, where one frame after the
other is chosen; replays a simulated night, again and again as the next night. Prints the memory of
each part, and what grew between the second quarter and the last: memory, open files, connections
and threads of the service, and the lag from a file's rename to its event. The exit code is 1 if
anything grew by more than a tenth; but pictures, which the service keeps up to a limit.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Error, sync_playwright
from running import PASSWORD, hub, sign_in, visitor

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.proposals import create_proposal
from goodman_live.hub.accounts.users import create_user
from goodman_live.hub.demo.processes import marked
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.server_extension.catalogue.migrate import migrate

PERIOD_S = 5.0
"""Between two looks at the service."""
GROWTH = 1.10
CHOOSES_S = 4.0
"""Between two choices of a frame on a page."""
LOADS_MS = 180_000
SERVICE = "goodman_live.server_extension.service"
PICTURES = "pictures MB"


@dataclass
class Site:
    """A running Hub, and what was seen of it."""

    root: Path
    url: str
    sent: dict[str, float] = field(default_factory=dict)
    lags: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    asked: int = 0
    chosen: int = 0
    """Frames chosen on pages."""
    opened: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def processes(self, word: str) -> list[psutil.Process]:
        """Return its processes with a word in their command line."""
        return [one for one in marked(self.root) if word in " ".join(one.cmdline())]


def fill(root: Path, people: list[str]) -> None:
    """Make the accounts, and a proposal of the last one's."""
    url = f"sqlite:///{root}/goodman.sqlite"
    (root / "raw").mkdir()
    migrate(url)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        users = [
            create_user(
                session, username=name, email=f"{name}@example.org", password=PASSWORD,
                is_staff=name == people[0],
            )
            for name in people
        ]  # fmt: skip
        create_proposal(session, soar_id="SOAR2026B-001", pi=users[-1])
    engine.dispose()


def enter(site: Site, name: str) -> httpx.Client:
    client = visitor(site.url)
    if sign_in(client, name) != httpx.codes.FOUND:
        sys.exit(f"{name} cannot sign in")
    client.get("/services/goodman/api/docs/").raise_for_status()
    return client


def look(site: Site, names: list[str]) -> None:
    """Have the page Data open for each of some people, and choose a frame now and then."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        pages = []
        for name in names:
            page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
            page.goto(f"{site.url}/user/{name}/voila/render/pages/data.ipynb", timeout=LOADS_MS)
            page.get_by_label("User name or e-mail").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.locator(".gl-row").first.wait_for(timeout=LOADS_MS)
            pages.append(page)
        site.opened.set()
        for page in itertools.cycle(pages):
            if site.over.wait(CHOOSES_S):
                break
            try:
                page.locator(".gl-row").first.click(timeout=LOADS_MS)
                site.chosen += 1
            except Error as error:
                site.errors.append(str(error))
        browser.close()


def listen(site: Site, client: httpx.Client, *, measure: bool) -> None:
    """Hold a stream of events open, as a page does."""
    xsrf = client.cookies.get("_xsrf", path="/services/goodman/")
    while not site.over.is_set():
        try:
            with client.stream(
                "GET", "/services/goodman/api/events/", params={"_xsrf": xsrf}, timeout=None
            ) as answer:
                for line in answer.iter_lines():
                    if site.over.is_set():
                        return
                    if measure and line.startswith("data: ") and '"frame.added"' in line:
                        event = json.loads(line[6:])
                        began = site.sent.get(event.get("file_name", ""))
                        if began:
                            now = time.monotonic()
                            site.lags.append((now, now - began))
        except httpx.TransportError as error:
            if not site.over.is_set():
                site.errors.append(repr(error))
                time.sleep(1)


def get(client: httpx.Client, path: str) -> httpx.Response:
    xsrf = client.cookies.get("_xsrf", path="/services/goodman/") or ""
    return client.get(f"/services/goodman/api/{path}", headers={"X-XSRFToken": xsrf})


def ask(site: Site, clients: list[httpx.Client]) -> None:
    """Ask for lists, as people who look around."""
    paths = itertools.cycle(["files/?page_size=20", "night/", "proposals/", "files/facets/"])
    for client in itertools.cycle(clients):
        if site.over.wait(0.2):
            return
        try:
            answer = get(client, next(paths))
            site.asked += 1
            if answer.status_code != 200:
                site.errors.append(f"{answer.status_code} {answer.url}")
        except httpx.TransportError as error:
            site.errors.append(repr(error))


def nights_later(data: bytes, nights: int) -> bytes:
    """Return a raw frame as if it had been taken some nights later: with other dates."""

    def later(found: re.Match[bytes]) -> bytes:
        when = date.fromisoformat(found[0].decode()) + timedelta(days=nights)
        return when.isoformat().encode()

    end = data.index(b"END".ljust(80))
    return re.sub(rb"20\d\d-\d\d-\d\d", later, data[:end]) + data[end:]


def observe(site: Site, frames: list[Path], every_s: float) -> None:
    """Let frames arrive, night after night, none twice the same."""
    for number, frame in enumerate(itertools.cycle(frames)):
        if site.over.wait(every_s):
            return
        data = bytearray(nights_later(frame.read_bytes(), number // len(frames)))
        data[-2880:-2876] = number.to_bytes(4, "big")
        name = f"{number:05d}_{frame.name.partition('_')[2] or frame.name}"
        part = site.root / "raw" / f".{name}.part"
        part.write_bytes(data)
        site.sent[name] = time.monotonic()
        part.rename(site.root / "raw" / name)


def megabytes(processes: list[psutil.Process]) -> float:
    total = 0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 2**20


def waiting(site: Site) -> float:
    """Return how many jobs wait or run, as the service says to anybody."""
    answer = httpx.get(f"{site.url}/services/goodman/api/", trust_env=False, timeout=60)
    return float(answer.json()["queue"])


def pictures_megabytes(staff: httpx.Client) -> float:
    """Return the memory of the pictures that the service keeps, up to 128 MiB of them."""
    answer = get(staff, "metrics").raise_for_status()
    found = re.search(r"^goodman_pictures_bytes (\S+)$", answer.text, re.MULTILINE)
    if found is None:
        sys.exit("the service does not say how much memory its pictures take")
    return float(found[1]) / 2**20


def watch(site: Site, minutes: float, staff: httpx.Client) -> list[dict[str, float]]:
    service = psutil.Process(min(one.pid for one in site.processes(SERVICE)))
    samples = []
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        pictures = pictures_megabytes(staff)
        samples.append(
            {
                "at": time.monotonic(),
                PICTURES: pictures,
                "rest of service MB": service.memory_info().rss / 2**20 - pictures,
                "open files": float(service.num_fds()),
                "connections": float(len(service.net_connections("tcp"))),
                "threads": float(service.num_threads()),
                "jobs waiting": waiting(site),
                "pages' kernels MB": megabytes(site.processes("ipykernel")),
                "all MB": megabytes(marked(site.root)),
            }
        )
        time.sleep(PERIOD_S)
    return samples


def report(site: Site, samples: list[dict[str, float]]) -> int:
    """Print what grew between the second quarter and the last."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    grown = 0
    rows = [
        (name, *(statistics.median(one[name] for one in part) for part in (early, late)))
        for name in samples[0]
        if name != "at"
    ]
    lags = [
        [lag for at, lag in site.lags if part[0]["at"] <= at <= part[-1]["at"]]
        for part in (early, late)
    ]
    if all(lags):
        rows.append(("event lag s, p95", *(sorted(one)[int(0.95 * len(one))] for one in lags)))
    for name, before, after in rows:
        # Fewer than a handful of files or threads more are no trend.
        more = after > before * GROWTH and after - before > (0.5 if "lag" in name else 5)
        more = more and name != PICTURES
        grown += more
        print(f"  {name:18} {before:9.2f} -> {after:9.2f}{'  GREW' if more else ''}")
    print(f"  {len(site.lags)} frames told, {site.asked} requests, {site.chosen} frames chosen on")
    print(f"  pages, {len(site.errors)} errors")
    for error in site.errors[:3]:
        print(f"    {error}")
    return 1 if grown or site.errors else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--pages", type=int, default=2, help="people with a page open")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two frames")
    arguments = parser.parse_args()
    print(
        f"{arguments.minutes:g} minutes, {arguments.people} people, {arguments.pages} pages, "
        f"a frame each {arguments.every:g} s",
        flush=True,
    )
    people = ["chief", *(f"person{number:02d}" for number in range(1, arguments.people))]
    with tempfile.TemporaryDirectory(prefix="goodman-soak-") as folder:
        root, night = Path(folder) / "data", Path(folder) / "night"
        root.mkdir()
        write_night(night, "demo", seed=5)
        frames = sorted((night / "RAW").iterdir())
        fill(root, people)
        with hub(root) as url:
            site = Site(root, url)
            before = megabytes(site.processes(SERVICE))
            start = time.monotonic()
            clients = [enter(site, name) for name in people]
            print(f"{len(people)} people signed in in {time.monotonic() - start:.1f} s")
            jobs = [(observe, (site, frames, arguments.every)), (ask, (site, clients))]
            jobs.append((look, (site, people[: arguments.pages])))
            threads = [threading.Thread(target=do, args=given, daemon=True) for do, given in jobs]
            threads += [
                threading.Thread(
                    target=listen, args=(site, client), kwargs={"measure": not n}, daemon=True
                )
                for n, client in enumerate(clients)
            ]
            for thread in threads:
                thread.start()
            if not site.opened.wait(10 * LOADS_MS / 1000):
                sys.exit("the pages do not open")
            samples = watch(site, arguments.minutes, clients[0])
            servers = site.processes("jupyterhub.singleuser") + site.processes("ipykernel")
            print(f"service with its workers: {before:.0f} MB before, ", end="")
            print(f"{megabytes(site.processes(SERVICE)):.0f} MB with all signed in")
            if arguments.pages:
                each = megabytes(servers) / arguments.pages
                print(f"a user's server with its page's and its waiting kernel: {each:.0f} MB")
            code = report(site, samples)
            site.over.set()
            for thread in threads[: len(jobs)]:
                thread.join()
    return code


if __name__ == "__main__":
    sys.exit(main())
