"""Guessing is slowed and locked, and its victim is not locked out."""

from datetime import timedelta

import pytest

from goodman_live.hub.accounts import attempts
from goodman_live.hub.accounts.models import SignInAttempts, utc_now
from goodman_live.hub.accounts.users import Outcome, authenticate, create_user

GOOD = "tin-lamp!ridge"
HOME, AFAR = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def vera(session):
    return create_user(session, username="vera", email="vera@example.org", password=GOOD)


def fail(session, times, name="vera", address=AFAR):
    for _ in range(times):
        attempts.note_failure(session, name, address)


def test_whoever_guesses_from_afar_locks_out_himself(session, vera):
    fail(session, attempts.LOCK_FAILURES)
    assert authenticate(session, "vera", GOOD, AFAR).outcome is Outcome.LOCKED
    assert attempts.delay_s(session, "vera", HOME) == 0
    assert authenticate(session, "vera", GOOD, HOME).outcome is Outcome.OK


def test_many_addresses_together_are_locked_and_the_owners_own_is_not(session, vera):
    authenticate(session, "vera", GOOD, HOME)
    for number in range(attempts.NAME_FAILURES):
        attempts.note_failure(session, "vera", f"203.0.113.{number}")
    assert authenticate(session, "vera", GOOD, "192.0.2.1").outcome is Outcome.LOCKED
    assert attempts.delay_s(session, "vera", "192.0.2.1") == attempts.MAX_DELAY_S
    assert attempts.delay_s(session, "vera", HOME) == 0
    assert authenticate(session, "vera", GOOD, HOME).outcome is Outcome.OK


def test_one_address_that_tries_many_names_is_locked(session, vera):
    for number in range(attempts.ADDRESS_FAILURES):
        attempts.note_failure(session, f"name{number}", AFAR)
    assert authenticate(session, "vera", GOOD, AFAR).outcome is Outcome.LOCKED
    later = utc_now() + attempts.LOCK_TIME + timedelta(seconds=1)
    assert attempts.locked_until(session, "vera", AFAR, later) is None


def test_a_lock_ends_and_the_next_failure_begins_it_anew(session, vera):
    fail(session, attempts.LOCK_FAILURES)
    later = utc_now() + attempts.LOCK_TIME + timedelta(seconds=1)
    assert attempts.locked_until(session, "vera", AFAR, later) is None
    attempts.note_failure(session, "vera", AFAR, later)
    assert attempts.locked_until(session, "vera", AFAR, later) is not None


def test_names_in_another_case_are_the_same_name(session, vera):
    for name in ("VERA", " vera", "Vera ", "v\0era", "vera\0 ") * 2:
        attempts.note_failure(session, name, AFAR)
    assert authenticate(session, "vErA", GOOD, AFAR).outcome is Outcome.LOCKED


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 100_000, "\ud800", "ñ" * 70])
def test_whatever_is_typed_is_counted_and_kept_by_nobody(session, name):
    attempts.note_failure(session, name, AFAR)
    assert all(len(row.name) <= 64 for row in session.query(SignInAttempts))
    assert not name or not any(name[:5] in row.name for row in session.query(SignInAttempts))


def test_an_address_that_asks_too_often_waits(session):
    assert [attempts.may_ask(session, AFAR) for _ in range(attempts.LOCK_FAILURES + 1)] == [
        True
    ] * attempts.LOCK_FAILURES + [False]
    assert attempts.may_ask(session, HOME)
