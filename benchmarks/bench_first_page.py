"""Sign-in to first useful page, cold and warm; frames on an open page; memory of each part.

Starts a demonstration of its own for each binning, waits for the night, then signs the observer
in and out in Chromium, and lets new frames arrive while the page is open. Many people at once
sign in without a browser each, which this machine could not bear: for them the page counts from
the moment when their own server gives the rows that it shows first.

    python benchmarks/bench_first_page.py [--people 20] [--frames 8] [--binning 2x2 --binning 1x1]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from playwright.sync_api import Page, sync_playwright

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.proposals import add_collaborator, find_proposal
from goodman_live.hub.accounts.users import create_user
from goodman_live.hub.demo.processes import marked

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
PASSWORD = "tin-lamp!ridge"  # noqa: S105 (of accounts that this makes and deletes)
PARTS = {
    "Hub": "-m jupyterhub -f",
    "proxy": "configurable-http-proxy",
    "service": "server_extension.service",
    "user's server": "jupyterhub.singleuser",
    "page's kernel": "ipykernel_launcher",
    "Dask worker": "multiprocessing.spawn",
}
"""What to find in the command line of each part."""
_WAVELENGTHS = (
    "[...document.querySelectorAll('.bqplot .axislabel')].some("
    "e => e.textContent === 'Wavelength (Angstrom)' && e.checkVisibility())"
)


@contextmanager
def demonstration(binning: str) -> Iterator[tuple[Path, str]]:
    """Run a demonstration whose night is over; gives its folder and address."""
    folder = Path(tempfile.mkdtemp(prefix="goodman-bench-"))
    root = folder / "live"
    simulate = [Path(sys.executable).with_name("goodman-live"), "simulate", root / "night"]
    subprocess.run(
        [*simulate, "--preset", "bench", "--binning", binning],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    out = folder / "out"
    command = [sys.executable, "-m", "goodman_live.hub.demo", "--data", str(root)]
    with out.open("wb") as sink:
        demo = subprocess.Popen(
            [*command, "--port", "8300", "--interval", "0"], stdout=sink, stderr=sink
        )
    try:
        while "The night is over" not in out.read_text():
            if demo.poll() is not None:
                sys.exit(out.read_text())
            time.sleep(0.5)
        found = re.search(r"Open +(\S+)", out.read_text())
        assert found is not None
        yield root, found[1]
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(120)
        shutil.rmtree(folder)


def idle(url: str) -> None:
    """Wait until nothing is being made any more."""
    quiet = 0
    while quiet < 3:
        queue = httpx.get(f"{url}/services/goodman/api/", trust_env=False).json()["queue"]
        quiet = quiet + 1 if not queue else 0
        time.sleep(1)


def first_page(page: Page, url: str, password: str) -> float:
    """Sign in and return the seconds until the first frame is listed."""
    page.goto(url + "/user/observer/voila/render/pages/data.ipynb")
    page.get_by_label("User name or e-mail").fill("observer")
    page.get_by_label("Password").fill(password)
    started = time.perf_counter()
    page.keyboard.press("Enter")
    page.locator(".gl-row").first.wait_for(timeout=120_000)
    return time.perf_counter() - started


def arrives(page: Page, root: Path, number: int) -> tuple[float, float]:
    """Put a frame into the watch folder; return seconds to its row and to its spectrum's axis.

    The reader chooses the row as soon as it is there and waits for wavelengths.
    """
    # Something else is looked at before, or its axis would pass for the new one's.
    page.locator(".gl-row", has_text="LAMPFLAT").first.click()
    page.wait_for_function(f"() => !({_WAVELENGTHS})", timeout=120_000)
    source = min((root / "night" / "RAW").glob("*SN2026abc_*[0-9].fits"))
    stem = f"{int(time.time()) % 10**6:06d}{number}"
    content = bytearray(source.read_bytes())
    content[-4000:-3990] = f"{stem:>10}"[:10].encode()  # the same frame twice is one row
    started = time.perf_counter()
    (root / "raw" / f"{stem}_SN2026abc.fits").write_bytes(content)
    row = page.locator(".gl-row", has_text=stem).first
    row.wait_for(timeout=120_000)
    seen = time.perf_counter() - started
    row.click()
    page.wait_for_function(
        f"stem => document.body.innerText.includes(stem) && {_WAVELENGTHS}",
        arg=stem,
        timeout=120_000,
    )
    return seen, time.perf_counter() - started


def memory(root: Path) -> dict[str, list[float]]:
    """Return the memory of each process by part, MB; shared pages count by share."""
    found: dict[str, list[float]] = {}
    for process in marked(root):
        try:
            line, used = " ".join(process.cmdline()), process.memory_full_info().pss / 1e6
        except psutil.NoSuchProcess:
            continue
        for part, words in PARTS.items():
            if words in line:
                found.setdefault(part, []).append(used)
                break
    return found


def join(root: Path, count: int) -> list[str]:
    """Make accounts that see the night; return their names."""
    make = session_factory(make_engine(f"sqlite:///{root}/goodman.sqlite"))
    names = [f"reader{number}" for number in range(count)]
    with make() as session:
        proposal = find_proposal(session, "SOAR2026B-001")
        for name in names:
            create_user(session, username=name, email=f"{name}@x.example", password=PASSWORD)
            if proposal is not None:
                add_collaborator(session, proposal, f"{name}@x.example", by=None)
    return names


def enter(url: str, name: str, password: str) -> tuple[int, float]:
    """Sign in over HTTP; return the status and the seconds to the answer."""
    with httpx.Client(base_url=url, trust_env=False, timeout=300) as client:
        return _sign_in(client, name, password)


def _sign_in(client: httpx.Client, name: str, password: str) -> tuple[int, float]:
    client.get("/hub/login")
    xsrf = client.cookies.get("_xsrf", path="/hub/")
    form = {"username": name, "password": password, "_xsrf": xsrf}
    began = time.perf_counter()
    answer = client.post("/hub/login", data=form)
    return answer.status_code, time.perf_counter() - began


def rows_of(url: str, name: str) -> float:
    """Sign in and return the seconds until their own server gives rows."""
    with httpx.Client(base_url=url, trust_env=False, timeout=300) as client:
        began = time.perf_counter()
        status, _ = _sign_in(client, name, PASSWORD)
        assert status == httpx.codes.FOUND, (name, status)
        client.get("/hub/spawn", follow_redirects=True)
        while True:
            answer = client.get(f"/user/{name}/goodman/preview", follow_redirects=True)
            if answer.is_success and "json" in answer.headers["content-type"]:
                assert answer.json()["rows"]
                return time.perf_counter() - began
            time.sleep(0.2)


def many(url: str, names: list[str]) -> None:
    """Let all sign in at once, with their servers not running and then running."""
    for words in ("server not running", "server running"):
        with ThreadPoolExecutor(len(names)) as people:
            took = list(people.map(lambda name: rows_of(url, name), names))
        show(f"{len(names)} at once to rows, {words}", took)


def guesses(url: str, names: list[str]) -> None:
    """Print what a wrong password costs, of names that exist and of names that do not."""
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    for number, name in enumerate(names):
        for kind, asked in (("known", name), ("unknown", f"nobody{number}")):
            took[kind].append(enter(url, asked, "wrong")[1])
    for kind, seconds in took.items():
        show(f"wrong password, {kind} name, ms", [1e3 * value for value in seconds], "ms")


def show(name: str, seconds: list[float], unit: str = "s ") -> None:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    print(
        f"{name:40s} p50 {statistics.median(ordered):6.1f} {unit}  p95 {p95:6.1f} {unit}"
        f"  n={len(ordered)}"
    )


def pages(page: Page, url: str, password: str) -> tuple[float, float]:
    """Return the seconds to the first rows after sign-in, and of the page opened again."""
    cold = first_page(page, url, password)
    again = time.perf_counter()
    page.goto(url + "/user/observer/voila/render/pages/data.ipynb")
    page.locator(".gl-row").first.wait_for(timeout=120_000)
    return cold, time.perf_counter() - again


def measure(binning: str, rounds: int, frames: int, people: int) -> None:
    """Print the figures of one binning; signing in does not depend on it and comes with 2x2."""
    print(f"-- night of {binning} frames")
    with demonstration(binning) as (root, url), sync_playwright() as playwright:
        idle(url)
        password = json.loads((root / "accounts.json").read_text())["observer"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        took, live = [], []
        for number in range(rounds):
            page = browser.new_context().new_page()
            took.append(pages(page, url, password))
            if number == rounds - 1:
                used = memory(root)
                live = [arrives(page, root, k) for k in range(frames)]
            page.goto(url + "/hub/logout")  # ends the server: the next one is cold again
            page.context.close()
        browser.close()
        show("sign-in to first page, cold", [cold for cold, _ in took])
        show("page again, server running", [warm for _, warm in took])
        show("file whole to its row", [row for row, _ in live])
        show("file whole to wavelengths drawn", [drawn for _, drawn in live])
        for part, sizes in used.items():
            print(f"memory of {part:20s} {sum(sizes):6.0f} MB in {len(sizes)} process(es)")
        if people:
            names = join(root, people)
            guesses(url, names)
            many(url, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=20, help="Who sign in at once; 0: nobody.")
    parser.add_argument("--frames", type=int, default=8, help="New frames on the open page.")
    parser.add_argument("--binning", action="append", choices=["2x2", "1x1"], help="Repeatable.")
    options = parser.parse_args()
    chosen = options.binning or ["2x2", "1x1"]
    for number, binning in enumerate(chosen):
        first = number == 0
        measure(binning, ROUNDS if first else 2, options.frames, options.people * first)


if __name__ == "__main__":
    main()
