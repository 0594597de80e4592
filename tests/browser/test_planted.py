"""Markup that stands in every string from outside is text on every page, for staff and the PI.

In header cards, OBJECT, file names, a comment, title and abstract, names and e-mail of a person,
the name of a token, a line of the log, a refused file and a personal notebook's name.
"""

import json
import time
from urllib.parse import quote

import httpx
import pytest

from goodman_live.hub.accounts.proposals import create_proposal
from goodman_live.hub.accounts.users import create_user
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.server_extension.catalogue.activity import LogEntry
from tests.browser.site import GOOD, PATIENCE_MS, running, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SOAR_ID = "SOAR2026B-021"
PLANTED = '"><img src=x onerror=window.broken=1>{{7*7}}'
NOTEBOOK = json.dumps(
    {
        "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "Of my own."}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": PLANTED}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)
SHOWN = """text => document.body.innerText.includes(text) ||
  [...document.querySelectorAll("input, textarea, option, [title], [aria-label]")].some((el) =>
    [el.value, el.title, el.ariaLabel, el.textContent].some((said) => said?.includes(text)))"""
MADE = "img[src='x'], img[src$='/x'], [onerror]"
"""What would be on a page if the markup were taken for such."""


def plant(site, session):
    create_user(session, username="guard", email="g@example.org", password=GOOD, is_staff=True)
    author = create_user(session, username="author", email="a@example.org", password=GOOD)
    author.first_name = author.last_name = author.partner = PLANTED
    author.email = f"{PLANTED}@example.org"
    hostile = create_proposal(session, soar_id=SOAR_ID, pi=author)
    hostile.title = hostile.abstract = PLANTED
    session.add(LogEntry(level="error", source="intake", message=PLANTED))
    session.commit()
    raw = site.root / "raw"
    raw.mkdir()
    # A true frame, by the way that frames come.
    frame = frames.bias(setup(), seed=1)
    for card in ("OBJECT", "OBSERVER", "FILTER"):
        frame.header[card] = PLANTED
    frame.header["COMMENT"] = PLANTED
    frame.header["PROPID"] = SOAR_ID
    frame.write(raw / f"0001_{PLANTED}.fits")
    (raw / f"{PLANTED}-broken.fits").write_bytes(b"no frame")
    home = site.root / "home" / "guard"
    home.mkdir(parents=True)
    (home / f"{PLANTED}.ipynb").write_text(NOTEBOOK)


class Asked:
    """The API and the Hub, asked as somebody who signed in."""

    def __init__(self, site, name):
        self.name = name
        # Used as a context, it is closed whatever happens before.
        self.http = httpx.Client(
            base_url=site.hub, trust_env=False, timeout=120, follow_redirects=True
        )

    def enter(self):
        self.http.get("/hub/login")
        form = {"username": self.name, "password": GOOD, "_xsrf": self.proof("/hub/")}
        assert self.http.post("/hub/login", data=form, follow_redirects=False).is_redirect
        self.http.get("/services/goodman/api/docs/").raise_for_status()

    def proof(self, path):
        return self.http.cookies.get("_xsrf", path=path)

    def api(self, method, path, **words):
        headers = {"X-XSRFToken": self.proof("/services/goodman/")}
        url = f"/services/goodman/api/{path}"
        answer = self.http.request(method, url, headers=headers, **words)
        assert answer.is_success, answer.text
        return answer.json()

    def token(self):
        """Make a token with markup for a name."""
        answer = self.http.post(
            f"/hub/api/users/{self.name}/tokens",
            json={"note": PLANTED},
            headers={"X-XSRFToken": self.proof("/hub/"), "Referer": f"{self.http.base_url}/hub/"},
        )
        assert answer.is_success, answer.text


@pytest.fixture(scope="module")
def site(project):
    with running(project, plant) as made:
        yield made


@pytest.fixture(scope="module")
def frame(site):
    """Wait until the frame has come; comment on it; return its number."""
    staff, author = Asked(site, "guard"), Asked(site, "author")
    with staff.http, author.http:
        for one in (staff, author):
            one.enter()
            one.token()
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not (found := staff.api("GET", "files/", params={"data_type": 0})["results"]):
            assert time.monotonic() < deadline, site.log[-3000:]
            time.sleep(0.3)
        [one] = found
        assert (one["object"], one["proposal_id"]) == (PLANTED, SOAR_ID)
        staff.api("POST", "files/comments/", json={"id": one["id"], "text": PLANTED})
        return one["id"]


@pytest.fixture(scope="module", params=["guard", "author"])
def reader(request, browser, site, frame):
    assert frame
    with signed_in(browser, site, request.param) as page:
        page.asked = []
        page.on("request", lambda asked: page.asked.append(asked.url))
        page.reader = request.param
        yield page


def check(page):
    page.wait_for_function(SHOWN, arg=PLANTED, timeout=PATIENCE_MS)
    assert page.locator(MADE).count() == 0
    assert page.evaluate("window.broken") is None
    assert [url for url in page.asked if url.endswith("/x")] == []


@pytest.mark.parametrize(
    "notebook", ["home", "data", "advanced", "search", "proposals", "night", "logs", "account"]
)
def test_it_is_text_on_every_page(site, frame, reader, notebook):
    address = f"{site.server(reader.reader)}voila/render/pages/{notebook}.ipynb"
    chosen = {
        "data": f"?file={frame}",
        "advanced": f"?file={frame}",
        "proposals": f"?id={SOAR_ID}",
    }
    reader.goto(address + chosen.get(notebook, ""))
    check(reader)


def test_it_is_text_where_staff_manage_people(site, reader):
    if reader.reader != "guard":
        pytest.skip("for staff")
    reader.goto(f"{site.server('guard')}voila/render/pages/management.ipynb")
    check(reader)


def test_it_is_text_on_the_hubs_own_pages(site, reader):
    reader.goto(f"{site.hub}/hub/token")
    check(reader)
    for page in (f"login?username={quote(PLANTED)}", f"no/{quote(PLANTED)}", "home"):
        reader.goto(f"{site.hub}/hub/{page}")
        assert reader.locator(MADE).count() == 0
        assert reader.evaluate("window.broken") is None


def test_a_notebook_of_ones_own_may_have_any_name(site, reader):
    if reader.reader != "guard":
        pytest.skip("it is the guard's")
    reader.goto(f"{site.server('guard')}voila/render/{quote(PLANTED)}.ipynb")
    reader.get_by_text("Of my own.").wait_for(timeout=PATIENCE_MS)
    assert reader.locator(MADE).count() == 0
    assert reader.evaluate("window.broken") is None
