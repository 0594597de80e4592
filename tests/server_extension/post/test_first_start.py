"""The first superuser: made once, invited, and not made where there is one."""

import pytest
from sqlalchemy import select

from goodman_live.hub.accounts.errors import AccountError
from goodman_live.hub.accounts.models import OutgoingMail, User
from goodman_live.hub.accounts.users import create_user
from goodman_live.server_extension.people import welcome_superuser


def test_the_first_start_makes_and_invites_one_superuser(session):
    for _ in range(2):
        welcome_superuser(session, "Chief@example.org")
        session.commit()
    [chief] = session.scalars(select(User))
    assert (chief.email, chief.is_superuser, chief.is_staff) == ("chief@example.org", True, True)
    assert chief.password_hash == ""
    [letter] = session.scalars(select(OutgoingMail))
    assert (letter.user_id, letter.kind) == (chief.id, "invitation")


def test_nobody_is_made_one_by_an_address_that_belongs_to_an_account(session):
    create_user(session, username="vera", email="vera@example.org")
    with pytest.raises(AccountError):
        welcome_superuser(session, "vera@example.org")


def test_without_an_address_it_is_said_how(session, caplog):
    welcome_superuser(session, "")
    assert "GOODMAN_SUPERUSER_EMAIL" in caplog.text
    assert not session.scalars(select(User)).all()
