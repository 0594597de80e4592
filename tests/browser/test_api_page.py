"""The API's page in Chromium, signed in through the Hub: read, filtered, tried, changed."""

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def api_page(live, page):
    """Return the page, come to by its address as anybody would, and what it asked for."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live.api}/docs/")
    page.locator("#username_input").fill("nightstaff")
    page.locator("#password_input").fill(live.passwords["nightstaff"])
    page.locator("#login_submit").click()
    page.locator(".opblock").first.wait_for(timeout=60_000)
    return page, asked


def try_out(page, identifier):
    block = page.locator(f"[id$='-{identifier}']")
    block.locator(".opblock-summary").click()
    block.locator(".execute").wait_for()
    return block


def execute(block):
    block.locator(".execute").click()
    status = block.locator(".live-responses-table tbody .response-col_status").first
    status.wait_for()
    return status.inner_text().strip()


def test_a_list_is_tried_from_the_page(api_page, live):
    page, asked = api_page
    block = try_out(page, "api_files_list")
    assert execute(block).startswith("200")
    assert '"count"' in block.locator(".live-responses-table").inner_text()
    assert [url for url in asked if not url.startswith((live.url, "data:", "blob:"))] == []


def test_a_change_is_tried_from_the_page_with_the_cookie_alone(api_page, live, sign_in):
    page, _ = api_page
    block = try_out(page, "api_users_me_partial_update")
    block.locator("textarea.body-param__text").fill('{"partner": "Brazil"}')
    assert execute(block).startswith("200")
    assert "Brazil" in block.locator(".live-responses-table").inner_text()


def test_a_refusal_is_shown_with_its_reason(api_page):
    page, _ = api_page
    block = try_out(page, "api_files_read")
    block.locator("input[placeholder='id']").fill("999999999")
    assert execute(block).startswith("404")
    assert "not_found" in block.locator(".live-responses-table").inner_text()


def test_the_page_can_be_filtered_and_takes_a_token(api_page):
    page, _ = api_page
    page.locator(".operation-filter-input").fill("proposals")
    page.locator("#operations-tag-files").wait_for(state="detached")
    assert page.locator("#operations-tag-proposals").is_visible()
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").wait_for()
