"""Home: the reader's proposals, newest night first, and what is new since the last visit."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.components.blocks import Tiles
from goodman_live.widgets.pages import proposal_words, words
from goodman_live.widgets.pages.listing import Found, Listing, Plan, column, text_filter
from goodman_live.widgets.pages.reader import full_name
from goodman_live.widgets.pages.shell import Shell

if TYPE_CHECKING:
    import ipywidgets as w

    from goodman_live.widgets.client.events import Event

Counts = dict[str, list[int]]

VISIT = timedelta(minutes=30)
"""Visits that are closer than this are one: a reload forgets no news."""
REMEMBERED = 80
"""Proposals whose counts are kept, the newest first; options of an account are small."""
MOST_ASKED = 60
"""Proposals of which the newest night is asked in one reading; more follow in the next ones."""
PAGE_SIZE = 20


class HomePage:
    """The page as one object: `widget` is what is shown."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        self.head = Tiles(title="Goodman Live")
        plan = Plan(
            title="Your observing proposals",
            columns=[
                column("pi", "PI", kind="text"),
                column("soar_id", "SOAR ID", link="link", kind="mono"),
                column("title", "Title", kind="text"),
                column("abstract", "Abstract", kind="text"),
                column("newest", "Newest night", kind="mono"),
                column("news", "New", tone="fresh"),
                column("actions", ""),
            ],
            read=self._read,
            empty=proposal_words.NONE_YET,
            unfit=proposal_words.NONE_FITS,
            fields=[text_filter("Find", "SOAR id, title or PI")],
            page_size=PAGE_SIZE,
        )
        self.table = Listing(self.shell, plan)
        self.shell.place(self.head, self.table.widget)
        self.widget = self.shell.widget
        self._me: dict[str, Any] = {}
        self._base: Counts | None = None
        self._nights: dict[str, tuple[int, str]] = {}
        """Newest night of a proposal, with the number of raw frames that it had then."""
        self._since = ""

    def begin(self) -> None:
        """Read, and follow what happens."""
        self.shell.begin()
        self.table.begin()

    def _heard(self, event: Event) -> None:
        if event.kind.startswith(("frame.", "product.")):
            self.table.news()

    def _again(self) -> None:
        self.table.ask()

    async def _read(self, asked: dict[str, Any]) -> Found:
        if not self._me:
            self._me = await self._client.me()
            if self._me.get("is_staff"):  # who sees all, not only their own
                self.table.widget.title = "Observing proposals"
        proposals, counts, night = await asyncio.gather(
            self._client.proposals(), self._counts(), self._client.night()
        )
        if self._base is None:
            self._begin_visit([one["soar_id"] for one in proposals], counts)
        nights = await self._newest([one["soar_id"] for one in proposals], counts)
        rows = [self._row(one, counts, nights) for one in proposals]
        self._tell(proposals, counts, night)
        text = str(asked.get("search", "")).lower()
        rows = [
            row for row in rows if text in f"{row['soar_id']} {row['title']} {row['pi']}".lower()
        ]
        # The stable sort keeps the newest proposal first where no frame decides.
        rows.sort(key=lambda row: str(row["newest"]), reverse=True)
        first = (asked["page"] - 1) * asked["page_size"]
        return Found(rows[first : first + asked["page_size"]], len(rows))

    async def _counts(self) -> Counts:
        """Return raw frames and products of each proposal."""
        raw, every = await asyncio.gather(
            self._client.facets(data_type="0"), self._client.facets(current=True)
        )
        seen = {one["value"]: one["count"] for one in raw["proposal_id"]}
        return {
            one["value"]: [
                seen.get(one["value"], 0),
                max(0, one["count"] - seen.get(one["value"], 0)),
            ]
            for one in every["proposal_id"]
        }

    def _begin_visit(self, names: list[str], counts: Counts) -> None:
        kept = self._me.get("options", {}).get("home", {})
        base, self._since = last_visit(kept if isinstance(kept, dict) else {}, datetime.now(UTC))
        self._base = base
        known = [name for name in dict.fromkeys([*names, *counts]) if name in counts]
        now = {name: counts[name] for name in known[:REMEMBERED]}
        visit = {"last": now, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        if self._since:
            visit |= {"base": base, "since": self._since}
        # Nobody waits for it: the service may be busy with a night.
        self.shell.tasks.start("visit", self._client.save_options("home", visit))

    async def _newest(self, names: list[str], counts: Counts) -> dict[str, str]:
        """Return the newest night of each proposal; only those with other frames are asked."""
        raw = {name: counts[name][0] for name in names if counts.get(name, [0])[0]}
        stale = [name for name in raw if self._nights.get(name, (0, ""))[0] != raw[name]]
        gate = asyncio.Semaphore(6)

        async def ask(name: str) -> None:
            async with gate:
                page = await self._client.files(
                    proposal_id=name, data_type="0", ordering="-start", page_size=1
                )
            night = str(page["results"][0].get("night") or "") if page["results"] else ""
            self._nights[name] = raw[name], night

        await asyncio.gather(*(ask(name) for name in stale[:MOST_ASKED]))
        if len(stale) > MOST_ASKED:
            self.table.ask()  # what is known is shown meanwhile
        return {name: self._nights[name][1] for name in raw if name in self._nights}

    def _row(self, one: dict[str, Any], counts: Counts, nights: dict[str, str]) -> dict[str, Any]:
        name = str(one["soar_id"])
        fresh = self._fresh(name, counts)
        row = proposal_words.row(one, self._me)
        row["actions"] = row["actions"][:2]
        news = words_of_news(*fresh)
        return row | {
            "newest": words.night(nights.get(name, "")),
            "news": news,
            "fresh": "good" if news else "",
        }

    def _fresh(self, name: str, counts: Counts) -> tuple[int, int]:
        if not self._since or self._base is None:
            return 0, 0
        return news_of(name, counts, self._base)

    def _tell(self, proposals: list[Any], counts: Counts, night: dict[str, Any]) -> None:
        fresh = [
            self._fresh(name, counts) for name in {*counts} | {one["soar_id"] for one in proposals}
        ]
        raw, made = sum(one[0] for one in fresh), sum(one[1] for one in fresh)
        waiting = sum(one["count"] for one in night["standing"] if one["state"] != "done")
        known = bool(self._since)
        if not known:
            mine = [counts.get(str(one["soar_id"]), [0, 0]) for one in proposals]
            raw, made = sum(one[0] for one in mine), sum(one[1] for one in mine)
        tone = "good" if known else ""
        tiles = [
            _tile(raw, "new frames since your last visit" if known else "raw frames", tone)
            | {"href": "data.ipynb"},
            _tile(made, "new products" if known else "products", tone)
            | {"href": "search.ipynb?ordering=-created"},
            {
                "value": words.night(night.get("night") or "") or "none",
                "label": "newest night",
                "href": "night.ipynb",
            },
            _tile(waiting, "frames of it that wait or failed", "warn") | {"href": "night.ipynb"},
        ]
        since = (
            f"Your last visit was on {words.stamp(self._since)}."
            if self._since
            else "Welcome: this is your first visit."
        )
        with self.head.hold_sync():
            self.head.title = f"Good observing, {full_name(self._me)}"
            self.head.tiles = tiles
            self.head.lines = [{"text": since, "tone": ""}]


def last_visit(kept: dict[str, Any], now: datetime) -> tuple[Counts, str]:
    """Return what was there at the last visit and when it was; empty for the first.

    A page opened again soon after belongs to the same visit.

    Parameters
    ----------
    kept : dict
        What the account keeps: ``last at``, and ``base since`` of the visit before.
    now : datetime
        This moment.
    """
    try:
        at = datetime.fromisoformat(str(kept["at"]))
        last = {str(name): [int(one[0]), int(one[1])] for name, one in kept["last"].items()}
        if now - at > VISIT:
            return last, at.isoformat(timespec="seconds")
        base = {str(name): [int(one[0]), int(one[1])] for name, one in kept["base"].items()}
        return base, str(kept["since"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return {}, ""  # the first visit, or options of another making


def news_of(name: str, counts: Counts, base: Counts) -> tuple[int, int]:
    """Return how many raw frames and products of a proposal are new since `base`.

    Of one that `base` had no room for nothing is known to be new.
    """
    if name not in base and len(base) >= REMEMBERED:
        return 0, 0
    raw, made = counts.get(name, [0, 0])
    before = base.get(name, [0, 0])
    return max(0, raw - before[0]), max(0, made - before[1])


def _tile(number: int, label: str, tone: str) -> dict[str, Any]:
    return {"value": f"{number:,}", "label": label, "tone": tone if number else ""}


def words_of_news(raw: int, made: int) -> str:
    """Return ``12 frames, 30 products``; empty without."""
    counts = ((raw, "frame"), (made, "product"))
    return ", ".join(words.several(count, name) for count, name in counts if count)


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = HomePage(AsyncClient(find_address()))
    page.shell.when_seen(page.begin)
    return page.widget
