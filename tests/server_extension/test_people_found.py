"""Proposals are found by their PI, and people by their whole name, on both databases."""

import pytest

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, load_viewer
from goodman_live.server_extension.proposals import ProposalQuery, page_of_proposals
from goodman_live.server_extension.users import UserQuery, page_of_users


@pytest.fixture
def people(session):
    ada = User(username="ada", email="a@x.example", first_name="Ada", last_name="Love_lace")
    bob = User(username="bob", email="b@x.example", last_name="Ny%berg", is_active=True)
    one, two = Proposal(soar_id="A", pi=ada), Proposal(soar_id="B", pi=bob, title="Of A stars")
    session.add_all([ada, bob, one, two, Proposal(soar_id="C")])
    session.commit()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ada love_", ["A"]),
        ("ADA", ["A"]),
        ("a stars", ["B"]),
        ("y%b", ["B"]),
        ("a%e", []),
        ("", ["A", "B", "C"]),
    ],
)
def test_a_proposal_is_found_by_id_title_and_pi(people, session, text, found):
    page = page_of_proposals(session, LOCAL_OWNER, ProposalQuery(search=text))
    assert sorted(one.soar_id for one in page.results) == found
    assert page.count == len(found)


def test_nobody_finds_anothers_proposal_by_its_pi(people, session):
    bob = load_viewer(session, "bob")
    assert page_of_proposals(session, bob, ProposalQuery(search="ada")).results == []
    assert page_of_proposals(session, bob, ProposalQuery(search="nyb")).results == []
    assert page_of_proposals(session, bob, ProposalQuery(search="ny%b")).count == 1


@pytest.mark.parametrize(
    ("text", "found"), [("ada love", ["ada"]), ("x.example", ["ada", "bob"]), ("da_lo", [])]
)
def test_people_are_found_by_their_whole_name(people, session, text, found):
    page = page_of_users(session, UserQuery(search=text))
    assert sorted(one.username for one in page.results) == found
