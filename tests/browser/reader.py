"""Somebody signed in with a browser, and what holds for every page that they open.

With ``GOODMAN_PICTURES=folder`` the pictures of the user guide are written there.
"""

import io
import os
from pathlib import Path

from PIL import Image

from tests.browser import accessibility

PATIENCE_MS = 300_000
PICTURES = os.environ.get("GOODMAN_PICTURES")
NAMELESS = """() => [...document.querySelectorAll(
  ":is(.gl-bar, .gl-page) :is(a, button, input, select, textarea)")]
  .filter((el) => el.offsetParent !== null)
  .filter((el) => !(el.getAttribute("aria-label") || el.textContent.trim() || el.title
    || el.closest("label") || (el.labels && el.labels.length)))
  .map((el) => el.outerHTML.slice(0, 120))"""
THEME = "document.documentElement.dataset.glTheme"
FOLLOW = """(theme) => dispatchEvent(
  new StorageEvent("storage", { key: "goodman-theme", newValue: theme }))"""
"""Give the page a theme as another tab would: nothing is kept."""
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def both_themes(page):
    """Yield each theme while the page has it; it ends with its own."""
    own = page.evaluate(THEME)
    for theme in ("dark", "light"):
        page.evaluate(FOLLOW, theme)
        yield theme
    page.evaluate(FOLLOW, own)


def write_pictures(page, name):
    """Write a picture of the user guide in each theme, where they are asked for."""
    for theme in both_themes(page) if PICTURES else ():
        page.wait_for_timeout(1200)
        raw = Image.open(io.BytesIO(page.screenshot()))
        path = Path(PICTURES) / f"{name}-{theme}.png"
        few = raw.convert("RGB").quantize(
            256, method=Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE
        )
        few.save(path, optimize=True)


class Reader:
    """Somebody signed in, with one tab."""

    def __init__(self, browser, live, name, scheme):
        self.live, self.name, self.scheme = live, name, scheme
        size = {"width": 1280, "height": 860}
        self.context = browser.new_context(color_scheme=scheme, viewport=size)
        self.page = self.context.new_page()
        self.asked, self.faults = [], []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(live.url)
        self.page.get_by_label("User name or e-mail").fill(name)
        self.page.get_by_label("Password").fill(live.passwords[name])
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/voila/render/pages/home.ipynb", timeout=PATIENCE_MS)

    def open(self, name, query=""):
        address = f"{self.live.url}/user/{self.name}/voila/render/pages/{name}.ipynb"
        self.page.goto(f"{address}?{query}" if query else address)
        self.page.locator(".gl-page .gl-card").first.wait_for(timeout=PATIENCE_MS)
        return self.page

    def open_data(self):
        address = f"{self.live.url}/user/{self.name}/voila/render/pages/data.ipynb"
        self.page.goto(address)
        # An image: spectra have no colour map.
        self.page.locator(".gl-row:has-text('LAMPFLAT')").first.click(timeout=PATIENCE_MS)
        self.page.locator(".gl-viewbar select").first.wait_for(
            timeout=PATIENCE_MS, state="attached"
        )
        self.page.wait_for_function(
            "[...document.querySelectorAll('.gl-viewbar select')]"
            ".some((e) => e.value === 'viridis')",
            timeout=60_000,
        )
        assert self.page.evaluate(THEME) == "light"
        return self.page

    def picture(self, name):
        write_pictures(self.page, name)

    def close(self):
        self.context.close()
        # A message on its way to the kernel while its page is left has nowhere to go.
        assert [fault for fault in self.faults if fault != "Cannot send"] == []
        allowed = (self.live.url, self.live.url.replace("http:", "ws:"), "data:", "blob:")
        assert [url for url in self.asked if not url.startswith(allowed)] == []


def row(page, text):
    return page.locator("tr[data-row]", has_text=text).first


def check_page(reader):
    """What every page owes: names, headings, landmarks, whom to ask, two themes without fault."""
    page = reader.page
    assert page.evaluate(NAMELESS) == []
    assert page.locator(".gl-page :is(h1, h2):visible").count() >= 1
    assert page.locator("main#gl-main, nav[aria-label]").count() == 2
    contact = page.locator(".gl-foot a[href^='mailto:']")
    assert contact.inner_text() == "support@observatory.example"
    for theme in both_themes(page):
        assert accessibility.faults(page) == [], theme
    assert page.evaluate("window.broken") is None


def check_narrow(page):
    """A narrow screen scrolls down, not sideways."""
    page.set_viewport_size({"width": 420, "height": 860})
    try:
        page.wait_for_function(f"{WIDE} <= 1", timeout=20_000)
    finally:
        page.set_viewport_size({"width": 1280, "height": 860})
