"""Walls of the Hub's pages: forged hosts and forms, headers, cookies, links in letters."""

import email
import re
import socket
import time
from email.policy import default
from urllib.parse import urlsplit

import httpx
import pytest

from goodman_live.hub.accounts import attempts
from goodman_live.hub.accounts.users import create_user

GOOD = "a-long-w0rd-for-tests!"
EVIL = "evil.example"


def client_of(live, **headers):
    return httpx.Client(base_url=live.url, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize(
    "header", [{"Host": EVIL}, {"X-Forwarded-Host": EVIL}, {"X-Forwarded-Proto": "gopher"}]
)
def test_a_letter_links_to_the_public_address_whatever_the_request_says(live, header):
    name = f"poisoned{time.time_ns() % 10**9}"
    with live.sessions()() as session:
        create_user(session, username=name, email=f"{name}@example.org", password=GOOD)
        session.query(attempts.SignInAttempts).filter(
            attempts.SignInAttempts.name.startswith(attempts.FORGOTTEN)
        ).delete(synchronize_session=False)
        session.commit()
    with client_of(live) as client:
        client.get("/hub/forgot-password")
        form = {"who": name, "_xsrf": client.cookies.get("_xsrf", path="/hub/")}
        assert client.post("/hub/forgot-password", data=form, headers=header).status_code == 200
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in (live.root / "mail").glob("*.eml"):
            found = email.message_from_bytes(path.read_bytes(), policy=default)
            if found["To"] == f"{name}@example.org":
                text = found.get_body(("plain",)).get_content()
                assert re.search(r"http\S+", text)[0].startswith(f"{live.url}/hub/set-password?")
                assert EVIL not in path.read_text()
                return
        time.sleep(0.2)
    pytest.fail("no letter came")


PAGES = ["login", "forgot-password", "set-password?token=x", "logout", "no-such-page", "spawn"]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_carries_its_headers(live, page):
    with client_of(live) as client:
        answer = client.get(f"/hub/{page}", follow_redirects=True)
    policy = answer.headers["content-security-policy"]
    for part in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"):
        assert part in policy, page
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert EVIL not in answer.text


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("login", {"username": "observer", "password": "x"}),
        ("forgot-password", {"who": "observer"}),
        ("set-password", {"token": "x", "new": GOOD, "again": GOOD}),
    ],
)
@pytest.mark.parametrize("token", [None, "", "made-up", "a|b|c"])
def test_every_form_is_refused_without_the_pages_own_token(live, page, form, token):
    with client_of(live) as client:
        client.get(f"/hub/{page}")
        if token is not None:
            form = {**form, "_xsrf": token}
        answer = client.post(f"/hub/{page}", data=form)
    assert answer.status_code == 403


def test_a_forms_token_is_no_other_persons(sign_in):
    mine, theirs = sign_in("observer"), sign_in("neighbour")
    for client in (mine, theirs):
        client.get("/hub/change-password")
    form = {"old": "x", "new": GOOD, "again": GOOD}
    form["_xsrf"] = theirs.cookies.get("_xsrf", path="/hub/")
    assert mine.post("/hub/change-password", data=form).status_code == 403
    form["_xsrf"] = mine.cookies.get("_xsrf", path="/hub/")
    assert mine.post("/hub/change-password", data=form).status_code == 422, "the old one is wrong"


@pytest.mark.parametrize("page", ["no-such-page", "user/<b>x</b>/y", "set-password?token=<b>x"])
def test_what_is_asked_for_is_shown_as_text_on_pages_of_errors(live, page):
    with client_of(live) as client:
        answer = client.get(f"/hub/{page}")
    assert answer.status_code in {302, 404, 403}
    assert "<b>x" not in answer.text


def test_session_cookies_are_closed_to_scripts_and_new_with_each_sign_in(live, sign_in):
    with client_of(live) as visitor:
        visitor.cookies.set("jupyterhub-session-id", "chosen-by-somebody", path="/")
        visitor.get("/hub/login")
        form = {
            "username": "neighbour",
            "password": live.passwords["neighbour"],
            "_xsrf": visitor.cookies.get("_xsrf", path="/hub/"),
        }
        answer = visitor.post("/hub/login", data=form)
    assert answer.status_code == 302
    cookies = answer.headers.get_list("set-cookie")
    session = [line for line in cookies if line.startswith("jupyterhub-session-id=")]
    assert all("chosen-by-somebody" not in line for line in session)
    for line in cookies:
        assert "SameSite=Lax" in line
        if not line.startswith("_xsrf"):
            assert "httponly" in line.lower(), line


SECOND = "GET /hub/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = {
    "both lengths": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(SECOND)}\r\n\r\n",
    "list of lengths": f"Content-Length: 0, {len(SECOND)}\r\n\r\n",
    "length with a sign": f"Content-Length: +{len(SECOND)}\r\n\r\n",
    "space before the colon": f"Content-Length : {len(SECOND)}\r\n\r\n",
    "unknown coding": "Transfer-Encoding: xchunked\r\n\r\n",
    "coding twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "folded": "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "bare line feeds": f"X: y\nContent-Length: {len(SECOND)}\n\n",
}


@pytest.mark.parametrize("way", SMUGGLED)
@pytest.mark.parametrize("path", ["/hub/login", "/services/goodman/api/"])
def test_no_request_is_hidden_in_another_on_its_way_through_the_proxy(live, path, way):
    url = urlsplit(live.url)
    head = f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
    with socket.create_connection((url.hostname, url.port), 60) as line:
        line.sendall((head + SMUGGLED[way] + SECOND).encode())
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(2**16):
            answer += piece
    first, _, rest = answer.partition(b"\r\n")
    assert first.startswith(b"HTTP/1.1 400"), answer[:300]
    assert b"HTTP/1.1 " not in rest
