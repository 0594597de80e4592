"""Accounts are tested with argon2 at its cheapest: what it costs is tested on its own."""

import argon2
import pytest

from goodman_live.hub.accounts import passwords


@pytest.fixture(autouse=True)
def _cheap_hashes(request, monkeypatch):
    if request.module.__name__.endswith("test_passwords"):
        yield
        return
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", cheap)
    passwords._no_password.cache_clear()
    yield
    passwords._no_password.cache_clear()
