"""Accounts on both databases: made, signed in, locked, switched off."""

from datetime import timedelta

import pytest

from goodman_live.hub.accounts import attempts
from goodman_live.hub.accounts.errors import (
    AccountError,
    NotAllowedError,
    TakenError,
    WeakPasswordError,
    WrongPasswordError,
)
from goodman_live.hub.accounts.models import User, utc_now
from goodman_live.hub.accounts.users import (
    Outcome,
    authenticate,
    change_password,
    create_user,
    find_by_email,
    suggest_username,
    switch_off,
    switch_on,
)

GOOD = "tin-lamp!ridge"


@pytest.fixture
def vera(session):
    return create_user(
        session, username="vera", email="Vera@Example.org", password=GOOD, first_name="Vera"
    )


def test_signs_in_by_name_or_email_in_any_case(session, vera):
    for name in ("vera", "VERA", " vera ", "vera@example.org", "VERA@EXAMPLE.ORG"):
        answer = authenticate(session, name, GOOD)
        assert answer.outcome is Outcome.OK, name
        assert answer.user.id == vera.id
    assert vera.last_login is not None


@pytest.mark.parametrize("name", ["vera", "nobody", "", "x" * 500, "vera'; DROP TABLE users; --"])
def test_refuses_a_wrong_password_and_unknown_names_alike(session, vera, name):
    answer = authenticate(session, name, "wrong")
    assert (answer.outcome, answer.user) == (Outcome.REFUSED, None)


def test_an_account_without_a_password_signs_nobody_in(session):
    create_user(session, username="newcomer", email="new@example.org")
    for password in ("", "newcomer", "no password at all"):
        assert authenticate(session, "newcomer", password).outcome is Outcome.REFUSED


def test_a_switched_off_account_is_refused_at_once_and_comes_back(session, vera):
    switch_off(session, vera)
    assert authenticate(session, "vera", GOOD).outcome is Outcome.REFUSED
    switch_on(session, vera)
    assert authenticate(session, "vera", GOOD).outcome is Outcome.OK


def test_many_failures_lock_even_the_right_password(session, vera):
    for _ in range(attempts.LOCK_FAILURES):
        assert authenticate(session, "vera", "wrong").outcome is Outcome.REFUSED
    assert authenticate(session, "vera", GOOD).outcome is Outcome.LOCKED
    later = utc_now() + attempts.LOCK_TIME + timedelta(seconds=1)
    assert attempts.locked_until(session, "vera", now=later) is None


def test_an_unknown_name_locks_like_a_known_one(session):
    for _ in range(attempts.LOCK_FAILURES):
        authenticate(session, "ghost", "wrong")
    assert authenticate(session, "ghost", "wrong").outcome is Outcome.LOCKED


def test_delays_grow_to_a_limit_and_a_success_forgets_them(session, vera):
    delays = []
    for _ in range(attempts.LOCK_FAILURES):
        attempts.note_failure(session, "vera")
        delays.append(attempts.delay_s(session, "vera"))
    assert delays[: attempts.FREE_FAILURES - 1] == [0.0] * (attempts.FREE_FAILURES - 1)
    assert delays == sorted(delays)
    assert delays[-1] == attempts.MAX_DELAY_S
    attempts.note_success(session, "vera")
    assert attempts.delay_s(session, "vera") == 0.0


def test_old_failures_no_longer_count(session):
    long_ago = utc_now() - attempts.FORGET_AFTER - timedelta(minutes=1)
    for _ in range(attempts.LOCK_FAILURES - 1):
        attempts.note_failure(session, "vera", now=long_ago)
    assert attempts.note_failure(session, "vera") == 1


@pytest.mark.parametrize(
    "name",
    ["root", "admin", "calibrate", "Vera", "vera rubin", "7up", "a" * 25, "", "-x", "a..b", "ña",
     "vera\n", "../etc", "x;rm", "pages", "live"],
)  # fmt: skip
def test_refuses_names_that_cannot_be_system_accounts(session, name):
    with pytest.raises(AccountError) as caught:
        create_user(session, username=name, email="a@example.org")
    assert caught.value.field == "username"


@pytest.mark.parametrize("email", ["", "vera", "vera@", "@x.org", "vera@localhost", "a b@x.org",
                                   "a@x.org\nBcc: b@x.org", "x" * 300 + "@x.org"])  # fmt: skip
def test_refuses_what_is_no_email(session, email):
    with pytest.raises(AccountError) as caught:
        create_user(session, username="vera", email=email)
    assert caught.value.field == "email"


def test_names_and_emails_are_unique_whatever_their_case(session, vera):
    with pytest.raises(TakenError):
        create_user(session, username="vera", email="other@example.org")
    with pytest.raises(TakenError):
        create_user(session, username="vera2", email="VERA@example.ORG")
    assert find_by_email(session, "VERA@example.org").id == vera.id


def test_a_weak_password_leaves_no_account(session):
    with pytest.raises(WeakPasswordError):
        create_user(session, username="vera", email="vera@example.org", password="12345")
    assert session.query(User).count() == 0


def test_only_a_superuser_adds_staff(session, vera):
    boss = create_user(session, username="boss", email="boss@example.org", is_superuser=True)
    assert boss.is_staff
    night = create_user(
        session, username="night", email="night@example.org", is_staff=True, by=boss
    )
    for by in (vera, night):
        with pytest.raises(NotAllowedError):
            create_user(session, username="more", email="m@example.org", is_staff=True, by=by)
    with pytest.raises(NotAllowedError):
        switch_off(session, boss, by=night)
    with pytest.raises(NotAllowedError):
        switch_off(session, boss, by=boss)
    with pytest.raises(NotAllowedError):
        switch_off(session, night, by=vera)


def test_a_change_asks_for_the_old_password(session, vera):
    before = vera.password_changed
    with pytest.raises(WrongPasswordError):
        change_password(session, vera, old="wrong", new="another-tin!owl")
    with pytest.raises(WeakPasswordError):
        change_password(session, vera, old=GOOD, new="vera1234")
    assert authenticate(session, "vera", GOOD).outcome is Outcome.OK
    change_password(session, vera, old=GOOD, new="another-tin!owl")
    assert vera.password_changed > before
    assert authenticate(session, "vera", GOOD).outcome is Outcome.REFUSED
    assert authenticate(session, "vera", "another-tin!owl").outcome is Outcome.OK


def test_guessing_the_old_password_is_locked_too(session, vera):
    for _ in range(attempts.LOCK_FAILURES):
        with pytest.raises(WrongPasswordError):
            change_password(session, vera, old="wrong", new="another-tin!owl")
    with pytest.raises(WrongPasswordError, match="Too many"):
        change_password(session, vera, old=GOOD, new="another-tin!owl")


def test_suggested_names_are_free_and_legal(session, vera):
    assert suggest_username(session, "vera@elsewhere.org") == "vera2"
    assert suggest_username(session, "root@x.org") == "root2"
    assert suggest_username(session, "7.7@x.org") == "observer"
    assert suggest_username(session, "A.Very.Long.Name.Indeed.Of.Somebody@x.org").isalnum()
