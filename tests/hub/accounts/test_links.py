"""One-time links: once, for a while, and only their hash is kept."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from goodman_live.hub.accounts import links
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
