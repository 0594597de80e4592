"""What a sign-out, another password or a switched-off account ends: all that was held open."""

import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import websocket

from goodman_live.hub.accounts.users import create_user, find_user, switch_off

GOOD, OTHER = "tin-lamp!ridge", "another-tin!owl"
PATIENCE = 90


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.fixture(scope="module")
def at_home(live, sign_in):
    """Return a function that signs a new person in and waits for their own server."""

    def make(name):
        with live.sessions()() as session:
            create_user(session, username=name, email=f"{name}@end.example", password=GOOD)
        client = sign_in(name, GOOD)
        open_server(client, name)
        client.get("/services/goodman/api/docs/", follow_redirects=True)  # and to the service
        return client

    return make


def open_server(client, name):
    client.get("/hub/spawn", follow_redirects=True)
    own = f"/user/{name}/goodman/preview"

    def is_up():
        answer = client.get(own, follow_redirects=True)  # else the page on which one waits
        return answer.is_success and "json" in answer.headers["content-type"]

    assert wait_until(is_up), name


def copy_of(client, base_url):
    """Return a client with a copy of the cookies, as somebody who stole them has."""
    thief = httpx.Client(base_url=base_url, trust_env=False, timeout=60)
    for cookie in client.cookies.jar:
        thief.cookies.jar.set_cookie(cookie)
    return thief


def cookies_for(client, path):
    jar = client.cookies.jar
    return "; ".join(f"{one.name}={one.value}" for one in jar if path.startswith(one.path))


def mint(client, name):
    xsrf = {"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")}
    made = client.post(f"/hub/api/users/{name}/tokens", json={"note": "x"}, headers=xsrf)
    assert made.status_code == 201, made.text
    return {"Authorization": f"Token {made.json()['token']}"}


@contextmanager
def held_open(live, client, name, headers):
    """Hold a websocket to the user's server and an event stream of the service; say what ended."""
    ended = {"socket": threading.Event(), "stream": threading.Event()}
    path = f"/user/{name}/api/events/subscribe"
    address = live.url.replace("http", "ws", 1) + path
    socket = websocket.create_connection(address, cookie=cookies_for(client, path), timeout=2)

    def listen():
        while True:
            try:
                if not socket.recv():
                    break
            except websocket.WebSocketTimeoutException:
                continue
            except (websocket.WebSocketException, OSError):
                break
        ended["socket"].set()

    begun = threading.Event()

    def follow():
        with httpx.stream("GET", f"{live.api}/events/", headers=headers, timeout=60) as answer:
            for _ in answer.iter_lines():
                begun.set()
        ended["stream"].set()

    threads = [threading.Thread(target=work, daemon=True) for work in (listen, follow)]
    for thread in threads:
        thread.start()
    assert begun.wait(PATIENCE)
    assert not any(one.is_set() for one in ended.values())
    try:
        yield ended
    finally:
        socket.close()


def change_password(client, name, live):
    del name, live
    client.get("/hub/change-password")
    form = {"old": GOOD, "new": OTHER, "again": OTHER}
    form["_xsrf"] = client.cookies.get("_xsrf", path="/hub/")
    assert client.post("/hub/change-password", data=form).status_code == 200


def switch(client, name, live):
    del client
    with live.sessions()() as session:
        switch_off(session, find_user(session, name))


@pytest.mark.parametrize(
    "end",
    [change_password, pytest.param(switch, marks=pytest.mark.slow)],
    ids=lambda e: e.__name__,
)
def test_everything_that_is_open_ends(live, at_home, end):
    name = f"ends-{end.__name__.replace('_', '-')}"
    client = at_home(name)
    headers = mint(client, name)
    paths = ("/hub/home", f"/user/{name}/goodman/preview", "/services/goodman/api/users/me/")
    with copy_of(client, live.url) as thief, held_open(live, client, name, headers) as ended:

        def lets_in(path):
            return thief.get(path).status_code == 200

        assert [path for path in paths if not lets_in(path)] == []
        end(client, name, live)
        for path in paths:
            assert wait_until(lambda path=path: not lets_in(path)), path
        assert wait_until(
            lambda: (
                httpx.get(
                    f"{live.api}/users/me/", headers=headers, timeout=60, trust_env=False
                ).status_code
                in {401, 403}
            )
        )
        for what, event in ended.items():
            assert event.wait(PATIENCE), what


def test_cookies_of_a_session_that_was_signed_out_open_nothing_ever_again(live, at_home, sign_in):
    name = "signs-out"
    client = at_home(name)
    own = f"/user/{name}/goodman/preview"
    with copy_of(client, live.url) as thief:
        paths = ("/hub/home", own, "/services/goodman/api/users/me/")
        assert [thief.get(path).status_code for path in paths] == [200] * 3
        assert "signed out" in client.get("/hub/logout", follow_redirects=True).text
        assert not [one.name for one in client.cookies.jar if one.name != "_xsrf"]
        # The next session, with a server that runs again, is no door for the old cookies.
        open_server(sign_in(name, GOOD), name)
        for path in paths:
            assert wait_until(lambda path=path: thief.get(path).status_code != 200), path
            answer = thief.get(path, follow_redirects=True)
            assert answer.url.path == "/hub/login" or answer.status_code in {401, 403}, answer.url
