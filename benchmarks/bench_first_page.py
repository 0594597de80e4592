"""Sign-in to first useful page, cold and warm, and the memory of each part.

Starts a demonstration of its own, waits for the night, then signs the observer in and out.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from goodman_live.hub.demo.processes import marked

ROUNDS = 5
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


def start(root: Path) -> tuple[subprocess.Popen[bytes], str]:
    out = root.with_name("out")
    with out.open("wb") as sink:
        command = [sys.executable, "-m", "goodman_live.hub.demo", "--data", str(root)]
        demo = subprocess.Popen(
            [*command, "--port", "8300", "--interval", "0"], stdout=sink, stderr=sink
        )
    while not (found := re.search(r"Open +(\S+)", out.read_text())):
        if demo.poll() is not None:
            sys.exit(out.read_text())
        time.sleep(0.2)
    while "The night is over" not in out.read_text():
        time.sleep(0.5)
    return demo, found[1]


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


def show(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    print(
        f"{name:32s} p50 {statistics.median(ordered):5.1f} s   p95 {p95:5.1f} s   n={len(ordered)}"
    )


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="goodman-bench-"))
    root = folder / "live"
    demo, url = start(root)
    password = json.loads((root / "accounts.json").read_text())["observer"]
    cold, warm = [], []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for number in range(ROUNDS):
                page = browser.new_context().new_page()
                cold.append(first_page(page, url, password))
                again = time.perf_counter()
                page.goto(url + "/user/observer/voila/render/pages/data.ipynb")
                page.locator(".gl-row").first.wait_for(timeout=120_000)
                warm.append(time.perf_counter() - again)
                if number == ROUNDS - 1:
                    used = memory(root)
                    live = [arrives(page, root, k) for k in range(ROUNDS)]
                page.goto(url + "/hub/logout")  # ends the server: the next one is cold again
                page.context.close()
            browser.close()
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(120)
        shutil.rmtree(folder)
    show("sign-in to first page, cold", cold)
    show("page again, server running", warm)
    show("file whole to its row", [row for row, _ in live])
    show("file whole to wavelengths drawn", [drawn for _, drawn in live])
    for part, sizes in used.items():
        print(f"memory of {part:20s} {sum(sizes):6.0f} MB in {len(sizes)} process(es)")


if __name__ == "__main__":
    main()
