"""Whose webhooks are whose: members make them, owners see them, staff may remove them."""

import pytest

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, load_viewer
from goodman_live.server_extension.engine.courier import CourierRules, RefusedAddressError
from goodman_live.server_extension.webhooks import (
    MOST,
    NewWebhook,
    add_webhook,
    drop_webhook,
    own_webhooks,
)

OURS = "SOAR2026B-001"
RULES = CourierRules(("hooks.example.org",))
NEW = NewWebhook(url="https://hooks.example.org/a", proposal_id=OURS)


@pytest.fixture
def session(catalogue):
    with catalogue.write() as session:
        people = {
            name: User(username=name, email=f"{name}@a.example", is_staff=name == "staff")
            for name in ("pi", "mate", "stranger", "staff")
        }
        session.add_all(people.values())
        mates = [people["mate"]]
        session.add(Proposal(soar_id=OURS, title="Ours", pi=people["pi"], collaborators=mates))
        session.flush()
        yield session


def viewer(session, name):
    return load_viewer(session, name)


def test_members_and_staff_make_them_and_see_their_own(session):
    made = {
        name: add_webhook(session, viewer(session, name), NEW, RULES)
        for name in ("pi", "mate", "staff")
    }
    assert len({hook.secret for hook in made.values()}) == 3
    for name, hook in made.items():
        (found,) = own_webhooks(session, viewer(session, name)).results
        assert found.id == hook.id
        assert not hasattr(found, "secret")


def test_strangers_do_not_and_learn_nothing(session):
    stranger = viewer(session, "stranger")
    for soar_id in (OURS, "SOAR2026B-999"):
        new = NewWebhook(url=NEW.url, proposal_id=soar_id)
        with pytest.raises(NotFoundError, match=f"no proposal {soar_id}"):
            add_webhook(session, stranger, new, RULES)
    hook = add_webhook(session, viewer(session, "pi"), NEW, RULES)
    for number in (hook.id, 999, 2**40):
        with pytest.raises(NotFoundError):
            drop_webhook(session, stranger, number)
    assert own_webhooks(session, stranger).results == []


def test_owners_and_staff_remove_them(session):
    for remover in ("mate", "staff"):
        hook = add_webhook(session, viewer(session, "mate"), NEW, RULES)
        assert drop_webhook(session, viewer(session, remover), hook.id).id == hook.id
        assert own_webhooks(session, viewer(session, "mate")).results == []


def test_what_the_operator_does_not_allow(session):
    for rules in (CourierRules(), CourierRules(("other.example",))):
        with pytest.raises(RefusedAddressError):
            add_webhook(session, viewer(session, "pi"), NEW, rules)
    with pytest.raises(ConflictError):
        add_webhook(session, LOCAL_OWNER, NEW, RULES)
    for _ in range(MOST):
        add_webhook(session, viewer(session, "pi"), NEW, RULES)
    with pytest.raises(ConflictError):
        add_webhook(session, viewer(session, "pi"), NEW, RULES)
