"""The Hub's own routes: what somebody without rights can do with them, by cookie and by token."""

import httpx
import pytest

from goodman_live.hub.accounts.users import create_user

GOOD = "tin-lamp!ridge"
ME = "routes-mallory"
REFUSED = {400, 401, 403, 404, 405}


@pytest.fixture(scope="module")
def mallory(live, sign_in):
    """Sign in somebody who has no rights at all."""
    with live.sessions()() as session:
        create_user(session, username=ME, email=f"{ME}@x.example", password=GOOD)
    client = sign_in(ME, GOOD)
    assert client.get("/hub/home").status_code == 200
    client.headers["X-XSRFToken"] = client.cookies.get("_xsrf", path="/hub/")
    return client


@pytest.fixture(scope="module")
def ways(live, mallory):
    """Return the ways in which she may come: with her cookies, and with her token alone."""
    made = mallory.post(f"/hub/api/users/{ME}/tokens", json={"note": "mine"}).json()["token"]
    headers = {"Authorization": f"token {made}"}
    with httpx.Client(base_url=live.url, headers=headers, trust_env=False, timeout=60) as token:
        yield mallory, token


ATTEMPTS = [
    ("GET", "users", None),
    ("GET", "users/neighbour", None),
    ("GET", "users/neighbour/tokens", None),
    ("GET", "users/neighbour/shared", None),
    ("GET", "groups", None),
    ("GET", "groups/staff", None),
    ("GET", "services/goodman", None),
    ("GET", "shares/neighbour", None),
    ("GET", "proxy", None),
    ("GET", "authorizations/token/x", None),
    ("GET", "authorizations/cookie/jupyterhub-hub-login/x", None),
    ("POST", "authorizations/token", {"username": "neighbour", "password": "x"}),
    ("POST", "shutdown", {}),
    ("POST", "proxy", {}),
    ("POST", "users", {"usernames": ["made-by-mallory"], "admin": True}),
    ("POST", "users/made-by-mallory", {}),
    ("POST", "users/neighbour/server", {}),
    ("POST", "users/neighbour/tokens", {}),
    ("POST", f"users/{ME}/servers/second", {}),
    ("POST", "groups/mine", {}),
    ("POST", "groups/staff/users", {"users": [ME]}),
    ("POST", f"shares/{ME}/", {"user": "neighbour"}),
    ("POST", f"share-codes/{ME}/", {}),
    ("POST", "users/neighbour/activity", {"last_activity": "2026-01-01T00:00:00Z"}),
    ("PUT", "groups/staff/properties", {"a": "b"}),
    ("PATCH", f"users/{ME}", {"admin": True}),
    ("PATCH", f"users/{ME}", {"name": "neighbour"}),
    ("PATCH", "proxy", {"ip": "192.0.2.1", "port": 80}),
    ("DELETE", "users/neighbour", None),
    ("DELETE", "users/neighbour/server", None),
    ("DELETE", "groups/staff", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ATTEMPTS)
def test_the_hubs_api_does_nothing_for_who_has_no_rights(ways, method, path, body):
    for client in ways:
        answer = client.request(method, f"/hub/api/{path}", json=body)
        assert answer.status_code in REFUSED, answer.text


def test_what_the_hubs_api_tells_of_oneself_is_oneself(mallory):
    told = mallory.get("/hub/api/user").json()
    assert told["name"] == ME
    assert told["admin"] is False
    assert told["groups"] == []
    other = {scope for scope in told["scopes"] if not scope.endswith(f"!user={ME}")}
    assert other == {"access:services!service=goodman"}


@pytest.mark.parametrize("page", ["admin", "metrics", "spawn/neighbour", "accept-share?code=x"])
def test_pages_of_the_hub_that_are_not_hers(ways, page):
    for client in ways:
        answer = client.get(f"/hub/{page}")
        assert answer.status_code in REFUSED | {302}, answer.text
        if answer.status_code == 302:
            assert "/hub/login" in answer.headers["location"]


ELSEWHERE = [
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=lambda one: "-".join(one.values()))
def test_another_page_signs_nobody_out(mallory, headers):
    answer = mallory.get("/hub/logout", headers=headers)
    assert answer.status_code == 200
    assert "Sign out?" in answer.text
    assert mallory.get("/hub/home").status_code == 200
    with httpx.Client(
        base_url=mallory.base_url, cookies=mallory.cookies, trust_env=False, timeout=60
    ) as forger:
        assert forger.post("/hub/logout", data={"_xsrf": "made-up"}).status_code == 403
    assert mallory.get("/hub/home").status_code == 200


def test_who_is_asked_and_says_yes_is_signed_out(live, sign_in):
    with live.sessions()() as session:
        create_user(session, username="routes-leaver", email="rl@x.example", password=GOOD)
    client = sign_in("routes-leaver", GOOD)
    client.get("/hub/logout", headers=ELSEWHERE[0])
    form = {"_xsrf": client.cookies.get("_xsrf", path="/hub/")}
    answer = client.post("/hub/logout", data=form, headers=ELSEWHERE[3])
    assert "You are signed out" in answer.text
    assert client.get("/hub/home").status_code == 302
