"""Proposals: ids, members, who may change what."""

from datetime import UTC, datetime

import pytest

from goodman_live.hub.accounts.errors import AccountError, NotAllowedError, TakenError
from goodman_live.hub.accounts.lists import semester_of
from goodman_live.hub.accounts.proposals import (
    NO_ABSTRACT,
    NO_TITLE,
    SHARED,
    add_collaborator,
    create_proposal,
    ensure_shared,
    find_proposal,
    groups_of,
    is_usual,
    member_soar_ids,
    next_soar_id,
    remove_collaborator,
)
from goodman_live.hub.accounts.users import create_user, switch_off


@pytest.fixture
def people(session):
    def make(name, **more):
        return create_user(session, username=name, email=f"{name}@example.org", **more)

    return {
        "pi": make("pi-one"),
        "other": make("other"),
        "staff": make("night", is_staff=True),
        "collaborator": make("helper"),
    }


@pytest.fixture
def proposal(session, people):
    return create_proposal(session, soar_id="SOAR2026B-013", pi=people["pi"])


def test_defaults_of_an_empty_proposal(proposal):
    assert (proposal.title, proposal.abstract) == (NO_TITLE, NO_ABSTRACT)
    assert (NO_TITLE, NO_ABSTRACT) == ("Title not provided", "No abstract available")
    assert proposal.semester == "2026B"


def test_the_next_id_follows_semester_and_count(session, proposal):
    assert next_soar_id(session, "2026B") == "SOAR2026B-014"
    assert next_soar_id(session, "2027A") == "SOAR2027A-001"


@pytest.mark.parametrize(
    ("day", "semester"),
    [((2026, 1, 31), "2025B"), ((2026, 2, 1), "2026A"), ((2026, 7, 31), "2026A"),
     ((2026, 8, 1), "2026B"), ((2026, 12, 31), "2026B")],
)  # fmt: skip
def test_semesters_turn_in_february_and_august(day, semester):
    assert semester_of(datetime(*day, tzinfo=UTC)) == semester


@pytest.mark.parametrize(
    "soar_id",
    ["SOAR2026B-013", "CN2022A-822501", "TOM2020A-005", "GHTS_ENGINEERING", "SOAR", "calibrate"],
)  # fmt: skip
def test_ids_that_occur_are_usual_and_accepted(session, soar_id):
    assert is_usual(soar_id)
    assert create_proposal(session, soar_id=soar_id).soar_id == soar_id


def test_an_odd_id_is_accepted_but_not_usual(session):
    assert not is_usual("SOAR2O26B-013")
    create_proposal(session, soar_id="SOAR2O26B-013")


@pytest.mark.parametrize("soar_id", ["", " ", "../x", "a b", "x" * 81, "<b>", "-x"])
def test_ids_that_no_folder_can_carry_are_refused(session, soar_id):
    with pytest.raises(AccountError):
        create_proposal(session, soar_id=soar_id)


def test_an_id_exists_once(session, proposal):
    with pytest.raises(TakenError):
        create_proposal(session, soar_id="SOAR2026B-013")


def test_only_staff_make_proposals(session, people):
    with pytest.raises(NotAllowedError):
        create_proposal(session, soar_id="SOAR2026B-099", by=people["pi"])
    create_proposal(session, soar_id="SOAR2026B-099", by=people["staff"])


def test_shared_proposals_exist_from_the_start_and_once(session):
    ensure_shared(session)
    ensure_shared(session)
    assert all(find_proposal(session, soar_id) for soar_id in SHARED)


def test_membership_and_groups(session, people, proposal):
    add_collaborator(session, proposal, "HELPER@example.org", by=people["pi"])
    for member in ("pi", "collaborator"):
        assert member_soar_ids(session, people[member]) == ["SOAR2026B-013"]
        assert groups_of(session, people[member]) == ["proposal:SOAR2026B-013"]
    assert member_soar_ids(session, people["other"]) == []
    assert groups_of(session, people["staff"]) == ["staff"]
    remove_collaborator(session, proposal, "helper@example.org", by=people["pi"])
    assert member_soar_ids(session, people["collaborator"]) == []


def test_an_unknown_email_becomes_a_user_who_cannot_sign_in_yet(session, people, proposal):
    user, new = add_collaborator(session, proposal, "jocelyn@example.org", by=people["pi"])
    assert new
    assert (user.username, user.password_hash, user.is_staff) == ("jocelyn", "", False)
    assert add_collaborator(session, proposal, "jocelyn@example.org", by=people["pi"]) == (
        user,
        False,
    )
    assert proposal.collaborators == [user]


def test_the_pi_is_not_added_twice(session, people, proposal):
    add_collaborator(session, proposal, "pi-one@example.org", by=people["staff"])
    assert proposal.collaborators == []


def test_collaborators_and_strangers_change_nothing(session, people, proposal):
    add_collaborator(session, proposal, "helper@example.org", by=people["pi"])
    for who in ("collaborator", "other"):
        with pytest.raises(NotAllowedError):
            add_collaborator(session, proposal, "x@example.org", by=people[who])
        with pytest.raises(NotAllowedError):
            remove_collaborator(session, proposal, "helper@example.org", by=people[who])
    switch_off(session, people["pi"])
    with pytest.raises(NotAllowedError):
        add_collaborator(session, proposal, "x@example.org", by=people["pi"])


def test_removing_nobody_is_said(session, people, proposal):
    with pytest.raises(AccountError, match="Nobody"):
        remove_collaborator(session, proposal, "other@example.org", by=people["pi"])
