"""What helps to point and to focus, and the running stack, as an observer sees them arrive."""

import json
import signal
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import select

from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.optics import Optics, SlitPlace
from goodman_live.pipeline.simulate.plan import SUPERNOVA_TARGET, Clock, visit
from goodman_live.server_extension.catalogue.models import Frame
from tests.browser.reader import PATIENCE_MS, Reader, check_page
from tests.browser.site import free_ports
from tests.conftest import Live, start_demo, wait_for_address

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BEGIN = datetime(2026, 8, 16, 5, tzinfo=UTC)
BEST = -620
STRIP = Region("user-defined", 0, 1995, 2071, 60)
BESIDE = Region("Slit Imaging/Alignment", 1850, 1600, 200, 450)


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
    options = ("--port", str(free_ports(1)[0]), "--interval", "0.2")
    process = start_demo(root, *options)
    try:
        url = wait_for_address(process, root)
        yield Live(process, root, url, json.loads((root / "accounts.json").read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


@pytest.fixture(scope="module")
def reader(browser, own):
    reader = Reader(browser, own, "observer", "light")
    yield reader
    reader.close()


def focus_shot(folder, number, setting):
    log = Log(
        obstype="FOCUS", object_name="focus", number=number, cam_foc=setting, exptime_s=3.0,
        start=BEGIN + timedelta(minutes=number),
    )  # fmt: skip
    blur = abs(setting - BEST) / 40.0
    optics = Optics(float(np.hypot(2.4, blur)), float(np.hypot(2.8, blur)))
    here = setup("Red", "400_M1", slit_arcsec=0.45, region=STRIP)
    shot = frames.arc(here, seed=number, optics=optics, log=log)
    shot.write(folder / f"9{number:03d}_Focus-Red-SP.fits")


def pointing_shot(folder, number, *, slit, across=0.0):
    here = setup("Blue", None, binning=(2, 2), region=BESIDE)
    place = SlitPlace(1.0, 2071.3, 0.0)
    column = (place.column + across - BESIDE.x0 - 0.5) / 2
    log = Log(object_name="blind_acq", number=number, start=BEGIN + timedelta(minutes=number))
    frames.image(
        here, seed=number, exptime_s=20.0, placed=np.array([[column, 120.0, 8e3]]),
        slit=place if slit else None, log=log,
    ).write(folder / f"9{number:03d}_blind_acq.fits")  # fmt: skip


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
        focus_shot(own.root / "raw", number, setting)
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


def test_an_acquisition_image_shows_slit_and_target(reader, own):
    pointing_shot(own.root / "raw", 21, slit=False, across=14.0)
    pointing_shot(own.root / "raw", 22, slit=True)
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
