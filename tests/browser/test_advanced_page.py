"""Advanced visualization in Chromium, through the Hub: what is seen is measured and exported.

With ``GOODMAN_PICTURES=folder`` the pictures of the user guide are written there.
"""

import csv
import io
import re
import time

import pytest
from PIL import Image

from tests.browser.reader import PATIENCE_MS, Reader, check_narrow, check_page

pytestmark = pytest.mark.browser

TARGET = "SN2026abc"
PLANE, CURVES = ".gl-plane canvas.gl-tall-canvas", ".gl-curves > canvas"


@pytest.fixture(scope="module")
def reader(browser, live, settled):
    reader = Reader(browser, live, "observer", "dark")
    reader.page.set_viewport_size({"width": 1280, "height": 860})
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def products(settled, api):
    """Newest current product of the target, by data type; "0" is its raw frame."""
    found = {}
    for kind in "02345":
        rows = api("files", object=TARGET, data_type=kind, obstype="SPECTRUM")["results"]
        current = [row for row in rows if row["is_current"] and not row["role"]]
        found[kind] = current[0]["id"] if current else 0
    return found


def open_file(reader, number, canvas):
    address = f"{reader.live.url}/user/{reader.name}/voila/render/pages/advanced.ipynb"
    reader.page.goto(f"{address}?file={number}")
    reader.page.locator(f"{canvas}[data-view]").wait_for(timeout=PATIENCE_MS)
    return reader.page


def numbers(page, canvas, name):
    return [float(one) for one in page.locator(canvas).get_attribute(f"data-{name}").split()]


def place(page, column, row):
    """Return where a pixel of the image is on the screen."""
    x0, x1, y0, y1 = numbers(page, PLANE, "view")
    box = page.locator(PLANE).bounding_box()
    width, height = box["width"] - 66 - 12, box["height"] - 10 - 46
    x = box["x"] + 66 + (column - x0) / (x1 - x0) * width
    return x, box["y"] + 10 + height - (row - y0) / (y1 - y0) * height


def test_an_image_tells_values_zooms_to_pixels_and_is_cut(reader, products, api):
    page = open_file(reader, products["2"], PLANE)
    reader.picture("advanced-image")
    x, y = place(page, 900, 500)
    page.mouse.move(x, y)
    page.wait_for_function(
        "document.querySelector('.gl-plane .gl-readout')?.textContent.includes('Å')",
        timeout=60_000,
    )
    before = numbers(page, PLANE, "view")
    for _ in range(12):
        page.mouse.wheel(0, -300)
    page.locator(f"{PLANE}[data-tiles~=detail]").wait_for(timeout=60_000)
    after = numbers(page, PLANE, "view")
    assert after[1] - after[0] < 0.12 * (before[1] - before[0])
    # A single pixel now: its value is the one of the file, not a mean.
    column, row = round((after[0] + after[1]) / 2), round((after[2] + after[3]) / 2)
    page.mouse.move(*place(page, column, row))
    said = page.locator(".gl-plane .gl-readout")
    page.wait_for_function(
        "!document.querySelector('.gl-plane .gl-readout').textContent.includes('mean')"
    )
    shown = re.match(r"x (\d+) {2}y (\d+) {3}(\S+) ADU {3}([0-9.]+) Å", said.inner_text())
    assert shown is not None, said.inner_text()
    region = {"x0": shown[1], "x1": int(shown[1]) + 1, "y0": shown[2], "y1": int(shown[2]) + 1}
    told = api("files/visualize", id=products["2"], format="json", **region)
    assert float(shown[3]) == pytest.approx(told["range"][0], rel=1e-5)
    assert 3000 < float(shown[4]) < 11000
    page.mouse.click(*place(page, column, row))
    page.locator(".gl-cuts:visible").wait_for(timeout=60_000)
    with page.expect_download() as came:
        page.locator(".gl-plane [data-export=csv]").click()
    rows = list(csv.reader(came.value.path().read_text().splitlines()))
    assert rows[0] == ["cut", "pixel", "value"]
    assert len(rows) > 2000


def test_limits_follow_the_choice_and_the_histogram(reader, products):
    page = open_file(reader, products["2"], PLANE)
    zscale = numbers(page, PLANE, "limits")
    limits = page.locator(".gl-plane .gl-choice", has_text="Limits").locator("select")
    before = page.locator(PLANE).get_attribute("data-limits")
    limits.select_option("percentile 90")
    page.wait_for_function(
        "([canvas, old]) => document.querySelector(canvas).dataset.limits !== old",
        arg=[PLANE, before],
    )
    page.locator(".gl-histogram").scroll_into_view_if_needed()
    box = page.locator(".gl-histogram").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    page.wait_for_function(
        "([canvas, low]) => Number(document.querySelector(canvas).dataset.limits.split(' ')[1])"
        " > low",
        arg=[PLANE, zscale[1]],
    )
    assert limits.input_value() == "by hand"
    for label in ("Cosmic rays", "Other masks"):
        page.get_by_label(label, exact=True).check()
    with page.expect_download() as came:
        page.locator(".gl-plane [data-export=png]").click()
    colours = Image.open(came.value.path()).convert("RGB").getcolors(1 << 24)
    assert (255, 214, 0) in {colour for _, colour in colours}  # a cosmic ray, marked
    check_page(reader)
    check_narrow(page)


def test_a_zone_is_dragged_undone_and_extracted_with(reader, products, api):
    page = open_file(reader, products["2"], PLANE)

    def drawn():
        view = api("files/visualize", id=products["2"], format="json", apertures="true")
        return view["apertures"]

    (aperture,) = drawn()
    middle = len(aperture["column"]) // 2
    column, trace = aperture["column"][middle], aperture["centre"][middle]
    low = min(zone[0] for zone in aperture["zones"])

    def drag():
        page.mouse.move(*place(page, column, trace + low))
        page.mouse.down()
        page.mouse.move(*place(page, column, trace + low + 25), steps=6)
        page.mouse.up()
        page.locator("[data-hand=apply]:not([aria-disabled])").wait_for()

    drag()
    page.locator("[data-hand=undo]").click()
    page.locator("[data-hand=apply][aria-disabled]").wait_for()
    drag()
    page.locator("[data-hand=apply]").click()
    page.get_by_text("the next frames of this target tonight follow").wait_for(timeout=PATIENCE_MS)
    (again,) = drawn()
    moved = min(zone[0] for zone in again["zones"])
    assert moved - low == pytest.approx(25, abs=6)
    page.locator("[data-hand=automatic]").click()
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while min(zone[0] for zone in drawn()[0]["zones"]) != pytest.approx(low, abs=6):
        assert time.monotonic() < deadline, drawn()
        page.wait_for_timeout(500)


def test_a_spectrum_is_compared_measured_and_exported(reader, products):
    page = open_file(reader, products["4"], CURVES)
    # A telluric band is always there to be measured.
    page.get_by_label("telluric", exact=True).check()
    page.get_by_label("Redshift", exact=True).fill("0.01")
    assert page.locator(".gl-speed").inner_text() == "2982.9 km/s"
    page.get_by_label("Fit from").fill("6800")
    page.get_by_label("Fit to").fill("6960")
    page.get_by_role("button", name="Fit", exact=True).click()
    page.locator(".gl-fit dd").first.wait_for(timeout=60_000)
    centre = re.search(r"Centre\s+([0-9.]+) ±", page.locator(".gl-fit").inner_text())
    assert 6860 < float(centre[1]) < 6960
    page.get_by_label("Arc", exact=True).check()
    other = page.get_by_label("Another spectrum to lay over")
    other.locator("option").nth(1).wait_for(state="attached", timeout=60_000)
    other.select_option(index=1)
    page.locator(f"{CURVES}[data-spectra='2']").wait_for(timeout=60_000)
    reader.picture("advanced-spectrum")
    whole = numbers(page, CURVES, "view")
    page.locator(CURVES).focus()
    page.keyboard.press("+")
    page.wait_for_function(
        f"document.querySelector('{CURVES}')?.dataset.view.split(' ')[0] > {whole[0]}"
    )
    with page.expect_download() as came:
        page.locator(".gl-curves [data-export=csv]").click()
    rows = list(csv.DictReader(io.StringIO(came.value.path().read_text())))
    assert {row["spectrum"] for row in rows} >= {str(products["4"])}
    assert all(float(row["wavelength_aa"]) >= whole[0] for row in rows)
    with page.expect_download() as came:
        page.locator(".gl-curves [data-export=svg]").click()
    drawn = came.value.path().read_text()
    assert drawn.startswith("<svg")
    assert "Wavelength (Angstrom)" in drawn
    check_page(reader)
    check_narrow(page)


def test_each_step_tells_what_it_saw(reader, products):
    page = open_file(reader, products["4"], CURVES)
    for tab, panels in (
        ("Arc and sky", ("arc", "residuals")),
        ("Profile and trace", ("profile", "trace", "trace-residuals")),
        ("Cosmic rays", ("cosmic",)),
    ):
        page.get_by_role("tab", name=tab).click()
        for key in panels:
            page.locator(f"[data-panel={key}] canvas").wait_for(timeout=PATIENCE_MS)
    assert re.search(r"[1-9][0-9]* found", page.locator("[data-panel=cosmic]").inner_text())
    page.get_by_role("tab", name="Arc and sky").click()
    page.locator("[data-panel=arc] canvas").wait_for(timeout=PATIENCE_MS)
    page.locator(".gl-diagnostics").scroll_into_view_if_needed()
    reader.picture("advanced-diagnostics")


def test_a_notebook_is_written_and_can_be_opened(reader, products):
    page = open_file(reader, products["3"], CURVES)
    page.get_by_role("button", name="Open in notebook").click()
    link = page.locator("[data-action=written]")
    link.wait_for(timeout=60_000)
    assert link.get_attribute("href").startswith("../notebooks/")


def test_a_page_without_such_a_file_says_so(reader):
    address = f"{reader.live.url}/user/{reader.name}/voila/render/pages/advanced.ipynb"
    reader.page.goto(f"{address}?file=999999")
    reader.page.get_by_role("heading", name="There is no file 999999").wait_for(
        timeout=PATIENCE_MS
    )
