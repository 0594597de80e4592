"""The pages beside Data, in Chromium through the Hub: each one's story, as observer and as PI."""

import time
from pathlib import Path

import pytest

from tests.browser.reader import PATIENCE_MS, Reader, check_narrow, check_page, row

pytestmark = pytest.mark.browser

MINE = "SOAR2026B-001"
HOSTILE = "<img src=x onerror='window.broken=1'>"
SORTED = """() => {
  const names = [...document.querySelectorAll("tr[data-row] td:nth-child(2)")]
    .map((cell) => cell.textContent);
  return names.length > 1 && names.every((name, i) => !i || names[i - 1] >= name); }"""


@pytest.fixture(scope="module")
def pi(browser, live, settled):
    """The PI of a proposal, in the dark."""
    reader = Reader(browser, live, "observer", "dark")
    yield reader
    reader.close()


def test_home_lists_the_readers_proposals_and_leads_to_their_data(pi):
    page = pi.open("home")
    mine = row(page, MINE)
    mine.wait_for(timeout=PATIENCE_MS)
    assert "First Observer" in mine.inner_text()
    assert page.locator("tr[data-row]").count() == 1
    assert page.locator("#gl-name").inner_text() == "First Observer"
    assert not page.get_by_role("link", name="Management").is_visible()
    pi.picture("home")
    # From the top, the keyboard goes past the bar into the content.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('.gl-page'))")
    check_page(pi)
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
        "(n) => document.querySelector('.gl-titleline .gl-count')?.textContent === n", arg=count
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
    check_page(pi)
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
    check_page(pi)
    page.locator("[data-act=collaborators]").click()
    page.get_by_label("E-mail of the new collaborator").fill("neighbour@demo.example")
    page.get_by_role("button", name="Add collaborator").click()
    row(page, "neighbour@demo.example").wait_for(timeout=60_000)
    assert "show=collaborators" in page.url
    pi.picture("collaborators")
    check_page(pi)
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
    # A search that was sent to them opens as what they may see of it.
    theirs = other.open("search", f"proposal_id={MINE}")
    theirs.get_by_text("No file that you may see fits these filters").wait_for(timeout=PATIENCE_MS)
    theirs.get_by_role("checkbox", name=MINE).wait_for()
    assert theirs.get_by_role("checkbox", name=MINE).is_checked()
    assert theirs.locator("tr[data-row]").count() == 0
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
    page.wait_for_function("document.querySelector('[name=max_targets]')?.value === '5'")
    field.fill("900")
    page.get_by_role("button", name="Apply to new frames").click()
    page.locator("[data-field=max_targets] .gl-fault:visible").wait_for()
    page.get_by_label("Set Maximum number of targets to its default").click()
    page.get_by_role("button", name="Apply to new frames").click()
    page.get_by_text("Applied to new frames").wait_for(timeout=60_000)
    check_page(pi)


def test_the_night_at_a_glance(pi):
    page = pi.open("night")
    page.locator("[data-figure=hours] rect").first.wait_for(timeout=PATIENCE_MS)
    page.locator("[data-figure=bias] circle").first.wait_for(timeout=PATIENCE_MS)
    row(page, "master_bias").wait_for(timeout=PATIENCE_MS)
    assert page.locator("[data-figure] svg[aria-label]").count() >= 5
    check_page(pi)
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
    check_page(pi)


def test_the_account_keeps_the_name_and_the_letters(pi):
    page = pi.open("account")
    letters = page.get_by_label("New products", exact=True)
    page.wait_for_function("document.querySelector('[name=last_name]')?.value === 'Observer'")
    before = letters.is_checked()

    def apply(last_name, *, wanted):
        page.get_by_label("Last name").fill(last_name)
        page.get_by_role("button", name="Apply changes").click()
        page.locator("#gl-name", has_text=f"First {last_name}").wait_for(timeout=60_000)
        letters.set_checked(wanted)
        page.get_by_role("button", name="Apply notifications").click()
        page.get_by_text("You get the letters that are ticked.").wait_for(timeout=60_000)
        page.reload()
        page.locator("#gl-name", has_text=f"First {last_name}").wait_for(timeout=PATIENCE_MS)
        page.wait_for_function(
            "(name) => document.querySelector('[name=last_name]')?.value === name", arg=last_name
        )
        assert letters.is_checked() is wanted

    try:
        apply("Obsérver 観測者", wanted=not before)
    finally:
        apply("Observer", wanted=before)
    page.get_by_role("link", name="Change password").click()
    page.get_by_role("heading", name="Change your password").wait_for(timeout=60_000)


def test_management_is_for_staff_alone(pi):
    page = pi.open("management")
    page.get_by_text("This page is for staff").wait_for(timeout=PATIENCE_MS)
    assert page.get_by_role("tab").count() == 0
