"""The pages through the Hub, in Chromium: how long until they are useful, and what they cost.

Prints, as p50 and p95 over the repetitions: sign-in to the first useful page on a cold and on a
warm user server; an event to its row and to its pixels on an open page; moving between frames;
bytes on the page's socket per frame; memory of a page's kernel, at first and after many frames.

    python benchmarks/bench_pages.py [--repeat 5] [--url http://127.0.0.1:8000 --data live]
                                     [--part moves redraws ...]

Without an address it starts a demonstration of its own, and waits until its night is reduced.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PATIENCE_MS = 120_000
PARTS = ("open", "look", "moves", "redraws", "arrivals", "memory", "advanced")


@contextmanager
def demonstration() -> Iterator[tuple[str, Path]]:
    """Yield address and data folder of a demonstration whose night is reduced."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "live", Path(folder) / "out"
        command = [sys.executable, "-m", "goodman_live.hub.demo", "--data", str(data)]
        with out.open("wb") as sink:
            process = subprocess.Popen([*command, "--interval", "0.2"], stdout=sink, stderr=sink)
        try:
            while "The night is over" not in out.read_text():
                if process.poll() is not None:
                    sys.exit(out.read_text())
                time.sleep(1)
            found = re.search(r"http://127\.0\.0\.1:\d+", out.read_text())
            assert found is not None
            settle(found[0])
            yield found[0], data
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(120)


def settle(url: str) -> None:
    """Wait until nothing has been queued for a while."""
    quiet = 0
    while quiet < 5:
        answer = httpx.get(f"{url}/services/goodman/api/", trust_env=False, timeout=60).json()
        quiet = quiet + 1 if not answer["queue"] else 0
        time.sleep(1)


def show(name: str, values: list[float], unit: str) -> None:
    """Print median and 95th percentile."""
    ordered = sorted(values)
    worst = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    middle = statistics.median(ordered)
    line = f"{name:<52} p50 {middle:8.2f}  p95 {worst:8.2f} {unit}  (n={len(ordered)})"
    print(line, flush=True)


def enter(page: Page, url: str, name: str, password: str) -> float:
    """Sign in; return the seconds until rows can be chosen."""
    page.goto(url + "/user/observer/voila/render/pages/data.ipynb")
    page.get_by_label("User name or e-mail").fill(name)
    page.get_by_label("Password").fill(password)
    begin = time.monotonic()
    page.keyboard.press("Enter")
    page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
    return time.monotonic() - begin


def leave(page: Page) -> None:
    """Sign out, which stops the user's server."""
    page.get_by_role("link", name="Sign out").click()
    page.get_by_text("You are signed out").wait_for(timeout=PATIENCE_MS)


FIRST_LOOK = """() => {
  const seen = new MutationObserver(() => {
    if (!document.querySelector(".gl-early-picture")) return;
    seen.disconnect();
    requestAnimationFrame(() => { window.firstLook = performance.now(); });
  });
  seen.observe(document, { childList: true, subtree: true }); }"""
"""Notes when the server's picture of the newest frame is drawn, before the kernel is up."""


def first_looks(page: Page, repeat: int) -> None:
    """Measure the page's first byte to the picture that the server draws."""
    page.add_init_script(f"({FIRST_LOOK})()")
    took = []
    for _ in range(repeat):
        page.wait_for_timeout(4000)  # a kernel waits again
        page.reload(wait_until="commit")
        page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
        look = "window.firstLook - performance.getEntriesByType('navigation')[0].responseStart"
        if page.evaluate("Boolean(window.firstLook)"):
            took.append(page.evaluate(look) / 1e3)
    show("first byte to the picture, before the kernel is up", took, "s")


def open_pages(browser: Browser, url: str, password: str, repeat: int) -> None:
    """Measure sign-in to useful page, cold and warm."""
    cold, warm = [], []
    for _ in range(repeat):
        context = browser.new_context()
        page = context.new_page()
        cold.append(enter(page, url, "observer", password))
        begin = time.monotonic()
        page.reload(wait_until="commit")
        page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
        warm.append(time.monotonic() - begin)
        leave(page)
        context.close()
    show("sign-in to useful page, server not running", cold, "s")
    show("page to useful page, server running", warm, "s")


WATCH = """() => {
  window.drawn = { files: new Map(), last: Date.now() };
  new MutationObserver(() => {
    const file = document.querySelector(".gl-tabs [aria-selected=true]")?.dataset.file;
    if (!file || window.drawn.files.has(file)) return;
    window.drawn.files.set(file, Date.now());
    window.drawn.last = Date.now();
  }).observe(document.querySelector(".gl-figure"), {
    subtree: true, childList: true, attributes: true, attributeFilter: ["d", "href", "xlink:href"],
  }); }"""
"""Notes when the figure is first drawn anew for each file."""


def told_at(data: Path) -> dict[int, float]:
    """Return when the service told of each product, seconds since the epoch."""
    with closing(sqlite3.connect(f"file:{data}/goodman.sqlite?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT frame_id, at FROM events WHERE kind = 'product.made'")
        return {
            int(frame): datetime.fromisoformat(f"{at}+00:00").timestamp()
            for frame, at in rows
            if frame
        }


def arrivals(page: Page, data: Path, repeat: int) -> None:
    """Measure a frame that lands in the watch folder until its row is on the open page."""
    source = max((data / "night" / "RAW").glob("*SN2026abc*.fits"))
    rows, pixels = [], []
    for number in range(repeat):
        stem = f"{int(time.time()) % 10**6:06d}{number}"
        # One byte of its pixels differs: the same frame twice is one row.
        content = bytearray(source.read_bytes())
        content[-4000:-3990] = f"{stem:>10}"[:10].encode()
        name = f"{stem}_{re.sub('^[0-9]+_', '', source.name)}"
        target = data / "raw" / name
        target.write_bytes(content)
        begin = time.monotonic()
        page.locator(".gl-row", has_text=stem).first.wait_for(timeout=PATIENCE_MS)
        rows.append(time.monotonic() - begin)
        # A product of the frame that is open: from the service's event to what is drawn.
        arrived = page.locator(".gl-row", has_text=stem).first.get_attribute("data-file")
        page.locator(f".gl-row[data-file='{arrived}']").click()
        page.locator(f".gl-comments[data-root='{arrived}']").wait_for(timeout=PATIENCE_MS)
        page.evaluate(WATCH)
        page.wait_for_function(
            "Date.now() - window.drawn.last > 8000 && window.drawn.files.size > 1",
            timeout=PATIENCE_MS,
        )
        told = told_at(data)
        drawn = page.evaluate("[...window.drawn.files]")
        pixels += [at / 1e3 - told[int(file)] for file, at in drawn if int(file) in told]
    show("file whole in the watch folder to its row", rows, "s")
    show("a product's event to its pixels, page open", pixels, "s")


def moves(page: Page, repeat: int) -> None:
    """Measure a choice in the index until its picture is drawn; count bytes on the socket."""
    received = [0]
    page.on(
        "websocket",
        lambda socket: socket.on(
            "framereceived", lambda data: received.__setitem__(0, received[0] + len(data))
        ),
    )
    page.reload()
    page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
    page.locator(".bqplot:visible").first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(2000)
    took: dict[str, list[float]] = {}
    sizes = []
    rows = page.locator(".gl-row")
    for number in range(1, repeat + 1):
        begin_bytes = received[0]
        chosen = rows.nth(number % rows.count()).get_attribute("data-file")
        seconds = page.evaluate(CHOOSE, f".gl-row[data-file='{chosen}']") / 1e3
        page.wait_for_timeout(1500)
        took.setdefault(page.evaluate(WHAT), []).append(seconds)
        sizes.append((received[0] - begin_bytes) / 1e6)
    for what, values in sorted(took.items()):
        show(f"choice of another frame to its pixels, {what}", values, "s")
    show("received on the socket per frame", sizes, "MB")


CHOOSE = """async (row) => {
  const drawn = () => [...document.querySelectorAll(".bqplot image, .bqplot path.line")]
    .map((e) => e.getAttribute("href") || e.getAttribute("xlink:href") || e.getAttribute("d"))
    .join();
  const before = drawn();
  const begin = performance.now();
  document.querySelector(row).click();
  while (drawn() === before) {
    if (performance.now() - begin > 60000) return NaN;
    await new Promise((next) => requestAnimationFrame(next));
  }
  await new Promise((next) => requestAnimationFrame(next));
  return performance.now() - begin; }"""
"""Presses a row; returns how long it took until the figure was drawn anew, ms, by the browser."""
WHAT = """() => {
  const image = document.querySelector(".gl-colourbar")?.checkVisibility();
  const binning = [...document.querySelectorAll(".gl-fact")]
    .find((fact) => fact.querySelector("small").textContent === "Binning");
  return (image ? "image " : "spectrum ") + (binning?.querySelector("b").textContent || ""); }"""
"""What is shown: an image or a spectrum, and its binning."""


def choose_target(page: Page, step: str) -> str:
    """Open a step of the target's newest frame; return the number of the file."""
    row = page.locator(".gl-row", has_text="SN2026abc").first
    row.wait_for(timeout=PATIENCE_MS)
    number = row.get_attribute("data-file")
    page.locator(f".gl-row[data-file='{number}']").click()
    # Its own tabs, not those of the frame that was open.
    page.locator(f".gl-comments[data-root='{number}']").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("tab", name=step, exact=True).click(timeout=PATIENCE_MS)
    chosen = page.locator(".gl-tabs [aria-selected=true]", has_text=step)
    return str(chosen.get_attribute("data-file", timeout=PATIENCE_MS))


def redraws(page: Page, repeat: int) -> None:
    """Measure the last wheel step over an image until the part in view is drawn at its scale."""
    choose_target(page, "Raw")
    page.locator(".gl-colourbar:visible .gl-marks span").first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(1500)
    shown = (
        "() => [...document.querySelectorAll('.bqplot image')]"
        ".map((e) => (e.getAttribute('href') || e.getAttribute('xlink:href')) "
        "+ e.closest('g').style.display).join()"
    )
    box = page.locator(".bqplot:visible").first.bounding_box()
    assert box is not None
    took = []
    for _ in range(repeat):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
        before = page.evaluate(shown)
        for _ in range(3):
            page.mouse.wheel(0, -120)
        begin = time.monotonic()
        page.wait_for_function(
            f"(before) => ({shown})() !== before", arg=before, timeout=PATIENCE_MS
        )
        took.append(time.monotonic() - begin)
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Whole view").click()
        page.wait_for_timeout(500)
    show("last wheel step to the part in view, redrawn", took, "s")


def advanced(page: Page, url: str, repeat: int) -> None:
    """Measure the Advanced page of the target's reduced frame until its pixels are drawn."""
    took = []
    for _ in range(repeat):
        page.goto(url + "/user/observer/voila/render/pages/data.ipynb")
        number = choose_target(page, "Reduced")
        page.wait_for_timeout(4000)  # a kernel waits again
        begin = time.monotonic()
        page.goto(f"{url}/user/observer/voila/render/pages/advanced.ipynb?file={number}")
        page.locator(".gl-plane canvas[data-tiles]").wait_for(timeout=PATIENCE_MS)
        took.append(time.monotonic() - begin)
    show("Advanced page to the pixels of a frame", took, "s")


def kernels() -> list[psutil.Process]:
    """Return the kernels of pages that run on this machine."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if "ipykernel_launcher" in words:
            found.append(process)
    return found


def memory(page: Page, repeat: int) -> None:
    """Measure the kernel's memory, and what many frames add to it."""
    before = {process.pid for process in kernels()}
    page.reload()
    page.locator(".bqplot:visible").first.wait_for(timeout=PATIENCE_MS)
    page.wait_for_timeout(4000)
    new = [process for process in kernels() if process.pid not in before]
    if not new:
        print("memory of a page's kernel: it runs as another account and cannot be seen")
        return
    kernel = new[-1]
    first = kernel.memory_full_info().uss / 1e6
    rows = page.locator(".gl-row")
    for number in range(repeat):
        rows.nth(number % rows.count()).click()
        page.wait_for_timeout(150)
    page.wait_for_timeout(2000)
    last = kernel.memory_full_info().uss / 1e6
    print(f"{'memory of a page (kernel, unshared)':<52} {first:8.1f} MB")
    print(f"{f'the same after {repeat} frames':<52} {last:8.1f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="")
    parser.add_argument("--data", type=Path, default=Path("live"))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    if given.url:
        run(given.url, given.data, given)
        return
    with demonstration() as (url, data):
        run(url, data, given)


def run(url: str, data: Path, given: argparse.Namespace) -> None:
    """Measure what is asked for on one Hub."""
    repeat, parts = given.repeat, given.part
    password = json.loads((data / "accounts.json").read_text())["observer"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-quic"]
        )
        if "open" in parts:
            open_pages(browser, url, password, repeat)
        page = browser.new_page()
        enter(page, url, "observer", password)
        if "look" in parts:
            first_looks(page, repeat)
        if "moves" in parts:
            moves(page, 4 * repeat)
        if "redraws" in parts:
            redraws(page, repeat)
        if "arrivals" in parts:
            arrivals(page, data, repeat)
        if "memory" in parts:
            memory(page, given.frames)
        if "advanced" in parts:
            advanced(page, url, min(repeat, 3))
        browser.close()


if __name__ == "__main__":
    main()
