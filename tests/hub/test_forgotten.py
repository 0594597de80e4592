"""A forgotten password, from the sign-in page to the new sign-in, over the real mail."""

import email
import re
import time
from email.policy import default

import httpx
import pytest

from goodman_live.hub.accounts import attempts
from goodman_live.hub.accounts.models import OutgoingMail, SignInAttempts
from goodman_live.hub.accounts.users import create_user

GOOD, NEW = "a-long-w0rd-for-tests!", "another-tin!owl"


@pytest.fixture
def forgetful(live):
    """Return the name of an account that has a password; addresses begin anew."""
    name = f"forgetful{time.time_ns() % 10**9}"
    with live.sessions()() as session:
        create_user(session, username=name, email=f"{name}@example.org", password=GOOD)
        session.query(SignInAttempts).filter(
            SignInAttempts.name.startswith(attempts.FORGOTTEN)
        ).delete(synchronize_session=False)
        session.commit()
    return name


def ask(live, who):
    with httpx.Client(base_url=live.url, trust_env=False, timeout=60) as client:
        client.get("/hub/forgot-password")
        token = client.cookies.get("_xsrf", path="/hub/")
        return client.post("/hub/forgot-password", data={"who": who, "_xsrf": token})


def letter_to(live, address):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in (live.root / "mail").glob("*.eml"):
            found = email.message_from_bytes(path.read_bytes(), policy=default)
            if found["To"] == address:
                return found.get_body(("plain",)).get_content()
        time.sleep(0.2)
    logs = "".join(p.read_text(errors="replace")[-3000:] for p in (live.root / "logs").iterdir())
    with live.sessions()() as session:
        waiting = [(m.kind, m.state, m.error) for m in session.query(OutgoingMail)]
    pytest.fail(f"no letter to {address}; in the queue: {waiting}\n{logs}")


def test_the_sign_in_page_leads_there(live):
    page = httpx.get(f"{live.url}/hub/login", trust_env=False, timeout=60)
    assert "/hub/forgot-password" in page.text


def test_a_new_password_by_mail(live, sign_in, forgetful):
    assert ask(live, f"{forgetful.upper()}@Example.ORG").status_code == 200
    text = letter_to(live, f"{forgetful}@example.org")
    link = re.search(r"(http\S+/hub/set-password\?token=\S+)", text)[1]
    assert link.startswith(live.url)
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.get(link)
        form = {"new": NEW, "again": NEW, "_xsrf": client.cookies.get("_xsrf", path="/hub/")}
        assert "is set" in client.post(link, data=form).text
        assert client.get(link).status_code == 404, "it works once"
    assert sign_in(forgetful, GOOD).last.status_code == 403
    assert sign_in(forgetful, NEW).last.status_code == 302


def test_nobody_learns_who_exists(live, forgetful):
    asked = (forgetful, "nobody-at-all", "x@example.org", "", "a\0b", "' OR 1=1 --")
    # The rest of the page holds the visitor's own token.
    panel = re.compile(r'<div class="g-panel">.*?</div>', re.DOTALL)
    pages = [panel.search(ask(live, who).text)[0] for who in asked]
    assert "If there is an account" in pages[0]
    assert all(page == pages[0] for page in pages)


def test_nobody_is_flooded(live, forgetful):
    for _ in range(3):
        ask(live, forgetful)
    time.sleep(1)
    with live.sessions()() as session:
        letters = session.query(OutgoingMail).filter(OutgoingMail.kind == "reset")
        from_me = [m for m in letters if m.user_id == user_id(session, forgetful)]
    assert len(from_me) == 1


def user_id(session, name):
    from goodman_live.hub.accounts.users import find_user  # noqa: PLC0415

    return find_user(session, name).id


def test_an_address_that_asks_too_often_waits(live, forgetful):
    statuses = [ask(live, "nobody-at-all").status_code for _ in range(attempts.LOCK_FAILURES + 1)]
    assert statuses == [200] * attempts.LOCK_FAILURES + [429]
    with live.sessions()() as session:
        session.query(SignInAttempts).filter(
            SignInAttempts.name.startswith(attempts.FORGOTTEN)
        ).delete(synchronize_session=False)
        session.commit()
