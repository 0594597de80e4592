"""Tables and forms: paging, what is pressed, what is refused, and quiet on a busy night."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from ipywidgets.widgets import widget

from goodman_live.widgets.client.errors import ConflictError
from goodman_live.widgets.components.blocks import Place
from goodman_live.widgets.pages import forms
from goodman_live.widgets.pages.home import HomePage
from goodman_live.widgets.pages.listing import Calm, Found, Listing, Plan, column
from goodman_live.widgets.pages.logs import LogsPage
from goodman_live.widgets.pages.management import SECTIONS, ManagementPage
from goodman_live.widgets.pages.night import NightPage
from goodman_live.widgets.pages.proposals import ProposalsPage
from goodman_live.widgets.pages.search import SearchPage
from goodman_live.widgets.pages.shell import Shell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from goodman_live.widgets.client import AsyncClient


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not ready():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.02)


@pytest.fixture
async def shell(client: AsyncClient) -> AsyncIterator[Shell]:
    made = Shell(client, on_event=lambda _: None, on_live=lambda: None)
    yield made
    made.tasks.stop_all()
    await asyncio.sleep(0)


def listing(shell: Shell, count: int, asked: list[dict[str, Any]], **more: Any) -> Listing:
    async def read(filters: dict[str, Any]) -> Found:
        asked.append(filters)
        first = (filters["page"] - 1) * filters["page_size"]
        rows = [{"key": key} for key in range(count)][first : first + filters["page_size"]]
        return Found(rows, count)

    columns = [column("key", "Key", sort="id")]
    table = Listing(shell, Plan("T", columns, read, "Nothing.", page_size=10), **more)
    table.begin()
    return table


def tell(widget: Any, what: str, value: Any) -> None:
    widget._dispatch(widget, {"what": what, "value": value}, [])


async def test_pages_sorting_and_filters_reach_the_service(shell):
    asked: list[dict[str, Any]] = []
    table = listing(shell, 25, asked)
    await until(lambda: table.widget.rows)
    assert table.widget.pages == 3
    tell(table.widget, "page", 3)
    await until(lambda: len(table.widget.rows) == 5)
    tell(table.widget, "sort", "-id")
    await until(lambda: asked[-1].get("ordering") == "-id")
    assert asked[-1]["page"] == 1
    tell(table.widget, "filters", {"search": "x" * 999})
    await until(lambda: len(asked[-1].get("search", "")) == 200)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("page", 0),
        ("page", 99),
        ("page", "2"),
        ("sort", "password"),
        ("sort", None),
        ("filters", [1]),
        ("act", 3),
    ],
)
async def test_what_no_button_sends_is_dropped(shell, what, value):
    table = listing(shell, 25, [])
    await until(lambda: table.widget.rows)
    tell(table.widget, what, value)
    assert (table.widget.page, table.widget.ordering, table.filters) == (1, "", {})


async def test_a_page_that_is_gone_becomes_the_last_one(shell):
    table = listing(shell, 25, [])
    table.widget.page = table.widget.pages = 9
    await until(lambda: table.widget.page == 3 and len(table.widget.rows) == 5)


async def test_an_action_comes_with_its_row_and_only_of_this_page(shell):
    done: list[Any] = []
    table = listing(shell, 5, [], act=lambda key, row: done.append((key, row)))
    await until(lambda: table.widget.rows)
    tell(table.widget, "act", {"key": "off", "row": 77})
    tell(table.widget, "act", {"key": "off", "row": 2})
    assert done == [("off", {"key": 2})]


async def test_an_empty_table_says_so(shell):
    table = listing(shell, 0, [])
    await until(lambda: table.widget.state == "empty")
    assert table.widget.message == "Nothing."


async def test_much_that_happens_is_passed_on_once():
    told: list[int] = []
    calm = Calm(lambda: told.append(1), 0.01)
    for _ in range(500):
        calm.news()
    await until(lambda: told)
    assert told == [1]
    calm.news()
    await until(lambda: len(told) == 2)


async def test_a_refused_field_is_marked_and_others_are_said_below(shell):
    fields = ["email"]

    async def press(_: str, values: dict[str, Any]) -> str:
        if values["email"] == "taken":
            raise ConflictError("It belongs to an account.", field=fields[0])
        return "Done."

    form = forms.BoundForm(
        shell, press, groups=[{"label": "", "fields": [forms.text("email", "E")]}]
    )
    tell(form.widget, "press", {"key": "save", "values": {"email": "taken"}})
    await until(lambda: form.widget.faults and not form.widget.busy)
    assert "email" in form.widget.faults
    fields[0] = "elsewhere"
    tell(form.widget, "press", {"key": "save", "values": {"email": "taken"}})
    await until(lambda: form.widget.tone == "bad" and not form.widget.busy)
    assert form.widget.faults == {}
    tell(form.widget, "press", {"key": "save", "values": {"email": "free"}})
    await until(lambda: form.widget.message == "Done.")


async def test_filling_writes_what_the_reader_typed_over(shell):
    async def press(_: str, __: dict[str, Any]) -> str:
        return ""

    form = forms.BoundForm(shell, press)
    form.fill(note="")
    before = form.widget.values
    tell(form.widget, "change", {"key": "note", "values": {"note": "typed"}})
    form.fill(note="")
    assert form.widget.values != before
    assert form.values["note"] == ""


@pytest.mark.parametrize(
    "kind", [HomePage, SearchPage, ProposalsPage, NightPage, LogsPage, ManagementPage]
)
async def test_every_widget_is_made_before_the_page_is_shown(client: AsyncClient, kind: Any):
    """What is made later may be missed by a browser that takes the models over meanwhile."""
    page = kind(client)
    made = set(widget._instances)
    page.begin()
    if kind is ManagementPage:
        page._staff = True
        for part in SECTIONS:
            page.go(part)
    await asyncio.sleep(0.3)
    page.shell.tasks.stop_all()
    assert set(widget._instances) <= made


async def test_an_answer_to_what_is_no_longer_asked_is_not_shown(shell):
    held = asyncio.Event()

    async def read(filters: dict[str, Any]) -> Found:
        if not filters.get("search"):
            await held.wait()
        return Found([{"key": filters.get("search", "all")}], 1)

    table = Listing(shell, Plan("T", [column("key", "Key")], read, "Nothing."))
    seen: list[Any] = []
    table.widget.observe(lambda change: seen.append(change["new"]), "rows")
    table.begin()
    await asyncio.sleep(0.1)  # the first reading is under way
    tell(table.widget, "filters", {"search": "x"})
    held.set()
    await until(lambda: table.widget.rows == [{"key": "x"}])
    assert seen == [[{"key": "x"}]]


async def test_a_row_pressed_as_news_push_it_off_the_page_is_acted_on(shell):
    rows, done = [[{"key": 1, "name": "first"}], [{"key": 2, "name": "second"}]], []

    async def read(_: dict[str, Any]) -> Found:
        return Found(rows[0], 1)

    plan = Plan("T", [column("name", "Name")], read, "Nothing.", page_size=1)
    table = Listing(shell, plan, lambda key, row: done.append((key, row["name"])))
    table.begin()
    await until(lambda: table.widget.rows == rows[0])
    del rows[0]
    table.ask()
    await until(lambda: table.widget.rows == rows[0])
    tell(table.widget, "act", {"key": "off", "row": 1})
    assert done == [("off", "first")]


async def test_the_address_changes_with_the_rows(shell):
    async def read(filters: dict[str, Any]) -> Found:
        return Found([{"key": 1}], 1, query=f"page={filters['page']}")

    place = Place()
    table = Listing(shell, Plan("T", [column("key", "Key")], read, "Nothing."), place=place)
    shown: list[Any] = []
    place.observe(lambda change: shown.append((change["new"], table.widget.rows)), "query")
    table.begin()
    await until(lambda: shown)
    assert shown == [("page=1", [{"key": 1}])]


async def test_a_press_is_not_talked_over_by_what_was_typed_before(shell):
    asked, held = asyncio.Event(), asyncio.Event()

    async def look(_: str, __: dict[str, Any]) -> None:
        asked.set()
        await held.wait()
        form.say("About what was typed.")

    async def press(_: str, __: dict[str, Any]) -> str:
        return "Applied."

    form = forms.BoundForm(shell, press, look)
    tell(form.widget, "change", {"key": "n", "values": {"n": 5}})
    await asked.wait()
    tell(form.widget, "press", {"key": "apply", "values": {"n": 5}})
    await until(lambda: form.widget.message == "Applied.")
    held.set()
    await asyncio.sleep(0.05)
    assert form.widget.message == "Applied."


async def test_filling_one_field_is_not_filling_the_others(shell):
    async def press(_: str, __: dict[str, Any]) -> str:
        return ""

    form = forms.BoundForm(shell, press)
    form.fill(title="", code="")
    form.fill(code="2026B-1")
    assert form.widget.values["_fills"] == {"title": 1, "code": 2}


async def test_a_search_says_which_choice_it_has_heard(client: AsyncClient):
    page = SearchPage(client)
    chosen = {"obstype": ["ARC"], "evil": ["x"]}
    for nonsense in (None, {"chosen": 3}, {"serial": 9}):
        tell(page.facets, "filters", nonsense)
    assert (page.facets.chosen, page.facets.heard) == ({}, 0)
    tell(page.facets, "filters", {"chosen": chosen, "serial": 4})
    assert (page.facets.chosen, page.facets.heard) == ({"obstype": ["ARC"]}, 4)
    page.shell.tasks.stop_all()
    await asyncio.sleep(0)
