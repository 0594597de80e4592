"""Who may raise, change and switch off whom: tried from below."""

import pytest

from goodman_live.hub.accounts import links
from goodman_live.hub.accounts.errors import BadLinkError
from goodman_live.hub.accounts.models import User

ABOVE = [
    {"is_staff": True},
    {"is_staff": False},
    {"email": "mine@evil.example"},
    {"is_active": False},
    {"first_name": "Mallory"},
    {"notifications": {"new_product": True}},
]


@pytest.mark.parametrize("change", ABOVE)
@pytest.mark.parametrize("target", ["super", "staff"])
def test_staff_change_neither_a_superuser_nor_their_own_rights(as_, world, change, target):
    if target == "staff" and set(change) & {"first_name", "notifications"}:
        pytest.skip("one's own name")
    before = as_("super").get(f"api/users/{world.users[target]}/").json()
    answer = as_("staff").patch(f"api/users/{world.users[target]}/", json=change)
    assert answer.status_code == 403, answer.text
    assert as_("super").get(f"api/users/{world.users[target]}/").json() == before


@pytest.mark.parametrize(
    "body",
    [
        {"is_superuser": True},
        {"password": "x"},
        {"password_hash": "x"},
        {"username": "root"},
        {"is_staff": True},
        {"email": "mine@evil.example"},
        {"is_active": True},
    ],
)
def test_a_profile_holds_no_right(as_, body):
    for name in ("mate", "staff", "super"):
        assert as_(name).patch("api/users/me/", json=body).status_code == 400, name


def test_only_a_superuser_makes_staff_whatever_the_way(as_):
    new = {"email": "new-staff@example.org", "is_staff": True}
    assert as_("staff").post("api/users/", json=new).status_code == 403
    for extra in ({"is_superuser": True}, {"password": "dusk!over7Pachon"}):
        answer = as_("super").post("api/users/", json={"email": "x@example.org", **extra})
        assert answer.status_code == 400
    made = as_("super").post("api/users/", json=new)
    assert made.status_code == 201
    assert made.json()["is_staff"]
    down = as_("super").patch(f"api/users/{made.json()['id']}/", json={"is_staff": False})
    assert not down.json()["is_staff"]


def test_a_superuser_stays_staff(as_, world):
    answer = as_("super").patch(f"api/users/{world.users['super']}/", json={"is_staff": False})
    assert answer.status_code == 403


def test_a_corrected_address_ends_the_links_sent_to_the_old_one(as_, service):
    staff = as_("staff")
    user = staff.post("api/users/", json={"email": "typo@example.org"}).json()
    catalogue = service.catalogue()
    with catalogue.stepwise() as session:
        token = links.issue(session, session.get_one(User, user["id"]), links.Purpose.INVITATION)
    path = f"api/users/{user['id']}/"
    taken = staff.patch(path, json={"email": "PI@example.org"})
    assert (taken.status_code, taken.json()["field"]) == (409, "email")
    assert staff.patch(path, json={"email": "Right@Example.org"}).json()["email"] == (
        "right@example.org"
    )
    with catalogue.read() as session, pytest.raises(BadLinkError):
        links.look_up(session, token)
    catalogue.close()


def test_a_pi_reaches_one_proposal_and_a_collaborator_changes_none(as_, world):
    body = {"email": "x@example.org", "action": "add"}
    theirs, ours = (
        f"api/proposals/collaborators/{world.proposals[name]}/" for name in ("theirs", "ours")
    )
    assert as_("pi").post(theirs, json=body).status_code == 404
    for action in ("add", "remove"):
        answer = as_("mate").post(ours, json={"email": "mate@example.org", "action": action})
        assert answer.status_code == 403
    assert as_("pi").patch(f"api/proposals/{world.proposals['ours']}/", json={}).status_code == 403


def test_a_change_of_membership_acts_on_the_next_request(as_, world):
    path = f"api/proposals/collaborators/{world.proposals['ours']}/"
    file = f"api/files/{world.files['ours']}/"
    rival, pi = as_("rival"), as_("pi")
    for _ in range(5):
        assert rival.get(file).status_code == 404
        assert pi.post(path, json={"email": "rival@example.org", "action": "add"}).is_success
        assert rival.get(file).status_code == 200
        assert pi.post(path, json={"email": "RIVAL@example.org", "action": "remove"}).is_success
    assert rival.get(file).status_code == 404
