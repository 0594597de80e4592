"""A table that reads one page at a time from the service, and again when something happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.components.blocks import Rows
from goodman_live.widgets.pages.tasks import Soon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from goodman_live.widgets.client.errors import ClientError
    from goodman_live.widgets.components.blocks import Place
    from goodman_live.widgets.pages.shell import Shell

PAGE_SIZE = 50
GATHER_S = 1.0
"""For how long events are gathered before something is read again."""


class Calm:
    """Passes on that something happened, at most once in a while however much happens.

    What the reader does is asked for at once; a busy night must not make every open page read
    the catalogue twenty times a second.
    """

    def __init__(self, ask: Callable[[], None], seconds: float = GATHER_S) -> None:
        self._ask = ask
        self._seconds = seconds
        self._waiting: asyncio.TimerHandle | None = None

    def news(self) -> None:
        """Say that something happened."""
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(self._seconds, self._tell)

    def _tell(self) -> None:
        self._waiting = None
        self._ask()


@dataclass(frozen=True, slots=True)
class Found:
    """One page of rows."""

    rows: list[dict[str, Any]]
    count: int
    fields: list[dict[str, Any]] | None = None
    """Filters with their choices; None leaves them as they are."""
    query: str | None = None
    """What the page's address becomes when they are shown; None leaves it as it is."""
    empty: str = ""
    """What is said without rows, where the plan does not know it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table shows."""

    title: str
    columns: list[dict[str, Any]]
    read: Callable[[dict[str, Any]], Awaitable[Found]]
    """Called with the filters, ``ordering``, ``page`` and ``page_size``."""
    empty: str
    """What is said without rows, and what to do then."""
    unfit: str = "Nothing fits. Clear the filter to see all."
    """What is said where filters leave no row."""
    fields: list[dict[str, Any]] = field(default_factory=list)
    ordering: str = ""
    page_size: int = PAGE_SIZE


class Listing:
    """One table; `widget` is what is shown.

    Parameters
    ----------
    shell : Shell
        Of the page.
    plan : Plan
        What it shows.
    act : callable, optional
        Called with the key of an action and the row it was pressed in.
    place : Place, optional
        The page's address, which names what is shown.
    """

    def __init__(
        self,
        shell: Shell,
        plan: Plan,
        act: Callable[[str, dict[str, Any]], None] | None = None,
        place: Place | None = None,
    ) -> None:
        self._shell = shell
        self._plan = plan
        self._act = act
        self._place = place
        self._turns = 0
        self._given: dict[Any, dict[str, Any]] = {}
        self.filters: dict[str, Any] = {}
        self.widget = Rows(
            title=plan.title, columns=plan.columns, fields=plan.fields, ordering=plan.ordering
        )
        handlers = {"filters": self._filter, "sort": self._sort, "page": self._turn}
        for name, handler in (handlers | {"act": self._acted}).items():
            self.widget.when(name, handler)
        self._soon = Soon(self.read, self._failed)
        self.news = Calm(self._soon.ask).news
        """To be called with whatever happened that the rows may show."""

    def begin(self) -> None:
        """Read now, and whenever asked to."""
        self._shell.tasks.start(f"table {self._plan.title}", self._soon.run())
        self.ask()

    def ask(self) -> None:
        """Read again, soon."""
        self._soon.ask()

    def narrow(self, **filters: Any) -> None:
        """Set the filters from outside the table."""
        self.filters = filters
        self.widget.page = 1
        self._turned()

    def _turned(self) -> None:
        """Read again what the reader wants now; what is being read is not wanted any more."""
        self._turns += 1
        self.ask()

    async def read(self) -> None:
        """Read the page of rows that is shown."""
        size, table = self._plan.page_size, self.widget
        asked = {**self.filters, "page": table.page, "page_size": size}
        if table.ordering:
            asked["ordering"] = table.ordering
        turns = self._turns
        found = await self._plan.read(asked)
        if turns != self._turns:
            self.ask()  # the reader has moved on while we read
            return
        pages = max(1, -(-found.count // size))
        if table.page > pages:
            table.page = pages
            self.ask()
            return
        with table.hold_sync():
            if found.fields is not None:
                table.fields = found.fields
            table.rows, table.count, table.pages = found.rows, found.count, pages
            table.message = "" if found.rows else found.empty or self._nothing()
            table.state = "ready" if found.rows else "empty"
        self._give(found.rows)
        if self._place is not None and found.query is not None:
            self._place.query = found.query

    def _nothing(self) -> str:
        narrowed = any(str(value) for value in self.filters.values())
        return self._plan.unfit if narrowed else self._plan.empty

    def _give(self, rows: list[dict[str, Any]]) -> None:
        """Keep the rows given: one may be pressed while newer ones take its place."""
        fresh = {row.get("key"): row for row in rows}
        older = {key: row for key, row in self._given.items() if key not in fresh}
        self._given = {**dict(list(older.items())[-self._plan.page_size :]), **fresh}

    def _failed(self, error: ClientError) -> None:
        with self.widget.hold_sync():
            self.widget.message, self.widget.state = f"{error} Trying again …", "failed"

    def _filter(self, chosen: Any) -> None:
        if isinstance(chosen, dict):
            self.narrow(**{str(name)[:40]: str(value)[:200] for name, value in chosen.items()})

    def _sort(self, ordering: Any) -> None:
        known = {column.get("sort") for column in self.widget.columns}
        if isinstance(ordering, str) and ordering.removeprefix("-") in known:
            self.widget.ordering, self.widget.page = ordering, 1
            self._turned()

    def _turn(self, page: Any) -> None:
        if isinstance(page, int) and 1 <= page <= self.widget.pages:
            self.widget.page = page
            self._turned()

    def _acted(self, what: Any) -> None:
        if self._act is None or not isinstance(what, dict):
            return
        number = what.get("row")
        row = self._given.get(number) if isinstance(number, int | str) else None
        if row is not None:
            self._act(str(what.get("key")), row)


def column(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a column of a table."""
    return {"key": key, "label": label, **more}


def choice(key: str, label: str, options: list[tuple[str, str]], any_: str = "any") -> Any:
    """Return a filter with its choices (value, label)."""
    found = [{"value": value, "label": name} for value, name in options]
    return {"key": key, "label": label, "kind": "choice", "options": found, "any": any_}


def text_filter(label: str = "Text", hint: str = "") -> dict[str, Any]:
    """Return the filter for free text."""
    return {"key": "search", "label": label, "kind": "text", "hint": hint}
