"""The story of the project, in Chromium through the Hub: what `make live` promises."""

import hashlib
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from goodman_live.hub.demo.processes import marked
from goodman_live.server_extension.identity import HUB_CACHE_S
from tests.processes import command_of

pytestmark = pytest.mark.browser

PATIENCE_MS = 120_000
TARGET = "SN2026abc"
PICTURES = os.environ.get("GOODMAN_PICTURES")
READ_OUT_S = 3.0
"""How long the frame of this test takes to be written: many times what intake waits for."""


def picture(page, name):
    if PICTURES:
        page.set_viewport_size({"width": 1400, "height": 1180})
        page.wait_for_timeout(2000)
        page.screenshot(path=Path(PICTURES) / name)


def until(look, live, what):
    """Return what `look` returns, as soon as that is something."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.5)
    log = (live.root / "logs" / "hub.log").read_text(errors="replace")
    raise AssertionError(f"{what} did not come:\n{log[-3000:]}")


def listed(client, live, **filters):
    answer = client.get(f"{live.api}/files/", params={"page_size": 100, **filters})
    answer.raise_for_status()
    return answer.json()["results"]


def token_client(live, sign_in, name):
    """Return a client of the service with a token of this user."""
    client = sign_in(name)
    xsrf = client.cookies.get("_xsrf", path="/hub/")
    answer = client.post(
        f"/hub/api/users/{name}/tokens",
        json={"note": "story", "scopes": ["access:services!service=goodman"]},
        headers={"X-XSRFToken": xsrf},
    )
    client.headers["Authorization"] = f"Token {answer.json()['token']}"
    client.cookies.clear()
    return client


@pytest.fixture(scope="module")
def observer(live, sign_in):
    return token_client(live, sign_in, "observer")


@pytest.fixture(scope="module")
def neighbour(live, sign_in):
    return token_client(live, sign_in, "neighbour")


@pytest.fixture(scope="module")
def calibrated(live, observer):
    """The first calibrated spectrum of the target: its night's calibrations are there."""

    def look():
        found = listed(observer, live, data_type="4", object=TARGET)
        return next((file for file in found if file["obstype"] == "SPECTRUM"), None)

    return until(look, live, f"a calibrated spectrum of {TARGET}")


def another_exposure(live, number):
    """Return name and content of another frame of the target: one bit of a pixel differs."""
    source = next(
        path
        for path in sorted((live.root / "night" / "RAW").glob(f"*_{TARGET}_*.fits"))
        if "_comp" not in path.name
    )
    content = bytearray(source.read_bytes())
    content[len(content) // 2 + 1] ^= 1
    return f"{number}_{source.name.partition('_')[2]}", bytes(content)


def read_out(path, content):
    """Write a frame as a read-out does, slowly; yield after each piece but the last."""
    pieces = 12
    size = -(-len(content) // pieces)
    with path.open("xb") as sink:
        for begin in range(0, len(content), size):
            sink.write(content[begin : begin + size])
            sink.flush()
            if begin + size < len(content):
                time.sleep(READ_OUT_S / pieces)
                yield begin + size


def test_a_frame_that_grows_is_taken_when_whole_and_ends_as_a_spectrum(
    live, page, enter, observer, calibrated
):
    """From the sign-in to Angstrom on the axis, without reloading the page."""
    enter(page, "observer")
    page.locator(".gl-row", has_text=TARGET).first.wait_for(timeout=PATIENCE_MS)
    page.evaluate("window.neverReloaded = true")
    name, content = another_exposure(live, "0124")
    row = page.locator(".gl-row", has_text="0124_")
    for written in read_out(live.root / "raw" / name, content):
        assert written < len(content)
        assert row.count() == 0, f"shown with {written} of {len(content)} bytes"
        assert not listed(observer, live, search=name), f"taken with {written} bytes"
    whole = time.time()

    row.first.wait_for(timeout=PATIENCE_MS)
    raw = until(lambda: listed(observer, live, search=name, data_type="0"), live, name)[0]
    told = observer.get(f"{live.api}/files/{raw['id']}/").json()
    # The last byte was written before we took the time, by no more than a clock's grain.
    assert datetime.fromisoformat(told["latency"]["whole"]).timestamp() > whole - READ_OUT_S / 12
    got = observer.get(f"{live.api}/files/download/", params={"id": raw["id"]}).content
    assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()

    row.first.click()
    # Its own tabs, not those of the frame that was open.
    page.locator(f".gl-comments[data-root='{raw['id']}']").wait_for(timeout=PATIENCE_MS)
    # By name: a better version may have replaced the first one by now.
    page.get_by_role("tab", name="Wavelength calibrated").first.wait_for(timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Wavelength calibrated").first.click()
    label = page.locator(".bqplot .axislabel:visible", has_text="Angstrom")
    label.first.wait_for(timeout=PATIENCE_MS)
    assert label.first.text_content() == "Wavelength (Angstrom)"
    # A spectrum over wavelengths that the grating can see, and as many points as pixels.
    page.wait_for_function(
        "[...document.querySelectorAll('.bqplot path.line')]"
        ".some((line) => (line.getAttribute('d') || '').split('L').length > 1000)",
        timeout=PATIENCE_MS,
    )
    ticks = [
        float(text)
        for text in page.locator(".bqplot .axis .tick text:visible").all_text_contents()
        if text.replace(".", "").isdigit()
    ]
    assert sum(3000 < tick < 11000 for tick in ticks) >= 3
    picture(page, "data.png")
    assert page.get_by_text("0124_").first.is_visible()
    assert page.evaluate("window.neverReloaded") is True


def test_another_observer_sees_it_neither_on_the_page_nor_through_the_api(
    live, page, enter, observer, neighbour, calibrated
):
    """Not in lists, counts or searches, not by number, not as an event, not on the page."""
    theirs = listed(neighbour, live)
    assert theirs, "the neighbour sees frames of their own"
    assert not [file for file in theirs if TARGET in file["file_name"] + file["object"]]
    assert listed(neighbour, live, search=TARGET) == []
    assert listed(neighbour, live, object=TARGET) == []
    hidden = [file["id"] for file in listed(observer, live, object=TARGET)]
    assert calibrated["id"] in hidden
    for number in hidden[:6]:
        paths = [f"{number}/", *(f"{a}/?id={number}" for a in ("header", "visualize", "download"))]
        answers = [neighbour.get(f"{live.api}/files/{path}") for path in paths]
        assert [answer.status_code for answer in answers] == [404] * 4, [a.text for a in answers]
        assert not any(TARGET in answer.text for answer in answers)
    for block in ("reduce", "extract", "wavelength"):
        answer = neighbour.post(f"{live.api}/{block}/", json={"id": calibrated["id"]})
        assert answer.status_code in {403, 404}, answer.text
    events = neighbour.get(f"{live.api}/events/", params={"since": 0}).json()["results"]
    assert events, "the neighbour is told of their own frames"
    assert not [event for event in events if event.get("frame_id") in hidden]

    enter(page, "neighbour")
    page.locator(".gl-row", has_text="AT2026xyz").first.wait_for(timeout=PATIENCE_MS)
    # A frame of the observer comes while the neighbour's page is open, then one of the
    # neighbour's own: when that is there, the other would have been.
    name, content = another_exposure(live, "0125")
    (live.root / "raw" / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    until(lambda: listed(observer, live, search=name), live, name)
    own = next(
        path
        for path in sorted((live.root / "night" / "RAW").glob("*_AT2026xyz_*.fits"))
        if "_comp" not in path.name
    )
    content = bytearray(own.read_bytes())
    content[len(content) // 2 + 1] ^= 1
    (live.root / "raw" / f"0126_{own.name.partition('_')[2]}").write_bytes(content)
    page.locator(".gl-row", has_text="0126_").first.wait_for(timeout=PATIENCE_MS)
    assert "0125_" not in page.content()
    assert TARGET not in page.content()
    # Nor by the address of the file itself.
    page.goto(f"{page.url.partition('?')[0]}?file={calibrated['id']}")
    page.get_by_text("may not see it").first.wait_for(timeout=PATIENCE_MS)
    assert TARGET not in page.content()


def test_signing_out_ends_every_tab_and_every_copy_of_the_cookies(live, browser, enter):
    context = browser.new_context()
    page = context.new_page()
    enter(page, "observer")
    page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
    other = context.new_page()
    other.goto(f"{live.url}/hub/token")
    other.get_by_role("heading").first.wait_for()
    # The service's cookie too: it is given on the way to the API's page.
    third = context.new_page()
    third.goto(f"{live.api}/users/me/")
    assert "observer" in third.content()
    before = context.cookies()
    names = {cookie["name"] for cookie in before}
    assert {"jupyterhub-hub-login", "service-goodman"} <= names
    assert any(name.startswith("jupyterhub-user-") for name in names)
    address = page.url

    page.get_by_role("link", name="Sign out").click()
    page.get_by_text("You are signed out").wait_for(timeout=PATIENCE_MS)
    after = {cookie["name"]: cookie["value"] for cookie in context.cookies()}
    old = {cookie["name"]: cookie["value"] for cookie in before}
    for name in names - {"_xsrf"}:
        assert after.get(name) != old[name], name
    for tab, asked in ((page, address), (other, f"{live.url}/hub/token"), (third, live.api)):
        tab.goto(f"{asked}/users/me/" if tab is third else asked)
        tab.get_by_label("Password").wait_for(timeout=PATIENCE_MS)
    context.close()

    # A copy of the cookies, made before, opens nothing any more, once what the service was told of
    # them is older than it believes.
    time.sleep(2 * HUB_CACHE_S)
    thief = browser.new_context()
    thief.add_cookies(before)
    page = thief.new_page()
    for asked in (address, f"{live.url}/hub/home", f"{live.api}/users/me/"):
        page.goto(asked)
        page.get_by_label("Password").wait_for(timeout=PATIENCE_MS)
    thief.close()


@pytest.mark.slow
def test_a_page_whose_kernel_is_gone_says_so_and_opens_again_by_itself(live, page, enter):
    enter(page, "observer")
    row = page.locator(".gl-row", has_text=TARGET).first
    number = row.get_attribute("data-file", timeout=PATIENCE_MS)
    page.locator(f".gl-row[data-file='{number}']").click()
    page.locator(f".gl-comments[data-root='{number}']").wait_for(timeout=PATIENCE_MS)
    page.evaluate("window.before = true")
    for process in marked(live.root):
        if "ipykernel_launcher" in " ".join(command_of(process)):
            process.kill()
    page.get_by_text("The page has lost its own server").wait_for(timeout=PATIENCE_MS)
    page.wait_for_function("window.before === undefined", timeout=PATIENCE_MS)
    page.locator(f".gl-comments[data-root='{number}']").wait_for(timeout=PATIENCE_MS)
