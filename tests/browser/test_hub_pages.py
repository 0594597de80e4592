"""The Hub's pages: the product's look in both themes, by keyboard, with words for a reader."""

import httpx
import pytest

from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.users import create_user
from tests.browser.accessibility import faults

pytestmark = pytest.mark.browser


def test_sign_in_by_keyboard_alone_and_a_wrong_password_is_said(live, page):
    page.goto(live.url)
    assert page.title() == "Sign in · Goodman Live"
    assert page.evaluate("document.activeElement.id") == "username_input"
    page.keyboard.type("observer")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    problem = page.get_by_role("alert")
    problem.wait_for()
    assert "Invalid username or password" in problem.inner_text()
    assert page.locator("#username_input").input_value() == "observer"


def test_the_theme_is_chosen_once_for_all_pages(browser, live):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(live.url)
    theme = "document.documentElement.getAttribute('data-bs-theme')"
    assert page.evaluate(theme) == "dark"
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(theme) == "light"
    page.get_by_role("button", name="Light").wait_for()
    page.reload()
    assert page.evaluate(theme) == "light"
    assert page.evaluate("localStorage.getItem('goodman-theme')") == "light"
    context.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_stands_out_from_its_background(browser, live, scheme):
    """Contrast of at least 4.5, as WCAG AA asks for."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(live.url)
    ratios = page.evaluate(
        """() => {
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
          return ["h1", "label", "#login_submit", ".g-quiet", ".g-brand", ".g-foot span"].map(
            (s) => {
            const el = document.querySelector(s);
            const [a, b] = [light(getComputedStyle(el).color), light(behind(el))].sort().reverse();
            return [s, (a + 0.05) / (b + 0.05)];
          });
        }"""
    )
    assert all(ratio >= 4.5 for _, ratio in ratios), ratios
    context.close()


def test_nothing_is_asked_of_another_host(browser, live):
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(live.url)
    page.wait_for_load_state("networkidle")
    assert asked
    assert [url for url in asked if not url.startswith((live.url, "data:"))] == []
    context.close()


def sign_in_on(page, live, name="observer"):
    page.goto(f"{live.url}/hub/login?next=%2Fhub%2Ftoken")
    page.get_by_label("User name or e-mail").fill(name)
    page.get_by_label("Password").fill(live.passwords[name])
    page.keyboard.press("Enter")
    page.wait_for_url("**/hub/token")
    page.locator("#request-token-form button:enabled").wait_for()


def make_a_token(page):
    page.get_by_label("Name", exact=True).fill("night log")
    page.get_by_role("button", name="Make the token").click()
    page.get_by_role("heading", name="Your new token").wait_for()


@pytest.fixture(scope="module")
def invitation(live):
    """Return the address of a one-time link that works."""
    with live.sessions()() as session:
        user = create_user(session, username="latecomer", email="latecomer@example.org")
        token = links.issue(session, user, links.Purpose.INVITATION)
    return f"{live.url}/hub/set-password?token={token}"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_pages_without_a_session_hold_nothing_that_a_reader_stumbles_over(
    browser, live, invitation, scheme
):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    found = {}
    page.goto(live.url)
    found["sign in"] = faults(page)
    page.get_by_label("User name or e-mail").fill("nobody-here")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    found["wrong password"] = faults(page)
    for path in ("forgot-password", "set-password?token=x", "logout", "no-such-page"):
        page.goto(f"{live.url}/hub/{path}")
        found[path] = faults(page)
    page.goto(invitation)
    found["invitation"] = faults(page)
    page.get_by_label("New password", exact=True).fill("12345")
    page.get_by_label("New password again").fill("12345")
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("alert").wait_for()
    found["weak password"] = faults(page)
    context.close()
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_pages_of_who_is_signed_in_hold_nothing_that_a_reader_stumbles_over(browser, live, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    sign_in_on(page, live)
    found = {"tokens": faults(page)}
    make_a_token(page)
    found["a new token"] = faults(page)
    for path in ("token", "change-password", "no-such-page", "home"):
        page.goto(f"{live.url}/hub/{path}")
        found[f"{path}, signed in"] = faults(page)
    context.close()
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_bar_leads_to_the_pages_and_the_foot_to_who_helps(live, page):
    page.goto(live.url)
    assert page.locator(".g-foot a").inner_text() == "support@observatory.example"
    sign_in_on(page, live)
    bar = page.get_by_role("navigation", name="Pages")
    for name in ("Data", "Search", "Proposals", "Night", "Logs", "API Docs"):
        assert bar.get_by_role("link", name=name, exact=True).is_visible()
    bar.get_by_role("link", name="Proposals").click()
    page.wait_for_url("**/user/observer/voila/render/pages/proposals.ipynb*", timeout=300_000)
    page.locator("[data-proposal]").first.wait_for(timeout=300_000)


def test_a_token_is_made_used_seen_and_revoked_by_keyboard(live, page):
    sign_in_on(page, live, "neighbour")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your new token").wait_for()
    page.wait_for_function("document.activeElement.id === 'token-area'")
    token = page.locator("#token-result").inner_text()
    headers = {"Authorization": f"Token {token}"}
    me = httpx.get(f"{live.api}/users/me/", headers=headers, trust_env=False, timeout=60)
    assert me.json()["username"] == "neighbour"
    page.reload()
    row = page.get_by_role("row").filter(has_text="by keyboard")
    assert "the API" in row.inner_text()
    assert token not in page.content()
    row.locator("button:enabled").focus()
    page.keyboard.press("Enter")
    row.wait_for(state="detached")
    again = httpx.get(f"{live.api}/jobs/", headers=headers, trust_env=False, timeout=60)
    for _ in range(100):
        if again.status_code == 401:
            break
        page.wait_for_timeout(200)
        again = httpx.get(f"{live.api}/jobs/", headers=headers, trust_env=False, timeout=60)
    assert again.status_code == 401
