"""The Data page in Chromium, through the Hub: what a reader sees, does and is protected from.

With ``GOODMAN_PICTURES=folder`` the pictures of the user guide are written there.
"""

from pathlib import Path

import pytest

from tests.browser import accessibility
from tests.browser.reader import PICTURES, both_themes, write_pictures

pytestmark = pytest.mark.browser

PATIENCE_MS = 300_000
TARGET = "SN2026abc"
SCIENCE = f".gl-row:has-text('{TARGET}'):has-text('SPECTRUM')"


@pytest.fixture(scope="module")
def data(browser, live, enter, request):
    """The Data page of the observer, open on the target's calibrated spectrum."""
    if PICTURES:
        request.getfixturevalue("settled")
    context = browser.new_context(color_scheme="dark", viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.asked, page.faults = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    enter(page, "observer")
    page.locator(SCIENCE).first.wait_for(timeout=PATIENCE_MS)
    page.locator(SCIENCE).first.click()
    # The newest frame was opened first, and may have the same tabs: wait for this one's.
    chosen = page.locator(f".gl-chosen:has-text('{TARGET}'):has-text('SPECTRUM')")
    wait_for_frame(page, chosen.get_attribute("data-file", timeout=PATIENCE_MS))
    page.get_by_role("tab", name="Wavelength calibrated").first.wait_for(timeout=PATIENCE_MS)
    yield page
    context.close()
    assert not page.faults


def wait_for_frame(page, root):
    """Wait until tabs and comments speak of a file of this frame."""
    page.wait_for_function(
        "(root) => { const said = document.querySelector('.gl-comments')?.dataset,"
        " tab = document.querySelector('.gl-tabs [aria-selected=true]');"
        " return said && said.root === root && tab && tab.dataset.file === said.file; }",
        arg=root,
        timeout=PATIENCE_MS,
    )


def axis_names(page):
    return page.locator(".bqplot .axislabel:visible").all_text_contents()


def test_a_science_frame_ends_as_a_spectrum_with_angstrom_on_its_axis(data):
    data.locator(".bqplot:visible").first.wait_for(timeout=PATIENCE_MS)
    data.wait_for_function(
        "[...document.querySelectorAll('.bqplot .axislabel')].some("
        "(e) => e.textContent === 'Wavelength (Angstrom)')",
        timeout=60_000,
    )
    # The line has the points of a spectrum, over wavelengths that Goodman can see.
    line = data.locator(".bqplot path.line:visible").last.get_attribute("d")
    assert len(line) > 2000
    ticks = data.locator(".bqplot .axis .tick text:visible").all_text_contents()
    assert any(3000 < float(tick) < 11000 for tick in ticks if tick.replace(".", "").isdigit())
    write_pictures(data, "data-spectrum")


def test_the_address_names_what_is_shown_and_opens_it_again(data, live):
    # One look tells both: a newer step that is made meanwhile takes the place of the one shown.
    # The address still opens the old one then, among the versions instead of as a tab.
    address, shown = data.evaluate(
        "[location.href, document.querySelector('.gl-tabs [aria-selected=true]').dataset.file]"
    )
    assert f"file={shown}" in address
    again = data.context.new_page()
    again.goto(address)
    again.locator(f".gl-comments[data-file='{shown}']").wait_for(timeout=PATIENCE_MS)
    again.close()


def test_the_raw_frame_is_an_image_with_colour_bar_and_zooms(data):
    data.get_by_role("tab", name="Raw").click()
    data.locator(".gl-colourbar:visible .gl-marks span").first.wait_for(timeout=60_000)
    assert axis_names(data) == ["Dispersion Axis (pixels)", "Spatial Axis (pixels)"]
    write_pictures(data, "data-raw")
    before = data.locator(".bqplot .axis .tick text:visible").all_text_contents()
    box = data.locator(".bqplot:visible").first.bounding_box()
    data.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    data.mouse.wheel(0, -600)
    data.wait_for_function(
        "(before) => JSON.stringify([...document.querySelectorAll('.bqplot .axis .tick text')]"
        ".map((e) => e.textContent)) !== JSON.stringify(before)",
        arg=before,
    )
    # The visible part comes again at its own scale: a second picture lies over the first.
    data.wait_for_function(
        "[...document.querySelectorAll('.bqplot image')].filter("
        "(e) => getComputedStyle(e).display !== 'none' && e.closest('g').style.display !== 'none')"
        ".length >= 2",
        timeout=30_000,
    )
    data.get_by_role("button", name="Whole view").click()


def test_the_header_is_a_table_that_can_be_searched(data):
    data.get_by_role("button", name="Header").click()
    table = data.get_by_role("table")
    table.get_by_text("OBSTYPE", exact=True).wait_for(timeout=30_000)
    data.get_by_label("Search the header").fill("exptime")
    data.wait_for_function("document.querySelectorAll('.gl-cards tbody tr').length < 5")
    assert "EXPTIME" in table.inner_text()
    write_pictures(data, "data-header")
    data.get_by_label("Search the header").fill("")
    data.get_by_role("button", name="Header").click()


def test_the_keyboard_walks_through_the_files(data):
    data.locator(".gl-rows").focus()
    before = data.locator(".gl-chosen").get_attribute("data-file")
    data.keyboard.press("ArrowDown")
    data.wait_for_function(
        "(b) => document.querySelector('.gl-chosen')?.dataset.file !== b", arg=before
    )
    wait_for_frame(data, data.locator(".gl-chosen").get_attribute("data-file"))
    data.keyboard.press("ArrowUp")
    data.wait_for_function(
        "(b) => document.querySelector('.gl-chosen')?.dataset.file === b", arg=before
    )
    wait_for_frame(data, before)  # opened, not only chosen


def test_a_hostile_comment_stays_text(data):
    text = "<img src=x onerror='window.broken=1'><b>bold</b> $x^2$"
    field = data.get_by_label("Comment", exact=True)
    field.fill(text)
    data.get_by_role("button", name="Add comment").click()
    # Cleared as soon as it is kept.
    data.wait_for_function("document.querySelector('.gl-comments textarea')?.value === ''")
    said = data.locator(".gl-comments li p", has_text="<b>bold</b>")
    said.first.wait_for(timeout=PATIENCE_MS)
    assert said.first.inner_text() == text
    assert data.evaluate("window.broken") is None
    assert data.locator(".gl-comments img, .gl-comments li b b").count() == 0


def test_raw_files_have_no_delete_and_the_download_is_the_file(data, live):
    data.get_by_role("tab", name="Raw").click()
    data.wait_for_function("!document.querySelector('[data-action=delete]')")
    data.wait_for_selector("[data-action=download]")
    came = []

    def take(file):
        came.append(file)

    # Chromium may name either the page or the tab that it opens for the link.
    data.on("download", take)
    data.context.on("page", lambda tab: tab.on("download", take))
    data.locator("[data-action=download]").click()
    for _ in range(120):
        if came:
            break
        data.wait_for_timeout(500)
    found = Path(came[0].path()).read_bytes()
    source = next((live.root / "raw").glob(came[0].suggested_filename))
    assert found == source.read_bytes()


def test_deleting_a_product_asks_first_and_can_be_left(data):
    data.get_by_role("tab", name="Wavelength calibrated").first.click()
    data.locator("[data-action=delete]").click()
    data.get_by_role("alertdialog").wait_for()
    data.get_by_role("button", name="Keep it").click()
    data.wait_for_function("document.querySelector('.gl-sure')?.hidden")
    assert data.get_by_role("tab", name="Wavelength calibrated").count() >= 1


def test_what_a_raw_frame_is_can_be_said_and_left(data):
    data.get_by_role("tab", name="Raw").click()
    data.locator("[data-action=reclassify]").click()
    asked = data.get_by_role("alertdialog")
    assert "Direct image" in asked.get_by_label("Reclassify").locator("option").all_inner_texts()
    asked.get_by_role("button", name="Keep it").click()
    data.wait_for_function("document.querySelector('.gl-sure')?.hidden")
    links = data.locator("[data-action=advanced]").get_attribute("href")
    assert links.startswith("advanced.ipynb?file=")


def test_axe_finds_no_fault(data):
    found = {theme: accessibility.faults(data) for theme in both_themes(data)}
    assert found == {"dark": [], "light": []}


def test_a_narrow_screen_scrolls_down_and_not_sideways(data):
    data.set_viewport_size({"width": 420, "height": 860})
    try:
        data.wait_for_function(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1",
            timeout=60_000,
        )
    finally:
        data.set_viewport_size({"width": 1440, "height": 1000})


def test_the_calibrations_are_listed_apart(data):
    data.get_by_role("tab", name="Calibrations").click()
    # There are raw frames of this type among those observed, too.
    data.locator(".gl-sections [aria-selected=true]", has_text="Calibrations").wait_for()
    data.locator(".gl-row", has_text="master_bias").first.wait_for(timeout=PATIENCE_MS)
    data.get_by_role("tab", name="Observed").click()
    data.locator(SCIENCE).first.wait_for()


CONTRAST = """() => {
  const light = (rgb) => {
    const [r, g, b] = rgb.match(/[0-9.]+/g).map(Number).map((v) => {
      v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (el) => {
    for (; el; el = el.parentElement) {
      const colour = getComputedStyle(el).backgroundColor;
      if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)"; };
  const all = [".gl-title", ".gl-nav a", ".gl-row-name", ".gl-row-facts span", ".gl-state",
    ".gl-tabs button", ".gl-fact small", ".gl-fact b", ".gl-count", ".gl-buttons .gl-danger",
    ".gl-buttons a", ".gl-comments form button", ".gl-foot span", ".gl-name", ".gl-filter"];
  return all.flatMap((s) => [...document.querySelectorAll(s)].map((el) => {
    const [a, b] = [light(getComputedStyle(el).color), light(behind(el))].sort((p, q) => q - p);
    return [s, (a + 0.05) / (b + 0.05)]; })); }"""


def test_text_stands_out_from_its_background(data):
    for theme in both_themes(data):
        ratios = data.evaluate(CONTRAST)
        assert len({name for name, _ in ratios}) >= 12
        assert [found for found in ratios if found[1] < 4.5] == [], theme


def test_the_theme_is_changed_without_reloading(data):
    data.evaluate("window.neverReloaded = true")
    colour = "getComputedStyle(document.body).backgroundColor"
    before = data.evaluate(colour)
    data.locator("#gl-theme").click()
    assert data.evaluate(colour) != before
    data.locator("#gl-theme").click()
    assert data.evaluate(colour) == before
    assert data.evaluate("window.neverReloaded") is True


def test_every_control_has_a_name_for_a_screen_reader(data):
    nameless = data.evaluate(
        """() => [...document.querySelectorAll(
             ".gl-page button, .gl-page a, .gl-page input, .gl-page select, .gl-page textarea")]
           .filter((el) => el.offsetParent !== null)
           .filter((el) => !(el.getAttribute("aria-label") || el.textContent.trim() || el.title
             || el.closest("label") || (el.labels && el.labels.length)))
           .map((el) => el.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_nothing_is_asked_of_another_host(data, live):
    assert any("/voila/" in url for url in data.asked)
    allowed = (live.url, live.url.replace("http:", "ws:"), "data:", "blob:")
    assert [url for url in data.asked if not url.startswith(allowed)] == []
