"""What helps to point and to focus, and the running stack, as an observer sees them arrive."""

import time
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import select

from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import SUPERNOVA_TARGET, Clock, visit
from goodman_live.server_extension.catalogue.models import Frame
from tests.browser.reader import PATIENCE_MS, Reader, check_page
from tests.conftest import running_demo
from tests.pointing_shots import BEST, focus_shot, pointing_shot

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BEGIN = datetime(2026, 8, 16, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A system of its own, whose night is two exposures of a target and their arc."""
    root = tmp_path_factory.mktemp("pointing") / "live"
    root.mkdir()
    rng = np.random.default_rng(4)
    clock = Clock(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    here = setup("Red", "400_M1")
    law = random_law(here.mode, rng)
    write_night(root / "night", list(visit(here, clock, rng, law, SUPERNOVA_TARGET, exposures=2)))
    with running_demo(root) as live:
        yield live


@pytest.fixture(scope="module")
def reader(browser, own):
    reader = Reader(browser, own, "observer", "light")
    yield reader
    reader.close()


def made(own, role, number, *, ready=lambda _: True):
    """Wait for the current products of a role, each once per raw frame, until `number` are so."""
    query = select(Frame).where(Frame.role == role, Frame.is_current).order_by(Frame.start)
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while True:
        with own.sessions()() as session:
            found = [one for one in session.scalars(query) if ready(one)]
        if len(found) == number:
            return found
        assert time.monotonic() < deadline, f"{role}: {[one.quality for one in found]}"
        time.sleep(1)


def open_file(reader, frame, tab):
    """Open a product on the Data page; return the page once its tab and the figure are there."""
    page, url = reader.page, reader.live.url
    page.goto(f"{url}/user/{reader.name}/voila/render/pages/data.ipynb?file={frame.id}")
    page.get_by_role("tab", name=tab, selected=True).wait_for(timeout=PATIENCE_MS)
    page.locator(f".gl-comments[data-file='{frame.id}']").wait_for(timeout=PATIENCE_MS)
    page.locator(".bqplot:visible").first.wait_for(timeout=PATIENCE_MS)
    return page


def visible(page, selector):
    return page.locator(f".bqplot {selector}:visible")


def test_the_running_stack_tells_what_was_reached_and_how_many_more(reader, own):
    (stack,) = made(own, "stack", 1, ready=lambda one: one.data_type == 4)
    assert stack.quality["exposures"] == 2
    page = open_file(reader, stack, "Stack of 2")
    page.get_by_text("2 exposures reach a signal to noise of").first.wait_for(timeout=60_000)
    page.locator(".axislabel:visible", has_text="Angstrom").first.wait_for(timeout=60_000)
    check_page(reader)


def test_a_focus_run_shows_its_curve_and_its_best_setting(reader, own):
    for number, setting in enumerate((-900, -760, -620, -480, -340), start=1):
        focus_shot(own.root / "raw", number, setting, BEGIN)
    (run,) = made(own, "focus", 1, ready=lambda one: one.quality["frames"] == 5)
    assert run.quality["focus_best"] == pytest.approx(BEST, abs=30)
    page = open_file(reader, run, "Focus")
    page.get_by_text(f"CAM_FOC {run.quality['focus_best']:.0f} ±").first.wait_for()
    page.locator(".axislabel:visible", has_text="FWHM (unbinned pixels)").wait_for()
    visible(page, "path.element").nth(4).wait_for(timeout=60_000)
    assert visible(page, "path.element").count() == 5
    # The curve has many points, which a line from frame to frame has not.
    paths = [one.get_attribute("d") or "" for one in visible(page, "path.line").all()]
    assert max(path.count("L") for path in paths) > 50
    check_page(reader)
    # Advanced visualization draws the run among the diagnostics: it has no spectrum to measure.
    page.locator("[data-action=advanced]").evaluate("(link) => link.removeAttribute('target')")
    page.locator("[data-action=advanced]").click()
    page.wait_for_url(f"**/advanced.ipynb?file={run.id}", timeout=PATIENCE_MS)
    panel = page.locator("[data-panel=focus]")
    panel.locator("canvas").wait_for(timeout=PATIENCE_MS)
    assert f"{run.quality['focus_best']:.0f}" in panel.inner_text()
    assert page.locator(".gl-tabs [aria-selected=true]").first.inner_text() == "Focus"
    assert page.locator(":is(.gl-curves, .gl-plane, .gl-viewnote):visible").count() == 0
    check_page(reader)


def test_an_acquisition_image_shows_slit_and_target(reader, own):
    shots = {"row": 120.0, "name": "blind_acq"}
    pointing_shot(own.root / "raw", 21, BEGIN, slit=False, across=14.0, **shots)
    pointing_shot(own.root / "raw", 22, BEGIN, slit=True, **shots)
    beside, through = made(own, "acquisition", 2)
    assert beside.quality["offset_arcsec"] == pytest.approx(2.1, abs=0.08)
    assert through.quality["slit_seen"]
    page = reader.open("night")
    row = page.locator("tr[data-row]", has_text=beside.file_name)
    row.get_by_text("target +2.1").wait_for(timeout=PATIENCE_MS)
    page = open_file(reader, beside, "Acquisition")
    target = visible(page, "path.element").first
    target.wait_for(timeout=60_000)
    # Pixels are square, and the target is marked where it was put: 14 unbinned beside the slit.
    picture, spot = visible(page, "image").first.bounding_box(), target.bounding_box()
    rows, columns = fits.getdata(next((own.root / "products").rglob(beside.file_name))).shape
    scale = picture["width"] / columns
    assert scale == pytest.approx(picture["height"] / rows, rel=0.03)
    # Upright lines have no width: to a browser driver they are hidden.
    edges = page.locator(".bqplot path.line").evaluate_all(
        "(lines) => lines.map((one) => one.getBoundingClientRect())"
        ".filter((box) => box.height > 100).map((box) => box.x + box.width / 2)"
    )
    assert len(edges) == 2
    between = spot["x"] + spot["width"] / 2 - sum(edges) / 2
    assert between / scale == pytest.approx(7.0, abs=0.7)
    check_page(reader)
