"""Fixtures of the tests that drive a browser, and what a failed one leaves to read.

============  ========  =====================================================================
fixture       scope     gives
============  ========  =====================================================================
``api``       module    ``api(path, **query)``: what the service answers the observer
``settled``   module    nothing; waits until the whole night has come and is reduced
============  ========  =====================================================================
"""

import re
import time

import httpx
import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from tests.browser.reader import PATIENCE_MS, Reader

ENDS = {"done", "kept", "failed"}
"""States of a raw frame of which nothing more is to be made."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Add to a failure what the pages showed, and what the system's own log says of it."""
    report = yield
    if report.failed:
        for name, given in getattr(item, "funcargs", {}).items():
            page = given.page if isinstance(given, Reader) else given
            if isinstance(page, Page) and not page.is_closed():
                report.sections.append((f"page of {name}", _what_is_shown(page)))
            elif name == "live":
                lines = given.root.with_name(f"{given.root.name}.out").read_text().splitlines()
                told = [
                    line
                    for line in lines
                    if re.search("warn|error|exception", line, re.IGNORECASE)
                ]
                report.sections.append(("log of the system", "\n".join(told[-30:])))
    return report


def _what_is_shown(page):
    try:
        return f"{page.url}\n{page.locator('body').inner_text(timeout=5_000)[:3000]}"
    except PlaywrightError as error:
        return f"{page.url}\nnot to be read: {error}"


@pytest.fixture(scope="module")
def api(live, sign_in):
    """Return ``api(path, **query)``: what the service answers the observer."""
    answer = sign_in("observer")
    token = answer.post(
        "/hub/api/users/observer/tokens",
        json={"note": "figures", "scopes": ["access:services!service=goodman"]},
        headers={"X-XSRFToken": answer.cookies.get("_xsrf", path="/hub/")},
    ).json()["token"]
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as client:
        yield lambda path, **query: client.get(f"{live.api}/{path}/", params=query).json()


@pytest.fixture(scope="module")
def settled(live, api):
    """Wait until the whole night has come and nothing is being made of it: counts hold still.

    An empty queue alone says little: on a busy machine it is empty for seconds between two looks
    at what became possible. Every frame has to be where it ends, with this night's calibrations.
    """
    every = len([*(live.root / "night" / "RAW").glob("*.fits")])
    quiet, deadline, unsettled = 0, time.monotonic() + PATIENCE_MS / 1000, ["all"]
    while quiet < 3:
        assert time.monotonic() < deadline, f"the night does not come to rest: {unsettled}"
        come = len([*(live.root / "raw").glob("*.fits")])
        queue = httpx.get(f"{live.api}/", trust_env=False, timeout=60).json()["queue"]
        unsettled = [
            (one["file_name"], one["state"], one["waits_for"])
            for one in api("files", data_type="0", page_size=500)["results"]
            if one["state"] not in ENDS or one["provisional"]
        ]
        quiet = quiet + 1 if come >= every and not queue and not unsettled else 0
        time.sleep(1)
