"""The Dask dashboard through the service: staff see it, others do not, also not its streams."""

import asyncio
import json
import re

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

LIMIT_S = 180


def test_staff_see_the_pages_and_what_they_load(as_):
    staff = as_("staff")
    status = staff.get("api/").json()["dashboard"]
    assert status == "api/dask/"
    first = staff.get(status)
    assert first.status_code == 302
    assert first.headers["Location"].endswith("/api/dask/status")
    page = staff.get("api/dask/status")
    assert page.status_code == 200
    assert "text/html" in page.headers["Content-Type"]
    assert "Bokeh" in page.text
    assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    script = staff.get("api/dask/static/js/bokeh.min.js")
    assert script.status_code == 200
    assert "javascript" in script.headers["Content-Type"]
    assert staff.get("api/dask/info/main/workers.html").status_code == 200
    assert staff.get("api/dask/no-such-page").status_code == 404


@pytest.mark.parametrize("path", ["", "status", "individual-workers", "static/js/bokeh.min.js"])
def test_nobody_else_sees_any(as_, path):
    for name in ("pi", "mate", "stranger", "gone"):
        assert as_(name).get(f"api/dask/{path}").status_code == 403
    answer = as_().get(f"api/dask/{path}")
    assert answer.status_code in {302, 401}
    assert "Bokeh" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_but_reading(as_, method):
    answer = as_("super").request(method, "api/dask/status", json={})
    assert answer.status_code == 405


@pytest.mark.parametrize("path", ["../files/", "%2e%2e/files/", "status%0d%0aX:1", "a@127.0.0.1"])
def test_paths_do_not_lead_elsewhere(as_, path):
    assert as_("super").get(f"api/dask/{path}").status_code in {200, 404}
    assert "results" not in as_("super").get(f"api/dask/%2e%2e/{path}").text


async def connect(service, name, *, origin, token="none"):  # noqa: S107 (Bokeh's, not a secret)
    url = f"{service.url.replace('http', 'ws', 1)}api/dask/status/ws"
    headers = {"Authorization": f"Token token-of-{name}"}
    if origin:
        headers["Origin"] = origin
    request = HTTPRequest(url, headers=headers, request_timeout=LIMIT_S)
    return await websocket_connect(request, subprotocols=["bokeh", token])


async def until_closed(far):
    async with asyncio.timeout(LIMIT_S):
        while await far.read_message() is not None:
            pass
    far.close()  # our own end, whoever began


def own(service):
    return service.url.partition("/services/")[0]


async def test_the_plots_of_a_page_are_fed_for_staff(service, as_):
    page = as_("staff").get("api/dask/status").text
    token = re.search(r'"token":"([\w.=-]+)"', page)[1]
    far = await connect(service, "staff", origin=own(service), token=token)
    assert far.selected_subprotocol == "bokeh"
    told = await asyncio.wait_for(far.read_message(), LIMIT_S)
    assert json.loads(told)["msgtype"] == "ACK"
    far.close()
    await until_closed(far)


async def test_a_stream_without_a_page_is_ended_by_bokeh(service, world):
    far = await connect(service, "staff", origin=own(service))
    await until_closed(far)


@pytest.mark.parametrize(
    ("name", "origin"),
    [("pi", "own"), ("stranger", "own"), ("staff", "https://evil.example"), ("staff", "")],
)
async def test_a_stream_is_refused(service, world, name, origin):
    with pytest.raises(HTTPClientError) as told:
        await connect(service, name, origin=own(service) if origin == "own" else origin)
    assert told.value.code == 403
