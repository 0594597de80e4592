"""The four rules with their documented texts, and hashes that tell nothing."""

import statistics
import time

import pytest

from goodman_live.hub.accounts.errors import WeakPasswordError
from goodman_live.hub.accounts.passwords import (
    ALL_NUMERIC,
    TOO_COMMON,
    TOO_SHORT,
    TOO_SIMILAR,
    check_password,
    hash_password,
    is_common,
    needs_rehash,
    verify_password,
)

PERSONAL = ("vrubin", "Vera", "Rubin", "vera.rubin@carnegie.example")


def broken(password, personal=PERSONAL):
    try:
        check_password(password, personal)
    except WeakPasswordError as error:
        return set(error.rules)
    return set()


@pytest.mark.parametrize(
    ("password", "rules"),
    [
        ("dusk!over7Pachon-ridge", set()),
        ("short7!", {TOO_SHORT}),
        ("vera.rubin", {TOO_SIMILAR}),
        ("Rubin2026", {TOO_SIMILAR}),
        ("nibur.arev", {TOO_SIMILAR}),
        ("carnegie1", {TOO_SIMILAR}),
        ("vera1234", {TOO_SIMILAR}),
        ("password", {TOO_COMMON}),
        ("P@ssw0rd!", {TOO_COMMON}),
        ("1qaz2wsx3edc", {TOO_COMMON}),
        ("83749265018", {ALL_NUMERIC}),
        ("12345678", {TOO_COMMON, ALL_NUMERIC}),
        ("1234", {TOO_SHORT, ALL_NUMERIC}),
        ("", {TOO_SHORT, TOO_COMMON}),
    ],
)
def test_each_rule_and_each_of_them_alone(password, rules):
    assert broken(password) == rules


def test_the_texts_are_those_of_the_manual():
    assert TOO_SIMILAR == (
        "Your password can't be too similar to your other personal information."
    )
    assert TOO_SHORT == "Your password must contain at least 8 characters."
    assert TOO_COMMON == "Your password can't be a commonly used password."
    assert ALL_NUMERIC == "Your password can't be entirely numeric."


@pytest.mark.parametrize(
    "password", ["Summer2026!", "soar2026", "aaaaaaaa", "abcabcabc", "Qwertyui1"]
)
def test_disguised_words_are_common(password):
    assert is_common(password)


@pytest.mark.parametrize("password", ["tin lamp ridge owl", "kj3hKD93jd", "x7-Quena-plays"])
def test_passphrases_and_random_strings_are_not(password):
    assert not is_common(password)


def test_an_endless_password_is_refused_and_costs_nothing():
    assert broken("x7" * 4000)
    started = time.process_time()
    assert not verify_password(hash_password("dusk!over7"), "dusk!over7" * 100_000)
    assert time.process_time() - started < 5


def test_hash_verifies_and_is_salted():
    one, two = hash_password("dusk!over7"), hash_password("dusk!over7")
    assert one != two
    assert one.startswith("$argon2id$")
    assert verify_password(one, "dusk!over7")
    assert not verify_password(one, "dusk!over8")
    assert not needs_rehash(one)


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$broken", "$2b$12$abcdefghijkl"])
def test_no_stored_hash_matches_anything(stored):
    for password in ("", stored, "no password at all", "dusk!over7"):
        assert not verify_password(stored, password)


def test_an_unknown_user_costs_what_a_wrong_password_costs():
    stored = hash_password("dusk!over7")
    verify_password("", "warm up")

    def cost(password_hash):
        spent = []
        for _ in range(5):
            started = time.process_time()
            verify_password(password_hash, "wrong")
            spent.append(time.process_time() - started)
        return statistics.median(spent)

    # Processor time, not the clock: a loaded machine must not decide.
    assert cost("") == pytest.approx(cost(stored), rel=0.5)
