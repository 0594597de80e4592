"""The Hub's pages: the product's look in both themes, by keyboard, with words for a reader."""

import pytest

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
