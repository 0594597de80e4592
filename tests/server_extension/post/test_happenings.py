"""Letters that people choose: gathered, sent once over real SMTP, and never to who lost access."""

import email
from email.policy import default

import pytest
from sqlalchemy import select

from goodman_live.hub.accounts.database import session_factory
from goodman_live.hub.accounts.models import OutgoingMail, utc_now
from goodman_live.hub.accounts.proposals import (
    add_collaborator,
    create_proposal,
    remove_collaborator,
)
from goodman_live.hub.accounts.users import create_user, switch_off
from goodman_live.hub.mail.postman import Postman
from goodman_live.hub.mail.settings import MailSettings, Security
from goodman_live.hub.mail.transport import SmtpMailer
from goodman_live.server_extension.catalogue.models import Frame, Job
from goodman_live.server_extension.engine.events import frame_event, job_event
from goodman_live.server_extension.happenings import gather, something_happened, tell

SOAR_ID = "SOAR2026B-013"
ALL = {"new_product": True, "failed_job": True, "added_to_proposal": False}


@pytest.fixture
def people(session):
    made = {
        name: create_user(session, username=name, email=f"{name}@example.org")
        for name in ("leader", "mate", "quiet", "stranger")
    }
    for name in ("leader", "mate", "stranger"):
        made[name].notifications = ALL
    proposal = create_proposal(session, soar_id=SOAR_ID, pi=made["leader"])
    for name in ("mate", "quiet"):
        add_collaborator(session, proposal, f"{name}@example.org", by=None)
    look(session)  # the mark
    return made


@pytest.fixture
def post(engine, smtp_server, tmp_path):
    """Return a mail server's inbox, and a function that sends what is due."""
    inbox = smtp_server("none")
    settings = MailSettings(
        tmp_path,
        sender="live@example.org",
        public_url="https://live.example.org",
        host="127.0.0.1",
        port=inbox.port,
        security=Security.NONE,
    )

    def send():
        postman = Postman(SmtpMailer(settings), settings, session_factory(engine), tell=tell)
        return postman.deliver_due()

    return inbox, send


def product(session, number, **more):
    values = {"file_name": f"r_{number}.fits", "directory_name": "/d", "data_type": 2, "size": 1}
    frame = Frame(**values | {"proposal_id": SOAR_ID, "object_name": "<b>NGC 1</b>"} | more)
    session.add(frame)
    session.flush()
    frame_event(session, "product.made", frame)
    return frame


def failure(session, **more):
    values = {"key": str(more), "block": "reduce", "proposal_id": SOAR_ID, "state": "failed"}
    job = Job(**values | {"error": {"message": "No\r\nBcc: all"}} | more)
    session.add(job)
    session.flush()
    job_event(session, job)
    return job


def look(session, wait_s=0.0):
    gather(session, wait_s)
    session.commit()


def make_due(session):
    session.query(OutgoingMail).update({"next_try": utc_now(), "state": "waiting"})
    session.commit()


def letters(inbox):
    found = {}
    for recipients, content in inbox.taken:
        [to] = recipients
        found.setdefault(to, []).append(email.message_from_bytes(content, policy=default))
    return found


def test_products_are_gathered_into_one_letter_to_who_chose_it(session, people, post):
    inbox, send = post
    for number in range(3):
        product(session, number)
    look(session, 3600)
    product(session, 3)
    look(session, 3600)
    assert send() == 0, "they wait for more"
    make_due(session)
    assert send() == 2
    got = letters(inbox)
    assert set(got) == {"leader@example.org", "mate@example.org"}
    [message] = got["mate@example.org"]
    assert message["Subject"] == f"4 new products of {SOAR_ID}"
    assert "4 reduced frames" in message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    assert "&lt;b&gt;NGC" in html
    assert "<b>NGC" not in html


def test_what_happened_is_told_once_however_often_it_is_looked_at(session, people, post):
    inbox, send = post
    product(session, 1)
    failure(session)
    session.commit()
    assert something_happened(session)
    for _ in range(3):
        look(session)
        send()
    assert not something_happened(session)
    got = letters(inbox)
    assert {to: len(found) for to, found in got.items()} == {
        "leader@example.org": 2,
        "mate@example.org": 2,
    }
    assert len({message["Message-ID"] for found in got.values() for message in found}) == 4


def test_a_letter_that_is_sent_again_is_the_same_letter(session, people, post):
    inbox, send = post
    people["mate"].notifications = {}
    frame = product(session, 1)
    look(session)
    assert send() == 1
    [letter] = session.scalars(select(OutgoingMail))
    session.refresh(letter)
    letter.data = {"proposal": SOAR_ID, "ids": [frame.id]}
    make_due(session)  # as if the sender had died before it was noted
    assert send() == 1
    one, two = letters(inbox)["leader@example.org"]
    assert one["Message-ID"] == two["Message-ID"]


def test_who_lost_access_before_it_is_sent_is_told_nothing(session, people, post):
    inbox, send = post
    product(session, 1, public_date=utc_now())
    failure(session)
    look(session)
    [proposal] = people["mate"].proposals
    remove_collaborator(session, proposal, "mate@example.org", by=None)
    switch_off(session, people["leader"])
    assert send() == 0
    assert inbox.taken == []
    session.expire_all()
    assert {row.state for row in session.scalars(select(OutgoingMail))} == {"failed"}


def test_who_changed_their_mind_is_told_nothing(session, people, post):
    inbox, send = post
    product(session, 1)
    look(session)
    for name in ("leader", "mate"):
        people[name].notifications = {"new_product": False}
    session.commit()
    assert send() == 0
    assert inbox.taken == []


def test_a_private_version_is_its_owners_alone(session, people, post):
    inbox, send = post
    product(session, 1, owner_id=people["mate"].id)
    product(session, 2, owner_id=people["stranger"].id)
    look(session)
    send()
    assert set(letters(inbox)) == {"mate@example.org"}


def test_failures_say_what_failed_on_one_line_and_mended_ones_nothing(session, people, post):
    inbox, send = post
    people["mate"].notifications = {}
    failure(session)
    mended = failure(session, stem="2")
    look(session)
    mended.state = "done"
    session.commit()
    assert send() == 1
    [message] = letters(inbox)["leader@example.org"]
    assert message["Subject"] == f"1 job of {SOAR_ID} failed"
    assert "reduce of a file: No  Bcc: all" in message.get_body(("plain",)).get_content()
    assert "Bcc" not in message


def test_what_was_before_the_first_look_is_told_to_nobody(session):
    leader = create_user(session, username="leader", email="leader@example.org")
    leader.notifications = ALL
    create_proposal(session, soar_id=SOAR_ID, pi=leader)
    product(session, 1)
    look(session)
    assert not session.scalars(select(OutgoingMail)).all()
    product(session, 2)
    look(session)
    [letter] = session.scalars(select(OutgoingMail))
    assert len(letter.data["ids"]) == 1
