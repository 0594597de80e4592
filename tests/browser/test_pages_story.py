"""The pages beside Data, in Chromium through the Hub: each one's story, as who it is for.

With ``GOODMAN_PICTURES=folder`` the pictures of the user guide are written there.
"""

import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.browser

PATIENCE_MS = 300_000
PICTURES = os.environ.get("GOODMAN_PICTURES")
MINE = "SOAR2026B-001"
HOSTILE = "<img src=x onerror='window.broken=1'>"


class Reader:
    """Somebody signed in, with one tab."""

    def __init__(self, browser, live, name, scheme):
        self.live, self.name, self.scheme = live, name, scheme
        size = {"width": 1280, "height": 860}
        self.context = browser.new_context(color_scheme=scheme, viewport=size)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.asked, self.faults = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
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
        assert self.page.evaluate("document.documentElement.dataset.glTheme") == "light"
        return self.page

    def picture(self, name):
        if PICTURES:
            self.page.wait_for_timeout(1200)
            raw = Image.open(io.BytesIO(self.page.screenshot()))
            path = Path(PICTURES) / f"{name}-{self.scheme}.png"
            raw.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)

    def close(self):
        self.context.close()
        # A message on its way to the kernel while its page is left has nowhere to go.
        assert [fault for fault in self.faults if fault != "Cannot send"] == []
        allowed = (self.live.url, self.live.url.replace("http:", "ws:"), "data:", "blob:")
        assert [url for url in self.asked if not url.startswith(allowed)] == []


@pytest.fixture(scope="module")
def settled(live, sign_in):
    """Wait until the whole night has come and nothing is being made of it: counts hold still."""
    client = sign_in("observer")
    every = len([*(live.root / "night" / "RAW").glob("*.fits")])
    quiet, deadline = 0, time.monotonic() + PATIENCE_MS / 1000
    while quiet < 3:
        assert time.monotonic() < deadline, "the night does not come to rest"
        come = len([*(live.root / "raw").glob("*.fits")])
        queue = client.get(f"{live.api}/").json()["queue"]
        quiet = quiet + 1 if come >= every and not queue else 0
        time.sleep(1)


@pytest.fixture(scope="module")
def pi(browser, live, settled):
    """The PI of a proposal, in the dark."""
    reader = Reader(browser, live, "observer", "dark")
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def staff(browser, live, settled):
    """A superuser, in the light."""
    reader = Reader(browser, live, "nightstaff", "light")
    yield reader
    reader.close()


def row(page, text):
    return page.locator("tr[data-row]", has_text=text).first


NAMELESS = """() => [...document.querySelectorAll(
  ":is(.gl-bar, .gl-page) :is(a, button, input, select, textarea)")]
  .filter((el) => el.offsetParent !== null)
  .filter((el) => !(el.getAttribute("aria-label") || el.textContent.trim() || el.title
    || el.closest("label") || (el.labels && el.labels.length)))
  .map((el) => el.outerHTML.slice(0, 120))"""
SORTED = """() => {
  const names = [...document.querySelectorAll("tr[data-row] td:nth-child(2)")]
    .map((cell) => cell.textContent);
  return names.length > 1 && names.every((name, i) => !i || names[i - 1] >= name); }"""
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def check_access(page):
    """Every control has a name, every page its heading, and the keyboard reaches the content."""
    assert page.evaluate(NAMELESS) == []
    assert page.locator(".gl-page :is(h1, h2):visible").count() >= 1
    assert page.locator("main#gl-main, nav[aria-label]").count() == 2


def check_narrow(page):
    """A narrow screen scrolls down, not sideways."""
    page.set_viewport_size({"width": 420, "height": 860})
    try:
        page.wait_for_function(f"{WIDE} <= 1", timeout=20_000)
    finally:
        page.set_viewport_size({"width": 1280, "height": 860})


def test_home_lists_the_readers_proposals_and_leads_to_their_data(pi):
    page = pi.open("home")
    mine = row(page, MINE)
    mine.wait_for(timeout=PATIENCE_MS)
    assert "First Observer" in mine.inner_text()
    assert page.locator("tr[data-row]").count() == 1
    assert page.locator("#gl-name").inner_text() == "First Observer"
    assert not page.get_by_role("link", name="Management").is_visible()
    check_access(page)
    pi.picture("home")
    check_narrow(page)
    mine.get_by_role("link", name="as table").click()
    page.wait_for_url(f"**/search.ipynb?proposal_id={MINE}")
    row(page, MINE).wait_for(timeout=PATIENCE_MS)
    assert set(page.locator("tr[data-row] td:nth-child(3)").all_inner_texts()) == {MINE}
    page.go_back()
    row(page, MINE).get_by_role("link", name="as details").click()
    page.locator(".gl-row", has_text="SN2026abc").first.wait_for(timeout=PATIENCE_MS)
    assert page.locator(".gl-row", has_text="BIAS").count() == 0


def test_a_search_is_narrowed_sorted_shared_and_taken_home(pi, live):
    page = pi.open("search")
    page.locator("tr[data-row]").first.wait_for(timeout=PATIENCE_MS)
    page.locator("[data-facet=obstype] summary").click()
    bias = page.locator("[data-facet=obstype] label", has_text="BIAS")
    count = bias.locator("b").inner_text()
    pi.picture("search")
    bias.locator("input").check()
    page.wait_for_function("location.search.includes('obstype=BIAS')", timeout=30_000)
    page.wait_for_function(
        "(n) => document.querySelector('.gl-titleline .gl-count').textContent === n", arg=count
    )
    page.get_by_role("button", name="File name").click()
    page.wait_for_function("location.search.includes('ordering=-file_name')", timeout=30_000)
    page.wait_for_function(SORTED, timeout=60_000)
    names = page.locator("tr[data-row] td:nth-child(2)").all_inner_texts()
    # The address is the search: another tab shows the same.
    other = pi.context.new_page()
    other.goto(page.url)
    other.locator("tr[data-row]").first.wait_for(timeout=PATIENCE_MS)
    assert other.locator("tr[data-row] td:nth-child(2)").all_inner_texts() == names
    other.close()
    page.get_by_label("Choose all rows of this page").check()
    with page.expect_download() as script:
        page.locator("[data-act=script]").click()
    text = Path(script.value.path()).read_text()
    compile(text, "goodman_download.py", "exec")
    assert live.url in text
    href = page.locator("a[data-act=archive]").get_attribute("href")
    assert href.count("id=") == len(names)
    check_access(page)
    check_narrow(page)


def test_a_place_on_the_sky_and_what_is_none(pi):
    page = pi.open("search", "ra=16:12:04&dec=-00:25:23&radius=3")
    row(page, "GRB260815").wait_for(timeout=PATIENCE_MS)
    objects = set(page.locator("tr[data-row] td:nth-child(5)").all_inner_texts())
    assert objects == {"GRB260815"}
    page.get_by_label("Declination", exact=True).fill("ninety")
    page.get_by_label("Declination", exact=True).press("Tab")
    page.locator(".gl-facets .gl-fault:visible").wait_for(timeout=30_000)


def test_the_pi_adds_and_removes_a_collaborator_who_only_reads(pi, browser, live):
    page = pi.open("proposals")
    page.locator(f"[data-proposal='{MINE}'] .gl-proposalhead").click()
    page.get_by_role("heading", name="Abstract").wait_for()
    pi.picture("proposals")
    page.locator("[data-act=collaborators]").click()
    page.get_by_label("E-mail of the new collaborator").fill("neighbour@demo.example")
    page.get_by_role("button", name="Add collaborator").click()
    row(page, "neighbour@demo.example").wait_for(timeout=60_000)
    assert "show=collaborators" in page.url
    pi.picture("collaborators")
    other = Reader(browser, live, "neighbour", "light")
    theirs = other.open("proposals", page.url.partition("?")[2])
    row(theirs, "neighbour@demo.example").wait_for(timeout=PATIENCE_MS)
    theirs.get_by_text("Only the PI, First Observer").wait_for()
    assert theirs.get_by_role("button", name="Remove").count() == 0
    assert theirs.get_by_role("button", name="Add collaborator").count() == 0
    theirs.locator("[data-section=settings]").click()
    theirs.get_by_label("Maximum number of targets", exact=True).wait_for(timeout=60_000)
    assert theirs.get_by_label("Maximum number of targets", exact=True).is_disabled()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Keep as it is").click()
    assert row(page, "neighbour@demo.example").is_visible()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    page.get_by_text("Nobody besides the PI").wait_for(timeout=60_000)
    theirs.reload()
    theirs.get_by_text("There is no such proposal among yours").wait_for(timeout=PATIENCE_MS)
    other.close()


def test_settings_say_what_a_change_would_do_and_refuse_nonsense(pi):
    page = pi.open("proposals")
    page.locator("[data-act=settings]").click()
    field = page.get_by_label("Maximum number of targets", exact=True)
    field.wait_for(timeout=60_000)
    field.fill("5")
    page.get_by_text("Maximum number of targets: 3 → 5.").wait_for(timeout=60_000)
    pi.picture("settings")
    page.get_by_role("button", name="Apply to new frames").click()
    page.get_by_text("Applied to new frames").wait_for(timeout=60_000)
    page.reload()
    field.wait_for(timeout=PATIENCE_MS)
    page.wait_for_function("document.querySelector('[name=max_targets]').value === '5'")
    field.fill("900")
    page.get_by_role("button", name="Apply to new frames").click()
    page.locator("[data-field=max_targets] .gl-fault:visible").wait_for()
    page.get_by_label("Set Maximum number of targets to its default").click()
    page.get_by_role("button", name="Apply to new frames").click()
    page.get_by_text("Applied to new frames").wait_for(timeout=60_000)
    check_access(page)


def test_the_night_at_a_glance(pi):
    page = pi.open("night")
    page.locator("[data-figure=hours] rect").first.wait_for(timeout=PATIENCE_MS)
    page.locator("[data-figure=bias] circle").first.wait_for(timeout=PATIENCE_MS)
    row(page, "master_bias").wait_for(timeout=PATIENCE_MS)
    assert page.locator("[data-figure] svg[aria-label]").count() >= 5
    check_access(page)
    pi.picture("night")
    check_narrow(page)


def test_the_account_keeps_its_looks_and_makes_a_token_once(pi, live):
    page = pi.open("account")
    page.get_by_label("Colour map").wait_for(timeout=PATIENCE_MS)
    page.locator("[data-field=proposals]", has_text=MINE).wait_for(timeout=60_000)
    pi.picture("account")
    page.get_by_label("Colour map").select_option("viridis")
    page.get_by_label("Theme", exact=True).select_option("light")
    page.get_by_role("button", name="Apply options").click()
    page.wait_for_function("document.documentElement.dataset.glTheme === 'light'", timeout=60_000)
    page.get_by_label("What it is for").fill(HOSTILE)
    page.get_by_role("button", name="Make token").click()
    secret = page.get_by_label("New token")
    secret.wait_for(timeout=60_000)
    token = secret.input_value()
    address = f"{live.api}/users/me/"
    headers = {"Authorization": f"Token {token}"}
    plain = pi.context.browser.new_context()
    assert plain.request.get(address, headers=headers).json()["username"] == "observer"
    # It speaks to the service and to nothing else.
    hub = f"{live.url}/hub/api/users/observer/tokens"
    assert plain.request.get(hub, headers=headers).status in {403, 404}
    page.reload()
    row(page, HOSTILE).wait_for(timeout=PATIENCE_MS)
    assert token not in page.content()
    assert page.evaluate("window.broken") is None
    row(page, HOSTILE).get_by_role("button", name="Revoke").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Revoke").click()
    row(page, HOSTILE).wait_for(state="detached", timeout=60_000)
    deadline = time.monotonic() + 60
    while plain.request.get(address, headers=headers).status == 200:
        assert time.monotonic() < deadline, "the revoked token still works"
        time.sleep(0.5)
    plain.close()
    # On the Data page too, and in another browser.
    page = pi.open_data()
    check_access(page)


def test_staff_make_a_user_and_the_proposal_form_follows(staff):
    page = staff.open("management")
    page.get_by_role("link", name="Management").wait_for()
    row(page, "observer@demo.example").wait_for(timeout=PATIENCE_MS)
    staff.picture("management")
    check_access(page)
    check_narrow(page)
    page.get_by_role("tab", name="Add user").click()
    page.get_by_label("Last name").wait_for(timeout=60_000)
    page.get_by_label("E-mail", exact=True).fill("observer@demo.example")
    page.get_by_role("button", name="Create user").click()
    page.locator("[data-field=email] .gl-fault:visible").wait_for(timeout=60_000)
    page.get_by_label("E-mail", exact=True).fill("newcomer@demo.example")
    page.get_by_label("Last name").fill("Newcomer")
    staff.picture("add-user")
    page.get_by_role("button", name="Create user").click()
    page.get_by_role("heading", name="Add new proposal").wait_for(timeout=60_000)
    page.wait_for_function(
        "document.querySelector('.gl-formcard [name=email]')?.value === 'newcomer@demo.example'"
    )
    proposed = page.get_by_label("SOAR ID", exact=True).input_value()
    assert proposed.startswith("SOAR20")
    page.get_by_label("Title", exact=True).fill("A new survey")
    staff.picture("add-proposal")
    page.get_by_role("button", name="Create proposal").click()
    row(page, "A new survey").wait_for(timeout=60_000)
    assert proposed in row(page, "A new survey").inner_text()


def test_staff_switch_an_account_off_and_on(staff, live, sign_in):
    page = staff.open("management")
    row(page, "newcomer@demo.example").wait_for(timeout=PATIENCE_MS)
    mine = row(page, "nightstaff@demo.example").get_by_role("button", name="Switch off")
    assert mine.get_attribute("aria-disabled") == "true"
    target = row(page, "newcomer@demo.example")
    target.get_by_role("button", name="Switch off").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Switch off").click()
    target.get_by_text("switched off").wait_for(timeout=60_000)
    target.get_by_role("button", name="Switch on").click()
    target.get_by_text("no password yet").wait_for(timeout=60_000)
    for name in ("Semesters", "Partners", "Frames without a proposal", "Letters", "Jobs"):
        page.get_by_role("tab", name=name, exact=True).click()
        page.locator(".gl-card .gl-title:visible").first.wait_for(timeout=60_000)
        check_access(page)


def test_management_is_for_staff_alone(pi):
    page = pi.open("management")
    page.get_by_text("This page is for staff").wait_for(timeout=PATIENCE_MS)
    assert page.get_by_role("tab").count() == 0


def test_logs_are_filtered_and_lead_to_frames(staff):
    page = staff.open("logs")
    line = row(page, "The account newcomer was made")
    line.wait_for(timeout=PATIENCE_MS)
    staff.picture("logs")
    page.get_by_label("Where").select_option("intake")
    line.wait_for(state="detached", timeout=60_000)
    page.wait_for_function("location.search.includes('source=intake')")
    check_access(page)
    check_narrow(page)
    page.locator("tr[data-row]", has_text="done").first.get_by_role("link", name="Frame").click()
    page.wait_for_url("**/data.ipynb?file=*")
