"""The Hub's door, attacked from outside: everything runs for real behind `live`."""

import time

import httpx
import pytest

from goodman_live.hub.accounts import attempts, links
from goodman_live.hub.accounts.users import create_user, find_user, set_password, switch_off

GOOD = "tin-lamp!ridge"


@pytest.fixture(scope="module")
def guest(live):
    """Return a function that makes an account of its own for one test."""
    made = []

    def make(name):
        with live.sessions()() as session:
            create_user(session, username=name, email=f"{name}@x.example", password=GOOD)
        made.append(name)
        return name

    return make


def signed_in(client):
    answer = client.get("/hub/home")
    return answer.status_code == 200


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.3)
    return False


def test_the_right_password_opens_the_door_and_leads_to_the_data_page(sign_in):
    client = sign_in("observer")
    assert client.last.status_code == 302
    assert signed_in(client)
    assert client.get("/hub/api/user").json()["name"] == "observer"


def test_groups_of_the_hub_follow_memberships(sign_in):
    assert sign_in("observer").get("/hub/api/user").json()["groups"] == ["proposal:SOAR2026B-001"]
    assert sign_in("nightstaff").get("/hub/api/user").json()["groups"] == ["staff"]


def test_a_superuser_is_no_administrator_of_the_hub(sign_in):
    client = sign_in("nightstaff")
    assert not client.get("/hub/api/user").json()["admin"]
    assert client.get("/hub/admin").status_code == 403
    assert client.get("/hub/api/users").status_code == 403


@pytest.mark.parametrize("name", ["observer", "nobody-of-that-name", "", "x" * 5000, "a\x00b"])
def test_wrong_passwords_and_unknown_names_read_alike(sign_in, name):
    client = sign_in(name, "wrong")
    assert client.last.status_code == 403
    assert "Invalid username or password" in client.last.text
    assert not signed_in(client)


def test_a_locked_name_says_so_and_not_whether_it_exists(live, sign_in, guest):
    texts = []
    for name in (guest("lockme"), "no-such-person"):
        with live.sessions()() as session:
            for _ in range(attempts.LOCK_FAILURES):
                attempts.note_failure(session, name, "127.0.0.1")
            # The lock stays, the growing delay need not be waited for here.
            session.query(attempts.SignInAttempts).update({"failures": 0})
            session.commit()
        client = sign_in(name, GOOD)
        assert client.last.status_code == 429
        assert not signed_in(client)
        texts.append("Too many failed attempts" in client.last.text)
    assert texts == [True, True]


def test_a_post_without_the_hidden_field_is_refused(live, sign_in):
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        client.get("/hub/login")
        form = {"username": "observer", "password": live.passwords["observer"]}
        assert client.post("/hub/login", data=form).status_code == 403
        assert not signed_in(client)


@pytest.mark.parametrize(
    "target", ["//evil.example/x", "https://evil.example/", "/\\evil.example"]
)
def test_sign_in_sends_nobody_elsewhere(live, target):
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        client.get("/hub/login")
        form = {
            "username": "neighbour",
            "password": live.passwords["neighbour"],
            "_xsrf": client.cookies.get("_xsrf", path="/hub/"),
        }
        answer = client.post("/hub/login", params={"next": target}, data=form)
        assert answer.status_code == 302
        assert "evil.example" not in httpx.URL(answer.headers["location"]).host


def test_the_page_carries_its_walls_and_asks_nobody_else(live):
    page = httpx.get(f"{live.url}/hub/login", trust_env=False, timeout=60)
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert (
        "//"
        not in page.text.replace("http://www.w3.org", "")
        .replace(live.url, "")
        .split("<main")[1]
        .split("</main>")[0]
    )
    for cookie in page.headers.get_list("set-cookie"):
        assert "SameSite=Lax" in cookie


def test_names_typed_into_the_form_come_back_as_text(sign_in):
    client = sign_in('"><script>alert(1)</script>', "wrong")
    assert "<script>alert(1)" not in client.last.text


def test_signing_out_makes_a_stolen_copy_of_the_cookies_worthless(live, sign_in, guest):
    client = sign_in(guest("leaver"), GOOD)
    assert signed_in(client)
    with httpx.Client(
        base_url=live.url, trust_env=False, timeout=60, cookies=client.cookies
    ) as thief:
        assert signed_in(thief)
        answer = client.get("/hub/logout")
        assert "signed out" in answer.text
        assert not signed_in(client)
        assert not signed_in(thief)


def make_token(client, name, **more):
    xsrf = client.cookies.get("_xsrf", path="/hub/")
    answer = client.post(f"/hub/api/users/{name}/tokens", json=more, headers={"X-XSRFToken": xsrf})
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def test_switching_off_ends_sessions_and_tokens(live, sign_in, guest):
    name = guest("switched")
    client = sign_in(name, GOOD)
    token = make_token(client, name, note="script")
    headers = {"Authorization": f"token {token}"}
    hub_user = f"{live.url}/hub/api/user"
    assert httpx.get(hub_user, headers=headers, trust_env=False, timeout=60).status_code == 200
    with live.sessions()() as session:
        switch_off(session, find_user(session, name))
    assert wait_until(lambda: not signed_in(client))
    assert wait_until(
        lambda: (
            httpx.get(hub_user, headers=headers, trust_env=False, timeout=60).status_code == 403
        )
    )
    assert sign_in(name, GOOD).last.status_code == 403


def test_a_new_password_ends_older_sessions_and_no_newer_one(live, sign_in, guest):
    name = guest("changer")
    older = sign_in(name, GOOD)
    assert signed_in(older)
    with live.sessions()() as session:
        set_password(session, find_user(session, name), "another-tin!owl")
    newer = sign_in(name, "another-tin!owl")
    assert newer.last.status_code == 302
    assert not signed_in(older)
    time.sleep(7)  # longer than the keeper's period
    assert signed_in(newer)


@pytest.mark.parametrize(
    "wish",
    [
        {"scopes": ["self"]},
        {"scopes": ["inherit"]},
        {"scopes": ["access:services!service=goodman", "tokens!user"]},
        {"scopes": "self"},
        {"roles": ["user"]},
        {"note": "two\nlines"},
        {"expires_in": -1},
    ],
)
def test_no_token_is_made_that_opens_more(sign_in, wish):
    client = sign_in("neighbour")
    xsrf = {"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")}
    answer = client.post("/hub/api/users/neighbour/tokens", json=wish, headers=xsrf)
    assert answer.status_code == 400, answer.text


def test_a_token_that_asks_for_nothing_is_as_small_and_makes_no_other(live, sign_in):
    token = make_token(sign_in("neighbour"), "neighbour")
    with httpx.Client(
        headers={"Authorization": f"token {token}"}, trust_env=False, timeout=60
    ) as script:
        assert script.get(f"{live.api}/files/").status_code == 200
        # Whose it is, as every service must be able to ask, and nothing that it could be used for.
        known = script.get(f"{live.url}/hub/api/users/neighbour").json()
        assert not set(known) & {"server", "servers", "auth_state", "last_activity", "tokens"}
        for path in ("users/neighbour/tokens", "users", "users/observer", "groups", "proxy"):
            assert script.get(f"{live.url}/hub/api/{path}").status_code in {403, 404}, path
        for path in ("users/neighbour/tokens", "users/neighbour/server"):
            answer = script.post(f"{live.url}/hub/api/{path}", json={})
            assert answer.status_code in {403, 404}, path


def test_no_token_is_made_from_a_name_and_password(live):
    auth = {"username": "neighbour", "password": live.passwords["neighbour"]}
    answer = httpx.post(
        f"{live.url}/hub/api/users/neighbour/tokens",
        json={"auth": auth},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 403


def test_a_token_shows_its_last_use_and_is_revoked_at_once(live, sign_in):
    client = sign_in("neighbour")
    xsrf = {"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")}
    tokens = "/hub/api/users/neighbour/tokens"
    made = client.post(tokens, json={"note": "one", "expires_in": 3600}, headers=xsrf).json()
    assert made["expires_at"]
    header = {"Authorization": f"Token {made['token']}"}
    asked = httpx.get(f"{live.api}/files/", headers=header, trust_env=False, timeout=60)
    assert asked.status_code == 200

    def last_use():
        return client.get(f"{tokens}/{made['id']}").json()["last_activity"]

    assert wait_until(last_use)
    assert client.delete(f"{tokens}/{made['id']}", headers=xsrf).status_code == 204
    assert wait_until(
        lambda: (
            httpx.get(
                f"{live.api}/files/", headers=header, trust_env=False, timeout=60
            ).status_code
            in {401, 403}
        )
    )


def test_a_token_for_the_service_opens_the_service_and_nothing_else(live, sign_in):
    client = sign_in("neighbour")
    scopes = ["access:services!service=goodman"]
    token = make_token(client, "neighbour", note="api", scopes=scopes, expires_in=600)
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as script:
        assert script.get(f"{live.api}/files/").status_code == 200
        own = "/user/neighbour/api/contents"  # plain /api tells anybody its version, no more
        for path in ("/hub/api/users", "/hub/api/users/neighbour/tokens", own):
            assert script.get(live.url + path).status_code in {302, 403, 404}, path


def test_no_user_reaches_another_users_server_or_token(live, sign_in):
    client = sign_in("neighbour")
    for path in ("/hub/api/users/observer", "/hub/api/users/observer/tokens"):
        assert client.get(path).status_code in {403, 404}, path
    answer = client.get("/user/observer/api/contents", follow_redirects=True)
    assert answer.status_code in {403, 404, 424, 503}


def test_secrets_are_not_in_the_logs(live, sign_in):
    sign_in("observer")
    text = "".join(path.read_text(errors="replace") for path in (live.root / "logs").iterdir())
    for password in live.passwords.values():
        assert password not in text
    secret = (live.root / "hub" / "cookie_secret").read_text().strip()
    assert secret not in text


def test_a_password_typed_as_a_name_is_not_in_the_logs(live, sign_in, guest):
    name = guest("mistypes")
    assert sign_in(f"{GOOD}-typed", "x").last.status_code == 403
    assert sign_in(name, "not-my-passw0rd").last.status_code == 403

    def logged():
        return "".join(path.read_text(errors="replace") for path in (live.root / "logs").iterdir())

    assert wait_until(lambda: f"Failed sign-in of {name}" in logged())
    assert "Failed sign-in of a name without account" in logged()
    assert f"{GOOD}-typed" not in logged()


def form_of(client, path, **fields):
    client.get(path)
    fields["_xsrf"] = client.cookies.get("_xsrf", path="/hub/")
    return client.post(path, data=fields)


def test_a_one_time_link_sets_name_and_password_once(live, sign_in, guest):
    name = guest("invited")
    with live.sessions()() as session:
        token = links.issue(session, find_user(session, name), links.Purpose.INVITATION)
    path = f"/hub/set-password?token={token}"
    new = {"new": "another-tin!owl", "again": "another-tin!owl"}
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        page = client.get(path)
        assert page.headers["referrer-policy"] == "no-referrer"
        assert 'value="invited"' in page.text
        weak = form_of(client, path, username="chosen", new="12345", again="12345")
        assert weak.status_code == 422
        assert "at least 8 characters" in weak.text
        assert "be entirely numeric" in weak.text
        assert "not the same" in form_of(client, path, **new | {"again": "x"}).text
        assert "reserved" in form_of(client, path, username="root", **new).text
        assert "is set" in form_of(client, path, username="chosen", **new).text
        assert form_of(client, path, username="again", **new).status_code == 404
    assert sign_in("chosen", "another-tin!owl").last.status_code == 302


def test_a_made_up_link_is_refused(live):
    page = httpx.get(f"{live.url}/hub/set-password?token=<b>x", trust_env=False, timeout=60)
    assert page.status_code == 404
    assert "<b>x" not in page.text


def test_a_password_is_changed_by_who_knows_the_old_one(live, sign_in, guest):
    name = guest("renewer")
    client, other = sign_in(name, GOOD), sign_in(name, GOOD)
    new = {"new": "another-tin!owl", "again": "another-tin!owl"}
    wrong = form_of(client, "/hub/change-password", old="wrong", **new)
    assert wrong.status_code == 422
    assert "old password was entered incorrectly" in wrong.text
    assert "is set" in form_of(client, "/hub/change-password", old=GOOD, **new).text
    assert not signed_in(client)
    assert not signed_in(other)
    assert sign_in(name, "another-tin!owl").last.status_code == 302


def test_nobody_changes_a_password_without_signing_in_or_the_hidden_field(live, sign_in):
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        assert client.get("/hub/change-password").status_code == 302
    client = sign_in("neighbour")
    form = {"old": "x", "new": "another-tin!owl", "again": "another-tin!owl"}
    assert client.post("/hub/change-password", data=form).status_code == 403
