"""The pages of those who run the service, in Chromium: as superuser, and as plain staff."""

import email
import os
import re
import time
from email.policy import default

import pytest

from tests.browser.reader import PATIENCE_MS, Reader, check_narrow, check_page, row

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror='window.broken=1'>"
GOOD = "a-long-w0rd-for-tests!"


def link_for(live, address):
    """Return the link of the letter to `address`."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        for path in (live.root / "mail").glob("*.eml"):
            letter = email.message_from_bytes(path.read_bytes(), policy=default)
            if letter["To"] == address:
                text = letter.get_body(("plain",)).get_content()
                return re.search(r"http\S+/hub/set-password\?token=\S+", text)[0]
        time.sleep(0.2)
    raise AssertionError(f"no letter to {address}")


@pytest.fixture(scope="module")
def staff(browser, live, settled):
    """A superuser, in the light."""
    reader = Reader(browser, live, "nightstaff", "light")
    yield reader
    reader.close()


def test_staff_make_a_user_and_the_proposal_form_follows(staff):
    page = staff.open("management")
    page.get_by_role("link", name="Management").wait_for()
    row(page, "observer@demo.example").wait_for(timeout=PATIENCE_MS)
    staff.picture("management")
    check_page(staff)
    check_narrow(page)
    page.get_by_role("tab", name="Add user").click()
    page.get_by_label("Last name").wait_for(timeout=60_000)
    page.get_by_label("E-mail", exact=True).fill("observer@demo.example")
    page.get_by_role("button", name="Create user").click()
    page.locator("[data-field=email] .gl-fault:visible").wait_for(timeout=60_000)
    page.get_by_label("E-mail", exact=True).fill("newcomer@demo.example")
    page.locator("[data-field=email] .gl-fault").wait_for(state="hidden")
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
    page.get_by_label("Abstract", exact=True).fill("Spectra of everything that moves.")
    staff.picture("add-proposal")
    page.get_by_label("Abstract", exact=True).fill(HOSTILE)
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
        check_page(staff)


def test_lists_are_added_to_renamed_and_thinned(staff):
    page = staff.open("management", "show=partners")
    page.get_by_label("Name", exact=True).fill("Universty of Nowhere")
    page.get_by_role("button", name="Add partner").click()
    row(page, "Universty of Nowhere").get_by_role("button", name="Edit").click()
    page.get_by_role("heading", name="Change Universty of Nowhere").wait_for(timeout=60_000)
    page.get_by_label("Name", exact=True).fill("University of Nowhere")
    page.get_by_role("button", name="Apply changes").click()
    row(page, "University of Nowhere").get_by_role("button", name="Remove").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    row(page, "University of Nowhere").wait_for(state="detached", timeout=60_000)
    page.get_by_role("tab", name="Semesters").click()
    page.get_by_role("heading", name="Add a semester").wait_for(timeout=60_000)
    page.get_by_label("Name", exact=True).fill("2031A")
    page.get_by_role("button", name="Add semester").click()
    row(page, "2031A").get_by_role("button", name="Edit").click()
    page.wait_for_function("document.activeElement.textContent === 'Change 2031A'")
    page.get_by_label("Name", exact=True).fill("2031-test")
    page.get_by_label("Last night").fill("2031-03-01")
    page.get_by_role("button", name="Apply changes").click()
    row(page, "2031-test").wait_for(timeout=60_000)
    assert "2031-03-01" in row(page, "2031-test").inner_text()


def test_the_dask_dashboard_opens_for_staff(staff):
    page = staff.open("management", "show=jobs")
    link = page.locator("a[data-act=dask]")
    link.wait_for(timeout=PATIENCE_MS)
    with staff.context.expect_page() as opened:
        link.click()
    opened.value.get_by_role("link", name="Workers").first.wait_for(timeout=PATIENCE_MS)
    opened.value.close()


@pytest.fixture(scope="module")
def plain(browser, live, staff):
    """Staff who are no superusers: made by one, with a password through the letter's link."""
    page = staff.open("management", "show=add-user")
    page.get_by_label("E-mail", exact=True).fill("duty@demo.example")
    page.get_by_label("Last name").fill("Duty")
    page.get_by_label("Staff", exact=True).check()
    page.get_by_role("button", name="Create user").click()
    page.get_by_role("heading", name="Add new proposal").wait_for(timeout=60_000)
    link = link_for(live, "duty@demo.example")
    context = browser.new_context()
    hers = context.new_page()
    hers.goto(link)
    hers.get_by_label("User name").fill("duty")
    hers.get_by_label("New password", exact=True).fill(GOOD)
    hers.get_by_label("New password again").fill(GOOD)
    hers.get_by_role("button", name="Set the password").click()
    hers.get_by_text("Your password is set").wait_for(timeout=60_000)
    context.close()
    live.passwords["duty"] = GOOD
    reader = Reader(browser, live, "duty", "dark")
    yield reader
    reader.close()


def test_plain_staff_see_every_proposal_and_the_whole_night(plain):
    page = plain.open("home")
    for name in ("SOAR2026B-001", "SOAR2026B-002", "A new survey"):
        row(page, name).wait_for(timeout=PATIENCE_MS)
    # What somebody wrote is text.
    assert HOSTILE in row(page, "A new survey").inner_text()
    check_page(plain)
    page.get_by_role("link", name="Night", exact=True).click()
    page.locator("[data-figure=hours] rect").first.wait_for(timeout=PATIENCE_MS)
    # The 26 that the PI of one proposal sees, and the other proposals' too.
    every = re.compile(r"^(2[89]|[3-9]\d)\s*raw frames")
    page.locator(".gl-tile", has_text=every).wait_for(timeout=PATIENCE_MS)


def test_plain_staff_change_what_is_a_pis_and_nobodys_rights(plain):
    page = plain.open("management")
    above = row(page, "nightstaff@demo.example")
    above.wait_for(timeout=PATIENCE_MS)
    for name in ("Edit", "Switch off"):
        button = above.get_by_role("button", name=name)
        assert button.get_attribute("aria-disabled") == "true"
        assert button.get_attribute("title") == "Staff accounts are changed by superusers."
    row(page, "observer@demo.example").get_by_role("button", name="Edit").click()
    page.get_by_text("Only superusers make or unmake staff.").wait_for(timeout=60_000)
    assert page.locator(".gl-formcard [name=is_staff]").count() == 0
    page = plain.open("proposals")
    theirs = page.locator("[data-proposal='SOAR2026B-001']")
    theirs.locator("[data-act=settings]").click()
    field = page.get_by_label("Maximum number of targets", exact=True)
    field.wait_for(timeout=60_000)
    assert field.is_enabled()


def test_the_night_tells_of_a_file_that_was_not_taken_and_why(staff, live):
    name = "0997_cut_short_before_its_end.fits"
    path = live.root / name
    path.write_bytes(min((live.root / "night" / "RAW").glob("*.fits")).read_bytes()[:20_000])
    # It has not been written to for long: nothing more of it is waited for.
    os.utime(path, (time.time() - 3600,) * 2)
    path.rename(live.root / "raw" / name)
    page = staff.open("night")
    tile = page.locator("a.gl-tile", has_text="not taken, last 24 hours")
    tile.wait_for(timeout=PATIENCE_MS)
    check_page(staff)
    tile.click()
    page.wait_for_url("**/logs.ipynb?*", timeout=PATIENCE_MS)
    row(page, name).wait_for(timeout=PATIENCE_MS)
    assert "truncated: 20000 of" in row(page, name).inner_text()
    levels = page.locator(".gl-page table").first.locator("tr[data-row] td:nth-child(2)")
    assert set(levels.all_inner_texts()) == {"warning"}


def test_logs_are_filtered_and_lead_to_frames(staff):
    # By its words: a night of jobs may have been logged since, and the newest come first.
    page = staff.open("logs", "search=account+newcomer")
    line = row(page, "The account newcomer was made")
    line.wait_for(timeout=PATIENCE_MS)
    page = staff.open("logs")
    row(page, "").wait_for(timeout=PATIENCE_MS)
    staff.picture("logs")
    page.get_by_label("Where").select_option("accounts")
    # The address follows the rows.
    page.wait_for_function("location.search.includes('source=accounts')", timeout=60_000)
    lines = page.evaluate(
        "[...document.querySelector('.gl-page table').querySelectorAll('tr[data-row]')]"
        ".map((line) => [...line.cells].map((cell) => cell.textContent))"
    )
    assert any("The account newcomer was made" in line[4] for line in lines), lines
    assert {tuple(line[1:3]) for line in lines} == {("info", "accounts")}
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", line[0]) for line in lines)
    assert [line[0] for line in lines] == sorted((line[0] for line in lines), reverse=True)
    check_page(staff)
    check_narrow(page)
    page.locator("tr[data-row]", has_text="done").first.get_by_role("link", name="Frame").click()
    page.wait_for_url("**/data.ipynb?file=*")
