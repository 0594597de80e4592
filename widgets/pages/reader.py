"""Who reads: told to the navigation bar of every page, with the theme that the account keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets as t

from goodman_live.widgets.components.base import Component, script

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.tasks import Tasks

THEMES = ("dark", "light")


class ReaderMark(Component):
    """Invisible; sends ``theme`` when the reader changes it in the navigation bar."""

    _esm = script("reader")
    reader = t.Dict().tag(sync=True)


def full_name(person: dict[str, Any] | None) -> str:
    """Return first and last name, or the user name where they are missing."""
    if not person:
        return ""
    names = (person.get("first_name"), person.get("last_name"))
    return " ".join(str(name) for name in names if name) or str(person.get("username") or "")


class Reader:
    """The reader of a page, read once from the service."""

    def __init__(self, client: AsyncClient, tasks: Tasks) -> None:
        self.widget = ReaderMark()
        self._client = client
        self._tasks = tasks
        self.widget.when("theme", self._change)

    async def load(self) -> None:
        """Ask the service who reads."""
        self.show(await self._client.me())

    def show(self, me: dict[str, Any]) -> None:
        """Tell the navigation bar."""
        look = me.get("options", {}).get("look", {})
        self.widget.reader = {
            "name": full_name(me),
            "staff": bool(me.get("is_staff")),
            "theme": look.get("theme", "") if isinstance(look, dict) else "",
        }

    def _change(self, theme: Any) -> None:
        if theme in THEMES:
            self._tasks.start("theme", self._keep(theme))

    async def _keep(self, theme: str) -> None:
        await self._client.save_options("look", {"theme": theme})
        self.widget.reader = {**self.widget.reader, "theme": theme}
