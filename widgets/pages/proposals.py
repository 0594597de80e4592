"""Proposals: a list with details, who works on each, and how its data are reduced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.errors import NotFoundError
from goodman_live.widgets.components.blocks import Place, Proposals, Sections
from goodman_live.widgets.pages import proposal_words
from goodman_live.widgets.pages.collaborators import Collaborators
from goodman_live.widgets.pages.listing import Found, Listing, Plan, column, text_filter
from goodman_live.widgets.pages.settings import Settings
from goodman_live.widgets.pages.shell import Shell
from goodman_live.widgets.pages.tasks import Soon

if TYPE_CHECKING:
    from goodman_live.widgets.client.errors import ClientError
    from goodman_live.widgets.client.events import Event

PAGE_SIZE = 20
LIST, PEOPLE, SETTINGS = "list", "collaborators", "settings"
VIEWS = ("details", "table")


class ProposalsPage:
    """The page as one object: `widget` is what is shown.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    query : str
        Of the address: ``show`` (collaborators or settings) and ``proposal`` (number).
    """

    def __init__(self, client: AsyncClient, query: str = "") -> None:
        self._client = client
        self._me: dict[str, Any] = {}
        self._filters: dict[str, Any] = {}
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        self.place = Place()
        self.sections = Sections(label="Proposals")
        self.sections.when("section", self._go)
        self.cards = Proposals(title="Observing proposals", inplace=True)
        for name, handler in {
            "filters": self._filter,
            "page": self._turn,
            "tool": self._view,
            "open": self._open,
        }.items():
            self.cards.when(name, handler)
        self.table = Listing(self.shell, self._plan())
        self.table.widget.when("tool", self._view)
        self.people = Collaborators(self.shell, client, self._changed)
        self.settings = Settings(self.shell, client)
        self.body = w.VBox([self.cards])
        self.shell.place(self.place, self.sections, self.body)
        self.widget = self.shell.widget
        self._soon = Soon(self._read, self._failed)
        self._proposal: dict[str, Any] | None = None
        self._view_name = "details"
        self._start = parse_qs(query)

    def _plan(self) -> Plan:
        return Plan(
            title="Observing proposals",
            columns=[
                column("soar_id", "SOAR ID", link="link", kind="mono"),
                column("pi", "PI", kind="text"),
                column("title", "Title", kind="text"),
                column("abstract", "Abstract", kind="text"),
                column("semester", "Semester"),
                column("people", "Collaborators"),
                column("actions", ""),
            ],
            read=self._rows,
            empty=proposal_words.NONE_YET,
            unfit=proposal_words.NONE_FITS,
            fields=[text_filter("Find", "SOAR id, title or PI")],
            page_size=PAGE_SIZE,
        )

    def begin(self) -> None:
        """Read, and go where the address says."""
        self.shell.begin()
        self.shell.tasks.start("cards", self._soon.run())
        self.table.begin()
        self._soon.ask()
        self._tools()
        number = self._start.get("proposal", [""])[0]
        part = self._start.get("show", [PEOPLE])[0]
        if number.isdecimal() and len(number) < 16:
            self.shell.tasks.start("open", self._show(int(number), part))

    # what is heard and pressed

    def _heard(self, event: Event) -> None:
        if event.kind.startswith("proposal."):
            self._again()

    def _again(self) -> None:
        self._soon.ask()
        self.table.ask()

    def _filter(self, chosen: Any) -> None:
        if isinstance(chosen, dict):
            self._filters = {"search": str(chosen.get("search", ""))[:200]}
            self.cards.page = 1
            self._soon.ask()

    def _turn(self, page: Any) -> None:
        if isinstance(page, int) and 1 <= page <= self.cards.pages:
            self.cards.page = page
            self._soon.ask()

    def _view(self, name: Any) -> None:
        if name in VIEWS:
            self._view_name = str(name)
            self._tools()
            self._go(LIST)

    def _tools(self) -> None:
        tools = [
            {"key": name, "label": name.capitalize(), "on": name == self._view_name}
            for name in VIEWS
        ]
        self.cards.tools = self.table.widget.tools = tools

    def _open(self, what: Any) -> None:
        if isinstance(what, dict) and isinstance(what.get("row"), int):
            self.shell.tasks.start("open", self._show(what["row"], str(what.get("key"))))

    def _changed(self, proposal: dict[str, Any]) -> None:
        self._proposal = proposal
        self._again()

    # what is shown

    async def _show(self, number: int, part: str) -> None:
        await self._know_me()
        try:
            self._proposal = await self._client.proposal(number)
        except NotFoundError:
            self.shell.say("There is no such proposal among yours.", "warn")
            self._go(LIST)
            return
        self.shell.say("")
        self.people.show(self._proposal, self._me)
        self._go(part if part in {PEOPLE, SETTINGS} else PEOPLE)
        await self.settings.show(self._proposal, self._me)

    def _go(self, part: Any) -> None:
        one = self._proposal
        if part not in {LIST, PEOPLE, SETTINGS} or (one is None and part != LIST):
            return
        found = [{"key": LIST, "label": "All proposals", "count": self.cards.count}]
        if one is not None:
            name = one["soar_id"]
            people = len(one["collaborators"])
            found += [
                {"key": PEOPLE, "label": f"Collaborators of {name}", "count": people},
                {"key": SETTINGS, "label": f"Settings of {name}"},
            ]
        with self.sections.hold_sync():
            self.sections.sections, self.sections.section = found, str(part)
        shown: dict[str, w.Widget] = {
            LIST: self.cards if self._view_name == "details" else self.table.widget,
            PEOPLE: self.people.widget,
            SETTINGS: self.settings.widget,
        }
        self.body.children = (shown[str(part)],)
        if part == LIST:
            self.place.query = ""
        elif one is not None:
            self.place.query = urlencode({"show": part, "proposal": one["id"]})

    async def _know_me(self) -> None:
        if not self._me:
            self._me = await self._client.me()

    async def _rows(self, asked: dict[str, Any]) -> Found:
        await self._know_me()
        answer = await self._client.proposal_page(**asked)
        return Found(
            [proposal_words.row(one, self._me) for one in answer["results"]], answer["count"]
        )

    async def _read(self) -> None:
        await self._know_me()
        answer = await self._client.proposal_page(
            **self._filters, page=self.cards.page, page_size=PAGE_SIZE
        )
        rows = [proposal_words.card(one, self._me) for one in answer["results"]]
        with self.cards.hold_sync():
            self.cards.rows, self.cards.count = rows, answer["count"]
            self.cards.pages = max(1, -(-answer["count"] // PAGE_SIZE))
            self.cards.message = (
                ""
                if rows
                else proposal_words.NONE_FITS
                if self._filters.get("search")
                else proposal_words.NONE_YET
            )
        if not self.sections.sections or self.sections.section:
            self._go(self.sections.section or LIST)

    def _failed(self, error: ClientError) -> None:
        self.cards.message = f"{error} Trying again …"


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = ProposalsPage(AsyncClient(find_address()), os.environ.get("QUERY_STRING", ""))
    page.shell.when_seen(page.begin)
    return page.widget
