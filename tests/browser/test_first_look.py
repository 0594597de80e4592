"""What the Data page shows before its kernel is up, and that it makes way for the page itself."""

import pytest

pytestmark = pytest.mark.browser

PATIENCE_MS = 180_000


def test_rows_and_picture_come_before_the_widgets_and_go_with_them(page, enter):
    enter(page, "observer")
    page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
    held = []
    page.route("**/voila/static/voila.js*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks it)
    page.reload(wait_until="commit")
    page.locator(".gl-early-picture").wait_for(timeout=PATIENCE_MS)
    names = page.locator(".gl-early-row").all_inner_texts()
    assert any("15-08-2026" in name for name in names), names
    assert page.locator(".gl-early-picture").evaluate("(picture) => picture.naturalWidth") > 500
    assert page.locator(".gl-row").count() == 0

    while not held:  # the preview may come before the page asks for its script
        page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    page.locator(".gl-row").first.wait_for(timeout=PATIENCE_MS)
    page.locator(".gl-early-row").first.wait_for(state="detached", timeout=10_000)
    assert page.locator(".gl-skeleton").count() == 0

    # An empty list too takes the preview away.
    page.unroute("**/voila/static/voila.js*")
    page.goto(f"{page.url.partition('?')[0]}?proposal=SOAR2099A-999")
    page.get_by_text("No frames yet").wait_for(timeout=PATIENCE_MS)
    page.locator(".gl-skeleton").wait_for(state="detached", timeout=10_000)
