"""Who sees and who changes: one table of cases, checked in lists, counts and single rows."""

from datetime import timedelta

import pytest

from goodman_live.hub.accounts.models import Proposal, User, utc_now
from goodman_live.server_extension.catalogue import queries
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.catalogue.models import Event, Frame
from goodman_live.server_extension.catalogue.permission import is_member, may_change, may_see
from goodman_live.server_extension.catalogue.queries import (
    Filters,
    count_frames,
    facets,
    get_frame,
    list_frames,
)
from goodman_live.server_extension.catalogue.viewer import (
    LOCAL_OWNER,
    load_viewer,
    refresh_viewer,
)
from goodman_live.server_extension.engine.events import append_event, events_since

PAST, FUTURE = utc_now() - timedelta(days=1), utc_now() + timedelta(days=1)
FRAMES = {
    "mine": {"proposal_id": "A"},
    "other": {"proposal_id": "B"},
    "nobody": {"proposal_id": ""},
    "calibrate": {"proposal_id": "calibrate"},
    "master": {"proposal_id": "B", "data_type": 1},
    "public": {"proposal_id": "B", "public_date": PAST},
    "not_yet": {"proposal_id": "B", "public_date": FUTURE},
    "closed": {"proposal_id": "C", "public_date": PAST},
    "opened": {"proposal_id": "D"},
    "private_mine": {"proposal_id": "calibrate", "owner_id": 1},
    "private_other": {"proposal_id": "A", "owner_id": 2},
}
SHARED = {"calibrate", "master", "public", "opened"}
SEES = {
    "pi": SHARED | {"mine", "private_mine"},
    "member": SHARED | {"mine", "private_other"},
    "stranger": SHARED,
    "off": set(),
    "staff": set(FRAMES),
}
CHANGES = {
    "pi": {"mine", "private_mine"},
    "member": {"mine", "private_other"},
    "stranger": set(),
    "off": set(),
    "staff": set(FRAMES),
}


@pytest.fixture
def people(catalogue):
    with catalogue.write() as session:
        names = ("pi", "member", "stranger", "off", "staff")
        users = {
            name: User(id=number, username=name, email=f"{name}@example.org")
            for number, name in enumerate(names, 1)
        }
        users["staff"].is_staff = True
        session.add_all(users.values())
        session.flush()
        session.add_all(
            [
                Proposal(soar_id="A", pi=users["pi"], collaborators=[users["member"]]),
                Proposal(soar_id="B"),
                Proposal(soar_id="C", public_date=FUTURE),
                Proposal(soar_id="D", public_date=PAST),
            ]
        )
        viewers = {name: load_viewer(session, name) for name in names}
        users["off"].is_active = False
        for name, values in FRAMES.items():
            frame = Frame(file_name=f"{name}.fits", directory_name="/raw", **values)
            session.add(frame)
            session.flush()
            append_event(session, "frame.added", about=frame, name=name)
    return viewers


def names_of(frames):
    return {frame.file_name.removesuffix(".fits") for frame in frames}


@pytest.mark.parametrize("few", [0, 10**9], ids=["walked", "gathered"])
@pytest.mark.parametrize("who", SEES)
def test_sees(catalogue, people, who, few, monkeypatch):
    monkeypatch.setattr(queries, "FEW", few)
    monkeypatch.setattr(queries, "GATHER", 10**9)
    with catalogue.read() as session:
        page = list_frames(session, people[who], page_size=100)
        assert names_of(page.frames) == SEES[who]
        assert page.count == count_frames(session, people[who]) == len(SEES[who])
        found = facets(session, people[who], names=["data_type"])["data_type"]
        assert sum(number for _, number in found) == len(SEES[who])


@pytest.mark.parametrize("who", SEES)
def test_single_frames_agree_with_the_list(catalogue, people, who):
    with catalogue.read() as session:
        for frame in session.query(Frame):
            name = frame.file_name.removesuffix(".fits")
            assert may_see(session, people[who], frame) == (name in SEES[who])
            assert may_change(session, people[who], frame) == (name in CHANGES[who])
            if name in SEES[who]:
                assert get_frame(session, people[who], frame.id) is frame
            else:
                with pytest.raises(NotFoundError):
                    get_frame(session, people[who], frame.id)


@pytest.mark.parametrize("who", SEES)
def test_events_have_the_audience_of_their_frame(catalogue, people, who):
    with catalogue.read() as session:
        found, _ = events_since(session, people[who], 0)
        assert {event.data["name"] for event in found} == SEES[who]
        assert [event.id for event in found] == sorted(event.id for event in found)


def test_events_outlive_their_frame_but_not_the_membership(catalogue, people):
    with catalogue.write() as session:
        session.query(Frame).delete()
        proposal = session.query(Proposal).filter_by(soar_id="A").one()
        proposal.collaborators.clear()
    with catalogue.read() as session:
        found, last = events_since(session, people["member"], 0)
        assert {event.data["name"] for event in found} == SHARED
        assert last == session.query(Event).count()


def test_membership_acts_at_once(catalogue, people):
    with catalogue.write() as session:
        proposal = session.query(Proposal).filter_by(soar_id="A").one()
        proposal.collaborators.clear()
    with catalogue.read() as session:
        assert names_of(list_frames(session, people["member"]).frames) == SHARED
        assert not is_member(session, people["member"], "A")
        assert is_member(session, people["pi"], "A")


def test_switching_off_acts_at_once(catalogue, people):
    with catalogue.write() as session:
        staff = session.query(User).filter_by(username="staff").one()
        staff.is_active = False
    with catalogue.read() as session:
        assert refresh_viewer(session, people["staff"]) is None
        assert load_viewer(session, "staff") is None
        assert refresh_viewer(session, LOCAL_OWNER) == LOCAL_OWNER


def test_a_search_cannot_reach_further(catalogue, people):
    with catalogue.read() as session:
        for text in ("other", "%", "_", "' OR 1=1 --"):
            page = list_frames(session, people["stranger"], Filters(search=text), page_size=100)
            assert names_of(page.frames) <= SHARED
