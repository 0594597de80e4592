"""The operator's commands on accounts, on both databases."""

import re

import pytest
from click.testing import CliRunner

from goodman_live.hub import manage
from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.users import Outcome, authenticate, find_user

GOOD = "tin-lamp!ridge"


@pytest.fixture
def run(engine, database_url, monkeypatch):
    monkeypatch.setenv("GOODMAN_DATABASE", database_url)
    return lambda *words: CliRunner().invoke(manage.main, list(words))


def test_the_first_superuser_sets_a_password_by_the_printed_link(run, session):
    answer = run("create-user", "chief", "chief@example.org", "--superuser")
    assert answer.exit_code == 0, answer.output
    token = re.search(r"token=(\S+)", answer.output)[1]
    links.use(session, token, GOOD)
    user = find_user(session, "chief")
    assert user.is_superuser
    assert user.is_staff
    assert authenticate(session, "chief", GOOD).outcome is Outcome.OK


def test_an_account_is_switched_off_and_on(run, session):
    run("create-user", "vera", "vera@example.org")
    for command, active in (("switch-off", False), ("switch-on", True)):
        assert run(command, "Vera@Example.org").exit_code == 0
        session.expire_all()
        assert find_user(session, "vera").is_active is active
    assert "token=" in run("password-link", "vera").output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("password-link", "nobody"), "no account"),
        (("create-user", "root", "r@example.org"), "reserved"),
        (("create-user", "vera", "nonsense"), "not an e-mail"),
    ],
)
def test_what_cannot_be_done_is_said(run, words, says):
    answer = run(*words)
    assert answer.exit_code != 0
    assert says in str(answer.output) + str(answer.exception)


def test_a_database_without_tables_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("GOODMAN_DATABASE", f"sqlite:///{tmp_path}/empty.sqlite")
    answer = CliRunner().invoke(manage.main, ["switch-off", "vera"])
    assert answer.exit_code != 0
    assert "start the Hub once" in answer.output


def test_a_semester_is_imported_dry_run_first(run, session, tmp_path):
    file = tmp_path / "2026B.csv"
    file.write_bytes(
        b"\xef\xbb\xbfsoar_id,pi_email,collaborators\r\n"
        b"SOAR2026B-013,ana@example.org,ben@example.org eva@example.org\r\n"
    )
    dry = run("import-semester", str(file))
    assert dry.exit_code == 0, dry.output
    assert (
        "1 new proposals, 3 new accounts, 3 letters, 0 errors: nothing was changed." in dry.output
    )
    session.expire_all()
    assert find_user(session, "ana") is None
    assert "done." in run("import-semester", str(file), "--apply").output
    session.rollback()
    assert find_user(session, "ana") is not None
    file.write_bytes(b"soar_id,pi_email\nSOAR2026B-014,nobody\n")
    wrong = run("import-semester", str(file), "--apply")
    assert wrong.exit_code == 1
    assert "line 2: ERROR" in wrong.output
    file.write_bytes(b"\xff\xfe\x00")
    assert run("import-semester", str(file)).exit_code != 0
