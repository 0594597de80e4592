"""The people of the demonstration: made once, with passwords that stay."""

import pytest

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.passwords import check_password
from goodman_live.hub.accounts.proposals import SHARED, find_proposal
from goodman_live.hub.accounts.users import Outcome, authenticate, find_user, set_password
from goodman_live.hub.demo import people


@pytest.fixture
def settled(engine, database_url, tmp_path):
    file = tmp_path / "accounts.json"
    return database_url, file, people.settle_people(database_url, file)


def test_each_can_sign_in_and_the_file_is_private(settled):
    url, file, passwords = settled
    assert file.stat().st_mode & 0o777 == 0o600
    engine = make_engine(url)
    with session_factory(engine)() as session:
        for person in people.PEOPLE:
            answer = authenticate(session, person.username, passwords[person.username])
            assert answer.outcome is Outcome.OK
            assert answer.user.is_staff == person.is_superuser
            if person.proposal:
                assert find_proposal(session, person.proposal).pi_id == answer.user.id
        assert all(find_proposal(session, soar_id) for soar_id in SHARED)
    engine.dispose()


def test_a_second_start_changes_nothing(settled):
    url, file, passwords = settled
    assert people.settle_people(url, file) == passwords


def test_a_password_changed_in_the_browser_stays(settled):
    url, file, passwords = settled
    engine = make_engine(url)
    with session_factory(engine)() as session:
        set_password(session, find_user(session, "observer"), "another-tin!owl")
    assert people.settle_people(url, file) == passwords | {"observer": ""}
    engine.dispose()


def test_a_damaged_file_is_named(settled):
    url, file, _ = settled
    for text in ("{", "[]", '{"observer": 3}'):
        file.write_text(text)
        with pytest.raises(people.BadAccountsFileError, match=r"accounts\.json"):
            people.settle_people(url, file)


def test_made_passwords_keep_the_rules_and_differ():
    made = {people.make_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        check_password(password, ["observer", "First", "Observer"])
