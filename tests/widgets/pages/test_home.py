"""What is new since the last visit, and how a proposal is shown."""

from datetime import UTC, datetime

import pytest

from goodman_live.widgets.pages import home, proposal_words
from tests.widgets.service import make_file

NOW = datetime(2026, 8, 16, 12, 0, tzinfo=UTC)
KEPT = {
    "last": {"SOAR1": [5, 9]},
    "at": "2026-08-16T09:00:00+00:00",
    "base": {"SOAR1": [1, 1]},
    "since": "2026-08-14T00:00:00+00:00",
}


def test_a_later_visit_counts_from_the_last_one():
    assert home.last_visit(KEPT, NOW) == ({"SOAR1": [5, 9]}, KEPT["at"])


def test_a_reload_soon_after_still_tells_the_news():
    kept = {**KEPT, "at": "2026-08-16T11:50:00+00:00"}
    assert home.last_visit(kept, NOW) == ({"SOAR1": [1, 1]}, KEPT["since"])


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"at": "yesterday", "last": {}},
        {**KEPT, "last": [1]},
        {"at": "2026-08-16T11:59:00+00:00", "last": {}},
    ],
)
def test_a_first_visit_and_spoilt_options_have_no_news(kept):
    assert home.last_visit(kept, NOW) == ({}, "")


def test_news_are_words():
    assert home.words_of_news(1, 30) == "1 frame, 30 products"
    assert home.words_of_news(0, 0) == ""


def test_what_there_was_no_room_to_remember_is_not_new():
    base = {f"P{number}": [3, 5] for number in range(home.REMEMBERED)}
    counts = {"P1": [4, 5], "Q": [70, 90]}
    assert home.news_of("P1", counts, base) == (1, 0)
    assert home.news_of("Q", counts, base) == (0, 0)
    assert home.news_of("Q", counts, {"P1": [3, 5]}) == (70, 90)


PERSON = {"id": 4, "username": "ada", "first_name": "Ada", "last_name": "", "is_staff": False}
PROPOSAL = {
    "id": 9,
    "soar_id": "SOAR2026B-001&x=1",
    "title": "T",
    "abstract": "word " * 60,
    "user": PERSON,
    "collaborators": [{**PERSON, "id": 5}],
}


def test_an_odd_id_stays_within_its_address():
    assert proposal_words.data_links(PROPOSAL["soar_id"])["table"].endswith(
        "=SOAR2026B-001%26x%3D1"
    )


@pytest.mark.parametrize(
    ("me", "member", "leads"),
    [
        ({"id": 4}, True, True),
        ({"id": 5}, True, False),
        ({"id": 6}, False, False),
        ({"id": 6, "is_staff": True}, True, True),
    ],
)
def test_who_belongs_and_who_leads(me, member, leads):
    assert proposal_words.is_member(PROPOSAL, me) is member
    assert proposal_words.may_lead(PROPOSAL, me) is leads
    keys = {one["key"] for one in proposal_words.row(PROPOSAL, me)["actions"]}
    assert ("settings" in keys) is member


def test_a_long_abstract_is_cut_at_a_word():
    assert proposal_words.shorten(PROPOSAL["abstract"]).endswith("word …")


async def test_nights_are_asked_once_a_part_at_a_time_and_again_for_new_frames(
    client, service, monkeypatch
):
    monkeypatch.setattr(home, "MOST_ASKED", 2)
    service.state.files = {
        number: make_file(number, proposal_id=name, night=f"2026081{number}")
        for number, name in ((1, "A"), (2, "B"), (3, "C"))
    }
    page = home.HomePage(client)
    names, counts = ["A", "B", "C", "empty"], {"A": [1, 0], "B": [1, 4], "C": [1, 0]}
    assert await page._newest(names, counts) == {"A": "20260811", "B": "20260812"}
    assert page.table._soon._asked.is_set()  # the rest follows
    every = {"A": "20260811", "B": "20260812", "C": "20260813"}
    assert await page._newest(names, counts) == every
    service.state.asked.clear()
    assert await page._newest(names, counts) == every
    assert service.state.asked == []
    service.state.files[4] = make_file(4, proposal_id="A", night="20260820")
    assert (await page._newest(names, {**counts, "A": [2, 0]}))["A"] == "20260820"
    assert len(service.state.asked) == 1
