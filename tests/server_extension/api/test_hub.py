"""The service under a real Hub, behind its real proxy, with real tokens and cookies."""

import json
import time

import httpx
import pytest
import requests

ACCESS = "access:services!service=goodman"


def ask(url, **more):
    return httpx.get(url, timeout=60, trust_env=False, **more)


def mint(client, name, **wish):
    answer = client.post(
        f"/hub/api/users/{name}/tokens",
        json={"note": "test", "scopes": [ACCESS], **wish},
        headers={"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def tokens(sign_in):
    """Return tokens of the observer and of staff."""
    return {name: mint(sign_in(name), name)["token"] for name in ("observer", "nightstaff")}


@pytest.fixture
def browser_like(live, sign_in):
    """Return a client that went through the Hub's OAuth, as a browser does."""
    client = sign_in("observer")
    page = client.get(f"{live.api}/docs/", follow_redirects=True)
    assert page.status_code == 200, page.text
    return client


def test_a_token_passes_the_proxy_and_is_known(live, tokens):
    headers = {"Authorization": f"Token {tokens['observer']}"}
    me = ask(f"{live.api}/users/me/", headers=headers).json()
    assert me["username"] == "observer"


def test_a_token_is_for_this_service_and_for_nothing_else(live, sign_in):
    client = sign_in("observer")
    answer = client.post(
        "/hub/api/users/observer/tokens",
        json={"note": "test", "scopes": ["read:users:name!user"]},
        headers={"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")},
    )
    assert answer.status_code == 400, answer.text
    assert ACCESS in answer.json()["message"]


def test_a_deleted_token_is_out_within_seconds(live, sign_in):
    client = sign_in("observer")
    made = mint(client, "observer")
    headers = {"Authorization": f"Token {made['token']}"}
    assert ask(f"{live.api}/files/", headers=headers).status_code == 200
    client.delete(
        f"/hub/api/users/observer/tokens/{made['id']}",
        headers={"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")},
    )
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        status = ask(f"{live.api}/files/", headers=headers).status_code
        if status == 401:
            return
        time.sleep(0.5)
    pytest.fail(f"still {status} after 15 s")


def test_the_list_of_raw_files_as_the_manual_prints_it(live, tokens):
    api_key = tokens["nightstaff"]
    headers = {"Authorization": f"Token {api_key}", "Content-Type": "application/json"}
    parameters = {"data_type": "0"}
    response = requests.get(
        url=f"{live.api}/files/", params=parameters, headers=headers, timeout=60
    )
    assert response.status_code == 200
    json_response = response.json()
    assert list(json_response) == ["count", "next", "previous", "results"]
    assert all(row["data_type"] == "0" for row in json_response["results"])


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_collaborator_is_added_as_the_manual_prints_it(live, tokens, method):
    api_key = tokens["nightstaff"]
    headers = {"Authorization": f"Token {api_key}", "Content-Type": "application/json"}
    proposals = requests.get(url=f"{live.api}/proposals/", headers=headers, timeout=60).json()[
        "results"
    ]
    number = next(row["id"] for row in proposals if row["soar_id"] == "SOAR2026B-001")
    payload = {"email": f"user-{method}@server.net", "action": "add"}
    response = getattr(requests, method)(
        url=f"{live.api}/proposals/collaborators/{number}/",
        data=payload,
        headers=headers,
        timeout=60,
    )
    assert response.status_code == 200, response.text
    proposal = response.json()
    fields = ["id", "soar_id", "semester", "title", "abstract", "user", "collaborators"]
    assert list(proposal)[: len(fields)] == fields
    added = next(u for u in proposal["collaborators"] if u["email"] == payload["email"])
    assert list(added) == [
        "id",
        "username",
        "last_login",
        "first_name",
        "last_name",
        "email",
        "is_staff",
        "is_active",
        "date_joined",
    ]
    assert added["last_login"] is None
    assert added["is_active"] is True
    assert added["is_staff"] is False


def test_a_cookie_opens_pages_and_not_changes(live, browser_like):
    assert browser_like.get(f"{live.api}/files/").status_code == 200
    refused = browser_like.post(f"{live.api}/files/comments/", json={"id": 1, "text": "x"})
    assert refused.status_code == 403
    assert "X-XSRFToken" in refused.json()["message"]


def test_a_cookie_with_the_proof_may_change(live, browser_like):
    xsrf = browser_like.cookies.get("_xsrf", path="/services/goodman/")
    headers = {"X-XSRFToken": xsrf}
    body = {"partner": "Chile"}
    answer = browser_like.patch(f"{live.api}/users/me/", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["partner"] == "Chile"


def test_a_script_of_another_page_cannot_read_with_the_cookie(live, browser_like):
    fetch = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site"}
    assert browser_like.get(f"{live.api}/files/", headers=fetch).status_code == 403
    xsrf = browser_like.cookies.get("_xsrf", path="/services/goodman/")
    own = {**fetch, "X-XSRFToken": xsrf}
    assert browser_like.get(f"{live.api}/files/", headers=own).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://user.{host}", "null"])
def test_another_origin_gets_nothing_with_the_cookie_nor_with_its_proof(
    live, browser_like, origin
):
    own = live.url.removeprefix("http://")
    xsrf = browser_like.cookies.get("_xsrf", path="/services/goodman/")
    foreign = {"Origin": origin.format(host=own), "X-XSRFToken": xsrf}
    for method, path in (("GET", "files/"), ("PATCH", "users/me/")):
        body = {"partner": "Brazil"} if method == "PATCH" else None
        refused = browser_like.request(method, f"{live.api}/{path}", json=body, headers=foreign)
        assert refused.status_code == 403, refused.text
        assert "access-control-allow-origin" not in refused.headers
    same = {"Origin": live.url, "X-XSRFToken": xsrf}
    me = browser_like.get(f"{live.api}/users/me/", headers=same)
    assert me.status_code == 200
    assert me.json()["partner"] != "Brazil"


def test_a_get_that_changes_something_is_not_taken_from_a_cookie(live, browser_like):
    answer = browser_like.request(
        "GET",
        f"{live.api}/proposals/collaborators/1/",
        json={"email": "mallory@server.net", "action": "add"},
    )
    assert answer.status_code == 403


def test_an_event_stream_proves_itself_in_the_address(live, browser_like):
    xsrf = browser_like.cookies.get("_xsrf", path="/services/goodman/")
    source = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    url = f"{live.api}/events/"
    assert browser_like.get(url, headers=source, params={"since": -1}).status_code == 403
    params = {"since": -1, "_xsrf": xsrf}
    assert browser_like.get(url, headers=source, params=params).status_code == 200


def test_events_pass_the_proxy_as_they_happen(live, tokens):
    headers = {"Authorization": f"Token {tokens['observer']}", "Last-Event-ID": "0"}
    first = {}
    with httpx.stream("GET", f"{live.api}/events/", headers=headers, timeout=120) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            first.setdefault(name, value)
            if "data" in first:
                break
    event = json.loads(first["data"])
    assert event["id"] == int(first["id"])
    assert event["kind"] == first["event"]
    assert event["proposal_id"] in {"SOAR2026B-001", "calibrate"}
