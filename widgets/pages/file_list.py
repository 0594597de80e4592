"""The file index of a page: what is listed, and how it keeps up with the night."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.records import DataType
from goodman_live.widgets.components.parts import FileIndex
from goodman_live.widgets.pages import words
from goodman_live.widgets.pages.tasks import Soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.errors import ClientError
    from goodman_live.widgets.pages.tasks import Tasks

SECTIONS = {
    "observed": ("Observed", DataType.RAW),
    "calibrations": ("Calibrations", DataType.MASTER),
}
PAGE_SIZE = 20


class FileList:
    """Feeds a `FileIndex` from the service.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    tasks : Tasks
        Where background work runs.
    on_choice : callable
        Called with the number of the file that the reader chose.
    """

    def __init__(
        self, client: AsyncClient, tasks: Tasks, on_choice: Callable[[int], None]
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._filter = ""
        self._proposal = ""
        self._on_choice = on_choice
        self._counts = dict.fromkeys(SECTIONS, 0)
        self._seen = 0
        self.widget = FileIndex(sections=self._sections())
        self.widget.when("section", self._choose_section)
        self.widget.when("page", self._choose_page)
        self.widget.when("filter", self._choose_filter)
        self.widget.observe(self._chosen, "selected")
        self._soon = Soon(self.refresh, self._failed)

    @property
    def proposal(self) -> str:
        """Only observed files of this proposal; empty for all."""
        return self._proposal

    @proposal.setter
    def proposal(self, name: str) -> None:
        self._proposal = name
        self.widget.scope = f"Only {name}" if name else ""

    def begin(self) -> None:
        """Serve requests to read the list again."""
        self._tasks.start("index", self._soon.run())

    def news(self) -> None:
        """Read the list again, soon."""
        self._soon.ask()

    def select(self, file_id: int) -> None:
        """Mark a row without calling `on_choice`."""
        self.widget.unobserve(self._chosen, "selected")
        self.widget.selected = file_id
        self.widget.observe(self._chosen, "selected")

    async def refresh(self) -> None:
        """Read counts and rows; rows of the page that the reader is on stay his."""
        here = self.widget.section
        asked = (here, self.widget.page, self._filter)
        main, *others = await asyncio.gather(
            self._read(here, page=self.widget.page, page_size=PAGE_SIZE),
            *(self._read(key, page_size=1) for key in SECTIONS if key != here),
        )
        if asked != (self.widget.section, self.widget.page, self._filter):
            self.news()  # the reader has moved on while we read
            return
        last = max(1, -(-main["count"] // PAGE_SIZE))
        if self.widget.page > last:  # files were deleted
            self.widget.page = last
            self.news()
            return
        for key, answer in zip((key for key in SECTIONS if key != here), others, strict=True):
            self._counts[key] = answer["count"]
        self._show(here, main)

    def _show(self, section: str, answer: Any) -> None:
        before, self._counts[section] = self._counts[section], answer["count"]
        page = self.widget.page
        with self.widget.hold_sync():
            if page > 1:
                self.widget.unseen += max(answer["count"] - before, 0) if before else 0
            else:
                self.widget.unseen = 0
            self.widget.sections = self._sections()
            self.widget.pages = max(1, -(-answer["count"] // PAGE_SIZE))
            self.widget.rows = [words.row(file) for file in answer["results"]]
            self._tell("ready", "" if answer["results"] else self._empty(section))

    def _empty(self, section: str) -> str:
        if self._filter:
            return "No file fits this filter. Clear it to see all."
        if section == "calibrations":
            return "No master bias or flat yet: they appear when enough frames have been taken."
        whose = f"No frames yet of {self.proposal} that you may see." if self.proposal else ""
        return f"{whose or 'No frames yet.'} They appear here by themselves as soon as they come."

    async def _read(self, section: str, **filters: Any) -> Any:
        if self._filter:
            filters["search"] = self._filter
        if self.proposal and section == "observed":
            filters["proposal_id"] = self.proposal
        return await self._client.files(data_type=SECTIONS[section][1].value, **filters)

    def _sections(self) -> list[dict[str, Any]]:
        return [
            {"key": key, "label": label, "count": self._counts[key]}
            for key, (label, _) in SECTIONS.items()
        ]

    def _failed(self, error: ClientError) -> None:
        self._tell("error", f"The list of files cannot be read: {error}")

    def _tell(self, state: str, message: str) -> None:
        self.widget.state, self.widget.message = state, message

    def _chosen(self, change: Any) -> None:
        if change["new"]:
            self._on_choice(int(change["new"]))

    def _choose_section(self, key: Any) -> None:
        if key in SECTIONS and key != self.widget.section:
            with self.widget.hold_sync():
                self.widget.section, self.widget.page, self.widget.rows = str(key), 1, []
                self._tell("loading", "Loading…")
            self.news()

    def _choose_page(self, page: Any) -> None:
        if isinstance(page, int) and 1 <= page <= self.widget.pages:
            self.widget.page = page
            self.news()

    def _choose_filter(self, text: Any) -> None:
        self._filter = str(text)[:200]
        self.widget.page = 1
        self.news()
