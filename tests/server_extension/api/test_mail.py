"""Letters of the service: asked for over the API, found in the default folder."""

import email
import re
import time
from email.policy import default

import pytest

from goodman_live.hub.accounts.models import User


def letters_to(service, address, count=1, subject=""):
    """Wait for `count` letters to an address; return their messages."""
    deadline = time.monotonic() + 30
    found = []
    while time.monotonic() < deadline:
        messages = [
            email.message_from_bytes(path.read_bytes(), policy=default)
            for path in (service.root / "mail").glob("*.eml")
        ]
        found = [
            message
            for message in messages
            if message["To"] == address and subject in message["Subject"]
        ]
        if len(found) >= count:
            return found
        time.sleep(0.2)
    pytest.fail(f"{len(found)} letters to {address}")


def plain(message):
    return message.get_body(("plain",)).get_content()


def add(client, world, address, action="add"):
    return client.post(
        f"api/proposals/collaborators/{world.proposals['ours']}/",
        json={"email": address, "action": action},
    )


def test_an_unknown_collaborator_is_invited(as_, world, service):
    address = "newcomer@example.org"
    answer = add(as_("pi"), world, address)
    assert answer.status_code == 200, answer.text
    [message] = letters_to(service, address)
    assert "SOAR2026A-001" in plain(message)
    token = re.search(r"/hub/set-password\?token=([\w-]{43})\s", plain(message))[1]
    log = service.log.read_text()
    assert f"Mail to {address}" in log
    assert token not in log
    assert add(as_("pi"), world, address).status_code == 200
    add(as_("pi"), world, address, "remove")
    time.sleep(3)
    assert len(letters_to(service, address)) == 1, "who was there already is told nothing"


def test_a_known_collaborator_is_told_unless_they_do_not_want_it(as_, world, service):
    for name, choice in (("removed", {"added_to_proposal": False}), ("rival", {})):
        as_(name).patch("api/users/me/", json={"notifications": choice})
        assert add(as_("pi"), world, f"{name}@example.org").status_code == 200
    # A letter is for who still has access when it is sent: they stay until it is.
    letters_to(service, "rival@example.org", subject="You were added to SOAR2026A-001")
    for name in ("removed", "rival"):
        add(as_("pi"), world, f"{name}@example.org", "remove")
    folder = service.root / "mail"
    assert not [p for p in folder.iterdir() if b"To: removed@example.org" in p.read_bytes()]


def test_staff_write_to_known_users(as_, service):
    notice = {"to": ["mate", "PI@example.org", "pi"], "subject": "Clouds ñ", "message": "A\n\nB"}
    answer = as_("staff").post("api/email/", json=notice)
    assert answer.status_code == 202
    assert answer.json() == {"queued": 2, "to": ["mate", "pi"]}
    for name in ("mate", "pi"):
        letters_to(service, f"{name}@example.org", subject="Clouds ñ")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": ["nobody@example.org"]}, "to"),
        ({"to": ["gone"]}, "to"),
        ({"to": ["pi", "pi@example.org\r\nBcc: x@example.org"]}, "to"),
        ({"to": []}, "to"),
        ({"subject": "a\r\nBcc: x@example.org"}, "subject"),
        ({"subject": " "}, "subject"),
        ({"message": ""}, "message"),
        ({"bcc": "x@example.org"}, "bcc"),
    ],
)
def test_what_could_reach_anybody_else_is_refused(as_, change, field):
    notice = {"to": ["pi"], "subject": "Clouds", "message": "We close."} | change
    answer = as_("staff").post("api/email/", json=notice)
    assert answer.status_code == 400
    assert answer.json()["field"].split(".")[0] == field


def test_letters_are_limited_in_rate(as_, world, service):
    catalogue = service.catalogue()
    with catalogue.write() as session:
        session.add(User(username="chatty", email="chatty@example.org", is_staff=True, options={}))
    catalogue.close()
    service.border.user("chatty")
    names = [f"user{n}" for n in range(100)]
    # Refused readers count as well: asking is what is limited.
    statuses = [
        as_("chatty")
        .post("api/email/", json={"to": names, "subject": "x", "message": "y"})
        .status_code
        for _ in range(3)
    ]
    assert statuses == [400, 400, 429]


def test_invitations_are_limited_in_rate_too(as_, world, service):
    catalogue = service.catalogue()
    with catalogue.write() as session:
        busy = User(username="inviter", email="inviter@example.org", is_staff=True, options={})
        session.add(busy)
    catalogue.close()
    service.border.user("inviter")
    client = as_("inviter")
    # What is left of the hour after 200 letters that were asked for.
    notice = {"to": [f"user{n}" for n in range(100)], "subject": "x", "message": "y"}
    for _ in range(2):
        assert client.post("api/email/", json=notice).status_code == 400
    path = f"api/proposals/collaborators/{world.proposals['ours']}/"
    there = {"email": "mate@example.org", "action": "add"}
    # One more may be asked for after each 18 s: on a busy machine not the first is refused.
    answers = [client.post(path, json=there) for _ in range(5)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    nobody = {"email": "nobody@example.org", "action": "remove"}
    assert client.post(path, json=nobody).status_code != 429


def test_the_instruments_token_adds_files_and_does_nothing_else(as_, world, service):
    client = as_("instrument")
    path = service.root / "raw" / "star.fits"
    added = client.post("api/files/", json={"path": str(path)})
    assert added.status_code == 201, added.text
    assert client.get(f"api/files/{added.json()['id']}/").status_code == 403
    for route in ("api/files/", "api/proposals/", "api/users/me/", "api/metrics", "api/health"):
        assert client.get(route).status_code == 403, route
    assert client.post("api/jobs/1/", json={"action": "retry"}).status_code == 403
