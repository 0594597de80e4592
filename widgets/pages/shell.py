"""What every live page has: background tasks, a heartbeat, the event stream, one notice line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import ipywidgets as w

from goodman_live.widgets.client.errors import ClientError, ConnectionLostError, NotSignedInError
from goodman_live.widgets.components.parts import Notice
from goodman_live.widgets.pages.reader import Reader
from goodman_live.widgets.pages.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.events import Event

BEAT = 4.0
"""Seconds between signs of life from the kernel to the browser."""


class Shell:
    """The frame of a live page.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    on_event : callable
        Called with each event.
    on_live : callable
        Called whenever the event stream begins: what was missed must be read again.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        on_event: Callable[[Event], None],
        on_live: Callable[[], None],
    ) -> None:
        self.client = client
        self.notice = Notice()
        self.tasks = Tasks(self.failed)
        self.reader = Reader(client, self.tasks)
        self.widget = w.VBox([self.notice, self.reader.widget]).add_class("gl-page")
        self._on_event = on_event
        self._on_live = on_live
        self._lost = False
        self.notice.when("retry", lambda _: self._retry())

    def place(self, *parts: w.Widget) -> None:
        """Put the parts of the page below the notice."""
        self.widget.children = (self.notice, self.reader.widget, *parts)

    def when_seen(self, begin: Callable[[], None]) -> None:
        """Call `begin` once, when a browser has drawn the page.

        A widget that changes while a browser is still loading the page's widgets may be drawn as
        it was: nothing may change before.
        """
        waiting = [begin]

        def seen(_: object) -> None:
            if waiting:
                waiting.pop()()

        self.notice.when("seen", seen)

    def begin(self) -> None:
        """Start heartbeat and event stream."""
        self.tasks.start("beat", self._beat())
        self.tasks.start("events", self._follow())
        self.tasks.start("reader", self.reader.load())

    def say(self, text: str, tone: str = "info", *, retry: bool = False) -> None:
        """Show a line over the page; an empty one hides it."""
        with self.notice.hold_sync():
            self.notice.text, self.notice.tone, self.notice.retry = text, tone, retry

    def failed(self, name: str, error: BaseException) -> None:
        """Show why some work failed."""
        if isinstance(error, ConnectionLostError) and name != "events":
            # The event stream notices by itself, says so and mends it.
            self.say(str(error), "bad", retry=True)
        elif isinstance(error, NotSignedInError):
            self.say("Your session has ended. Reload the page to sign in again.", "bad")
        elif isinstance(error, ClientError):
            self.say(str(error), "bad", retry=name == "events")
        else:
            what = "Reload it; if it fails again, tell whom the bottom of the page names"
            self.say(f"Something on this page failed. {what}: {error!r}", "bad")

    def _retry(self) -> None:
        self.say("")
        self.tasks.start("events", self._follow())

    async def _beat(self) -> None:
        while True:
            self.notice.beat += 1
            await asyncio.sleep(BEAT)

    async def _follow(self) -> None:
        async for event in self.client.follow(on_state=self._state):
            self._on_event(event)

    def _state(self, state: str, reason: str) -> None:
        if state == "lost":
            self._lost = True
            self.say(f"{reason} New frames appear again when it is back.", "warn")
            return
        if self._lost:
            self._lost = False
            self.say("")
        self._on_live()
