"""A page that is one table: it reads rows with filters, and again when something happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.components.parts import Table
from goodman_live.widgets.pages.shell import Shell
from goodman_live.widgets.pages.tasks import Soon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import ipywidgets as w

    from goodman_live.widgets.client.errors import ClientError
    from goodman_live.widgets.client.events import Event

    Reader = Callable[[AsyncClient, dict[str, Any]], Awaitable["Found"]]

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Found:
    """One page of rows."""

    rows: list[dict[str, Any]]
    count: int
    fields: list[dict[str, Any]] | None = None
    """Filters with their choices; None leaves them as they are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table shows."""

    title: str
    columns: dict[str, str]
    """Key of a row to its heading."""
    read: Reader
    """Called with the client and the filters, ``page`` and ``page_size`` among them."""
    empty: str
    """What is said without rows."""
    kinds: tuple[str, ...] = ()
    """Beginnings of the events after which it is read again."""
    toned: frozenset[str] = field(default_factory=frozenset)
    """Columns that are drawn in the colour of the row's ``tone``."""


class TablePage:
    """The page of one plan; `widget` is what is shown."""

    def __init__(self, client: AsyncClient, plan: Plan) -> None:
        self._client = client
        self._plan = plan
        self._filters: dict[str, Any] = {}
        columns = [
            {"key": key, "label": label, "tone": key in plan.toned}
            for key, label in plan.columns.items()
        ]
        self.table = Table(title=plan.title, columns=columns)
        self.table.when("filters", self._filter)
        self.table.when("page", self._turn)
        self.shell = Shell(client, on_event=self._heard, on_live=self._ask)
        self.shell.place(self.table)
        self.widget = self.shell.widget
        self._soon = Soon(self._read, self._failed)

    def begin(self) -> None:
        """Read, and follow what happens."""
        self.shell.tasks.start("table", self._soon.run())
        self.shell.begin()
        self._ask()

    def _ask(self) -> None:
        self._soon.ask()

    def _heard(self, event: Event) -> None:
        if event.kind.startswith(self._plan.kinds or ("\0",)):
            self._ask()

    async def _read(self) -> None:
        asked = {**self._filters, "page": self.table.page, "page_size": PAGE_SIZE}
        found = await self._plan.read(self._client, asked)
        with self.table.hold_sync():
            if found.fields is not None:
                self.table.fields = found.fields
            self.table.rows, self.table.count = found.rows, found.count
            self.table.pages = max(1, -(-found.count // PAGE_SIZE))
            self.table.message = "" if found.rows else self._plan.empty

    def _failed(self, error: ClientError) -> None:
        self.table.message = f"{error} Trying again …"

    def _filter(self, chosen: Any) -> None:
        if isinstance(chosen, dict):
            self._filters = {str(name): str(value)[:200] for name, value in chosen.items()}
            self.table.page = 1
            self._ask()

    def _turn(self, page: Any) -> None:
        if isinstance(page, int) and 1 <= page <= self.table.pages:
            self.table.page = page
            self._ask()


def show(plan: Plan) -> w.Widget:
    """Return a page for a notebook's cell, alive."""
    page = TablePage(AsyncClient(find_address()), plan)
    page.begin()
    return page.widget
