"""The pages of a large catalogue on screen: filters of Search, page to page, a kernel's memory.

Fills a catalogue with frames of five years, starts a demonstration on it, and drives its pages in
Chromium as staff, who see everything, and as the PI of one proposal. A filter's time is that from
the press on a choice until the table and its number are drawn, by the browser's own clock; a
page's is that from the press on its name in the bar until its own widgets hold what was read.

    python benchmarks/bench_search.py [--rows 250000] [--repeat 5] [--data FOLDER] [--part moves]

A folder that is named is kept, and what an earlier run has filled is not filled again.
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
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from bench_catalogue import fill, filled
from playwright.sync_api import sync_playwright

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.hub.demo.processes import marked
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PATIENCE_MS = 120_000
SETTLE_S = 60
PROPOSAL = "SOAR2026B-007"
FILTERS = ("obstype", "grating", "wavmode", "technique", "date", "data_type", "proposal_id")
"""Those that leave fewer files, one choice of each."""
LIVE = {
    "Search": "tr[data-row]",
    "Proposals": ".gl-proposalhead",
    "Night": "[data-figure=hours] rect",
    "Logs": ".gl-tablepage [role=status].gl-empty, tr[data-row]",
    "Data": ".gl-index .gl-row",
    "home": "tr[data-row]",
}
"""What shows that the widgets of a page hold what was read."""
PRESS = """async ([selector, text]) => {
  const count = () => document.querySelector(".gl-titleline .gl-count").textContent;
  const before = count();
  const begin = performance.now();
  const node = document.querySelector(selector);
  if (text === null) node.click();
  else { node.value = text; node.dispatchEvent(new Event("input", { bubbles: true })); }
  while (count() === before) {
    if (performance.now() - begin > 60000) return -1;
    await new Promise((next) => requestAnimationFrame(next));
  }
  await new Promise((next) => requestAnimationFrame(next));
  return performance.now() - begin; }"""


@contextmanager
def service(rows: int, data: Path) -> Iterator[str]:
    """Yield the address of a demonstration that holds `rows` frames more."""
    data.mkdir(parents=True, exist_ok=True)
    database, out = f"sqlite:///{data}/goodman.sqlite", data.with_name("bench_search.out")
    fill_once(database, rows)
    command = [sys.executable, "-m", "goodman_live.hub.demo", "--data", str(data)]
    with out.open("wb") as sink:
        demo = subprocess.Popen([*command, "--interval", "0"], stdout=sink, stderr=sink)
    try:
        while not re.search("The night is over|are in already", out.read_text()):
            if demo.poll() is not None:
                sys.exit(out.read_text())
            time.sleep(1)
        found = re.search(r"Open +(\S+)", out.read_text())
        assert found is not None
        lead(database)
        settle(found[1])
        yield found[1]
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(120)


def fill_once(database: str, rows: int) -> None:
    """Fill the catalogue unless an earlier run has."""
    migrate(database)
    catalogue = Catalogue(database)
    filled(catalogue) or fill(catalogue, rows)
    catalogue.close()


def lead(database: str) -> None:
    """Make the observer the PI of one of the many proposals."""
    catalogue = Catalogue(database)
    with catalogue.write() as session:
        user = session.query(User).filter_by(username="observer").one()
        session.query(Proposal).filter_by(soar_id=PROPOSAL).one().pi_id = user.id
    catalogue.close()


def settle(url: str) -> None:
    """Wait until nothing was queued for a while; a job for a file that is none may wait on."""
    quiet, end = 0, time.monotonic() + SETTLE_S
    while quiet < 3 and time.monotonic() < end:
        answer = httpx.get(f"{url}/services/goodman/api/", trust_env=False, timeout=60).json()
        quiet = quiet + 1 if not answer["queue"] else 0
        time.sleep(1)


def show(name: str, values: list[float], unit: str) -> None:
    """Print median and 95th percentile."""
    ordered = sorted(values)
    worst = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    middle = statistics.median(ordered)
    print(f"{name:<48} p50 {middle:7.0f}  p95 {worst:7.0f} {unit}  (n={len(ordered)})", flush=True)


def enter(browser: Browser, url: str, name: str, password: str) -> Page:
    """Sign in; return the page Home."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.get_by_label("User name or e-mail").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.locator(LIVE["home"]).first.wait_for()
    return page


def filters(page: Page, url: str, name: str, repeat: int) -> list[float]:
    """Press one choice of each filter, and type a text; return all times, ms."""
    page.goto(f"{url}/user/{name}/voila/render/pages/search.ipynb")
    page.locator(LIVE["Search"]).first.wait_for()
    page.wait_for_timeout(1500)
    total = page.locator(".gl-titleline .gl-count").inner_text()
    print(f"{name}: {total} files")
    clear = ".gl-facethead .gl-act:not(.gl-narrow)"
    every: list[float] = []
    for key in FILTERS:
        box = f"[data-facet={key}] input"
        took = []
        page.locator(f"[data-facet={key}]").evaluate("(node) => { node.open = true; }")
        page.wait_for_timeout(300)
        if page.locator(box).count() < 2:
            continue
        for _ in range(repeat):
            took.append(float(page.evaluate(PRESS, [box, None])))
            page.wait_for_timeout(150)
            page.evaluate(PRESS, [clear, None])
            page.wait_for_timeout(150)
        show(f"  {key}", took, "ms")
        every += took
    took = []
    for number in range(repeat):
        took.append(float(page.evaluate(PRESS, [".gl-facets .gl-filter", f"target 77{number}"])))
        page.wait_for_timeout(150)
        page.evaluate(PRESS, [clear, None])
        page.wait_for_timeout(150)
    show("  free text (of which 100 wait for more letters)", took, "ms")
    show("  all filters but text", every, "ms")
    return every


def moves(page: Page, repeat: int) -> None:
    """Go from page to page by the bar."""
    took = []
    for _ in range(repeat):
        for name, selector in LIVE.items():
            if name == "home":
                continue
            begin = time.monotonic()
            page.locator(".gl-nav").get_by_role("link", name=name, exact=True).click()
            page.wait_for_url(f"**/{name.lower()}.ipynb*", wait_until="commit")
            page.locator(selector).first.wait_for()
            took.append(1e3 * (time.monotonic() - begin))
            page.wait_for_timeout(1500)
    show("page to page, widgets live", took, "ms")


def kernels(root: Path) -> list[float]:
    """Return the memory of each kernel, MB; shared pages count by share."""
    found = [one for one in marked(root) if "ipykernel_launcher" in " ".join(one.cmdline())]
    return [one.memory_full_info().pss / 1e6 for one in found]


def measure(url: str, data: Path, repeat: int, part: str) -> None:
    """Measure what is asked for on one Hub."""
    passwords = json.loads((data / "accounts.json").read_text())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in ("nightstaff", "observer"):
            page = enter(browser, url, name, passwords[name])
            if part != "moves":
                filters(page, url, name, repeat)
            if part != "filters" and name == "observer":
                moves(page, repeat)
            page.close()
        browser.close()
    print(f"memory of the largest of {len(kernels(data))} kernels: {max(kernels(data)):.0f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=250_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", choices=["all", "filters", "moves"], default="all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or Path(folder) / "live"
        with service(given.rows, data) as url:
            measure(url, data, given.repeat, given.part)


if __name__ == "__main__":
    main()
