"""The story of the project, in Chromium through the Hub: what `make live` promises."""

import os
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PATIENCE_MS = 300_000
TARGET = "SN2026abc"
PICTURES = os.environ.get("GOODMAN_PICTURES")


def enter(page, live, name):
    page.goto(live.url)
    page.get_by_label("User name or e-mail").fill(name)
    page.get_by_label("Password").fill(live.passwords[name])
    page.keyboard.press("Enter")
    page.wait_for_url("**/voila/render/pages/data.ipynb", timeout=PATIENCE_MS)


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / name)


def wait_for_spectrum(client, live):
    """Wait at the API until the target's spectrum is wavelength calibrated; return the file."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        answer = client.get(f"{live.api}/files/", params={"data_type": "4", "object": TARGET})
        answer.raise_for_status()
        found = [file for file in answer.json()["results"] if file["obstype"] == "SPECTRUM"]
        if found:
            return found[0]
        time.sleep(1)
    log = (live.root / "logs" / "hub.log").read_text(errors="replace")
    raise AssertionError(f"no calibrated spectrum of {TARGET}:\n{log[-3000:]}")


@pytest.fixture(scope="module")
def calibrated(live, sign_in):
    client = token_client(live, sign_in, "observer")
    return wait_for_spectrum(client, live)


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


def test_a_science_frame_becomes_a_spectrum_on_the_page(live, page, calibrated):
    enter(page, live, "observer")
    page.evaluate("window.neverReloaded = true")
    row = page.locator(".gl-row", has_text=TARGET).first
    row.wait_for(timeout=PATIENCE_MS)
    page.locator(f".gl-row:has-text('{TARGET}'):has-text('SPECTRUM')").first.click()
    # By name: a better version may have replaced the first one by now.
    tab = page.get_by_role("tab", name="Wavelength calibrated").first
    tab.wait_for(timeout=PATIENCE_MS)
    tab.click()
    page.get_by_text("Angstrom").first.wait_for(timeout=60_000)
    page.set_viewport_size({"width": 1400, "height": 1180})
    page.wait_for_timeout(2000)
    picture(page, "data.png")
    assert page.evaluate("window.neverReloaded") is True


def test_another_observer_sees_it_neither_on_the_page_nor_through_the_api(
    live, page, sign_in, calibrated
):
    client = token_client(live, sign_in, "neighbour")
    listed = client.get(f"{live.api}/files/", params={"page_size": 100}).json()["results"]
    assert listed, "the neighbour sees frames of their own"
    assert not [file for file in listed if TARGET in file["file_name"]]
    base, number = f"{live.api}/files/", calibrated["id"]
    actions = ("header/", "visualize/", "download/")
    hidden = [client.get(base + action, params={"id": number}) for action in actions]
    hidden.append(client.get(f"{base}{number}/"))
    assert [answer.status_code for answer in hidden] == [404] * 4, [a.text for a in hidden]
    enter(page, live, "neighbour")
    page.locator(".gl-row", has_text="AT2026xyz").first.wait_for(timeout=PATIENCE_MS)
    assert TARGET not in page.locator("body").inner_text()


def test_frames_appear_without_reloading(live, page, sign_in, calibrated):
    """A frame that arrives while the page is open comes up by itself."""
    source = next((live.root / "night" / "RAW").glob("0024_*.fits"))
    enter(page, live, "observer")
    page.locator(".gl-row", has_text=TARGET).first.wait_for(timeout=PATIENCE_MS)
    page.evaluate("window.neverReloaded = true")
    # Another exposure: the same frame under another number, with a byte of its data changed.
    data = bytearray(source.read_bytes())
    data[-6000] ^= 1
    name = source.name.replace("0024_", "0124_")
    (live.root / "raw" / name).write_bytes(data)
    page.locator(".gl-row", has_text="0124_").first.wait_for(timeout=PATIENCE_MS)
    assert page.evaluate("window.neverReloaded") is True


def test_signing_out_closes_the_page_for_good(live, page):
    enter(page, live, "observer")
    address = page.url
    page.get_by_role("link", name="Sign out").click()
    page.get_by_text("You are signed out").wait_for(timeout=60_000)
    page.goto(address)
    page.get_by_label("Password").wait_for(timeout=60_000)
