"""The queue: on both databases, with a real SMTP server that fails and comes back."""

import email
import re
from datetime import timedelta
from email.policy import default

import pytest

from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.database import session_factory
from goodman_live.hub.accounts.models import OutgoingMail, utc_now
from goodman_live.hub.accounts.users import create_user, switch_off
from goodman_live.hub.mail import queue
from goodman_live.hub.mail.letters import Kind
from goodman_live.hub.mail.postman import Postman
from goodman_live.hub.mail.settings import MailSettings, Security
from goodman_live.hub.mail.transport import SmtpMailer


@pytest.fixture
def sam(session):
    return create_user(session, username="sam", email="sam@example.org", first_name="Sam")


@pytest.fixture
def post(engine, smtp_server, tmp_path):
    """Return a server's inbox and a function that makes a postman, as after each restart."""
    inbox = smtp_server("none")
    settings = MailSettings(
        tmp_path,
        sender="live@example.org",
        public_url="https://live.example.org",
        host="127.0.0.1",
        port=inbox.port,
        security=Security.NONE,
    )
    return inbox, lambda: Postman(SmtpMailer(settings), settings, session_factory(engine))


def only_letter(session):
    session.rollback()
    session.expire_all()
    return session.query(OutgoingMail).one()


def due_now(session):
    only_letter(session).next_try = utc_now()
    session.commit()


def test_an_invitation_has_a_link_that_works_once_and_is_stored_nowhere(session, sam, post):
    inbox, postman = post
    queue.ask_for(session, sam, Kind.INVITATION, proposal="SOAR2026A-001")
    session.commit()
    assert postman().deliver_due() == 1
    [(recipients, content)] = inbox.taken
    assert recipients == ["sam@example.org"]
    text = email.message_from_bytes(content, policy=default).get_body(("plain",)).get_content()
    token = re.search(r"https://live\.example\.org/hub/set-password\?token=(\S+)", text)[1]
    letter = only_letter(session)
    assert (letter.state, letter.data) == ("sent", {})
    assert links.use(session, token, "another-tin!owl", "samuel").username == "samuel"
    assert postman().deliver_due() == 0


def test_a_letter_waits_for_the_server_over_a_restart(session, sam, post):
    inbox, postman = post
    inbox.answers += ["451 later", "451 later"]
    queue.ask_for(session, sam, Kind.NOTICE, subject="Clouds", message="We close.")
    session.commit()
    assert postman().deliver_due() == 0
    letter = only_letter(session)
    assert (letter.state, letter.tries) == ("waiting", 1)
    first_pause = letter.next_try - utc_now()
    assert timedelta(0) < first_pause <= queue.FIRST_PAUSE
    assert postman().deliver_due() == 0, "not before its time"
    due_now(session)
    assert postman().deliver_due() == 0
    assert only_letter(session).next_try - utc_now() > first_pause
    due_now(session)
    assert postman().deliver_due() == 1
    assert len(inbox.taken) == 1


def test_a_refused_letter_is_given_up_and_does_not_hold_back_others(session, sam, post):
    inbox, postman = post
    inbox.answers.append("554 no")
    for subject in ("First", "Second"):
        queue.ask_for(session, sam, Kind.NOTICE, subject=subject, message="x")
    session.commit()
    assert postman().deliver_due() == 1
    session.expire_all()
    states = [row.state for row in session.query(OutgoingMail).order_by(OutgoingMail.id)]
    assert states == ["failed", "sent"]


def test_a_letter_that_cannot_be_written_is_given_up_with_its_reason(session, sam, post):
    _, postman = post
    queue.ask_for(session, sam, Kind.NOTICE, subject="a\nBcc: v@example.org", message="x")
    session.commit()
    told = []
    man = postman()
    man.report = lambda _, letter, reason: told.append((letter.kind, reason))
    assert man.deliver_due() == 0
    letter = only_letter(session)
    assert letter.state == "failed"
    assert "one line" in letter.error
    assert told[0][0] == "notice"


def test_who_is_switched_off_gets_no_letter(session, sam, post):
    inbox, postman = post
    queue.ask_for(session, sam, Kind.INVITATION)
    session.commit()
    switch_off(session, sam)
    assert postman().deliver_due() == 0
    assert inbox.taken == []
    assert queue.ask_for(session, sam, Kind.NOTICE, subject="x", message="y") is None


def test_a_letter_is_claimed_by_one_sender(session, sam, engine):
    queue.ask_for(session, sam, Kind.INVITATION)
    session.commit()
    other = session_factory(engine)
    with other() as one, other() as two:
        assert queue.claim(one) is not None
        assert queue.claim(two) is None
        later = utc_now() + queue.LEASE + timedelta(seconds=1)
        assert queue.claim(two, later) is not None, "its sender died"


def test_a_forgotten_password_is_one_letter_however_often_it_is_asked_for(session, sam):
    for _ in range(5):
        queue.ask_for_password_link(session, sam)
    assert only_letter(session).kind == "invitation", "there never was a password"


@pytest.mark.parametrize(
    ("notifications", "wanted"),
    [
        ({}, {"added"}),
        ({"added_to_proposal": False}, set()),
        (
            {"added_to_proposal": False, "failed_job": True, "new_product": True},
            {"failed", "product"},
        ),
    ],
)
def test_users_choose_what_they_are_sent(session, sam, notifications, wanted):
    sam.notifications = notifications
    assert {kind.value for kind in queue.CHOICES if queue.wants(sam, kind)} == wanted
    assert queue.wants(sam, Kind.RESET)
