"""One-time links: once, for a while, and only their hash is kept."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.database import session_factory
from goodman_live.hub.accounts.errors import (
    AccountError,
    BadLinkError,
    TakenError,
    WeakPasswordError,
)
from goodman_live.hub.accounts.links import Purpose
from goodman_live.hub.accounts.models import OneTimeLink, utc_now
from goodman_live.hub.accounts.users import Outcome, authenticate, create_user, switch_off

GOOD = "tin-lamp!ridge"


@pytest.fixture
def user(session):
    return create_user(session, username="newcomer", email="new@example.org")


def test_an_invitation_sets_name_and_password_once(session, user):
    token = links.issue(session, user, Purpose.INVITATION)
    assert links.look_up(session, token) == (user, Purpose.INVITATION)
    links.use(session, token, GOOD, username="jocelyn")
    assert authenticate(session, "jocelyn", GOOD).outcome is Outcome.OK
    with pytest.raises(BadLinkError):
        links.use(session, token, "another-tin!owl")


def test_the_token_itself_is_not_stored(session, user):
    token = links.issue(session, user, Purpose.RESET)
    stored = session.scalars(select(OneTimeLink)).one()
    assert token not in (stored.token_hash, stored.purpose)
    with pytest.raises(BadLinkError):
        links.look_up(session, stored.token_hash)


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 10_000])
def test_a_made_up_token_is_refused(session, user, token):
    with pytest.raises(BadLinkError):
        links.look_up(session, token)


def test_it_expires(session, user):
    token = links.issue(session, user, Purpose.RESET)
    session.scalars(select(OneTimeLink)).one().expires = utc_now() - timedelta(seconds=1)
    session.commit()
    with pytest.raises(BadLinkError):
        links.use(session, token, GOOD)


def test_a_newer_link_ends_the_older(session, user):
    older = links.issue(session, user, Purpose.RESET)
    newer = links.issue(session, user, Purpose.RESET)
    with pytest.raises(BadLinkError):
        links.look_up(session, older)
    links.use(session, newer, GOOD)


def test_a_weak_password_or_taken_name_leaves_the_link_usable(session, user):
    create_user(session, username="taken", email="taken@example.org")
    token = links.issue(session, user, Purpose.INVITATION)
    with pytest.raises(WeakPasswordError):
        links.use(session, token, "12345678")
    with pytest.raises(TakenError):
        links.use(session, token, GOOD, username="taken")
    with pytest.raises(AccountError):
        links.use(session, token, GOOD, username="root")
    assert links.use(session, token, GOOD).username == "newcomer"


def test_a_reset_does_not_rename(session, user):
    token = links.issue(session, user, Purpose.RESET)
    with pytest.raises(AccountError):
        links.use(session, token, GOOD, username="somebody")


def test_a_switched_off_account_gets_nowhere(session, user):
    token = links.issue(session, user, Purpose.RESET)
    switch_off(session, user)
    with pytest.raises(BadLinkError):
        links.use(session, token, GOOD)


def test_two_clicks_at_once_use_a_link_once(session, user, engine):
    token = links.issue(session, user, Purpose.INVITATION)
    session.commit()
    begin, outcomes = threading.Barrier(4), []

    def click(number):
        with session_factory(engine)() as own:
            begin.wait()
            try:
                links.use(own, token, GOOD + str(number), username=f"choice{number}")
                outcomes.append(number)
            except BadLinkError:
                outcomes.append(None)

    threads = [threading.Thread(target=click, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [number for number in outcomes if number is not None]
    assert len(outcomes) == 4
    session.expire_all()
    assert authenticate(session, f"choice{winner}", GOOD + str(winner)).outcome is Outcome.OK


def test_two_who_choose_the_same_name_at_once_get_it_once(session, user, engine):
    other = create_user(session, username="other", email="other@example.org")
    tokens = [links.issue(session, one, Purpose.INVITATION) for one in (user, other)]
    session.commit()
    begin, outcomes = threading.Barrier(2), []

    def choose(token):
        with session_factory(engine)() as own:
            begin.wait()
            try:
                outcomes.append(links.use(own, token, GOOD, username="wanted").username)
            except TakenError as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=choose, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["taken", "wanted"]
