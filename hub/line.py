"""Users' servers start a few at a time; whoever comes meanwhile waits in line, and is told so.

Starting a server is the work of a processor for seconds. When a night begins and everybody comes
at once, the Hub's own limit would answer most of them with an error; all at the same time would
make each wait for the last. Here the first are in while the others wait, in the order they came.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from jupyterhub.spawner import LocalProcessSpawner
from tornado import web
from traitlets import Float, Integer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOK_S = 0.1
"""Between two looks whether a server listens."""
PROGRESS_S = 0.5
"""Between two messages to who waits."""
LEFT = "The server was stopped before it was up."


class Line:
    """Places for those who start, and who waits for one.

    Parameters
    ----------
    places : int
        How many may start at once.
    """

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.waiting: list[object] = []

    def before(self, who: object) -> int:
        """Return how many come before somebody who waits; 0 for who does not."""
        return self.waiting.index(who) if who in self.waiting else 0


class InTurn(LocalProcessSpawner):  # type: ignore[misc]
    """A server that starts when its turn comes, and has its place until it listens."""

    starting_at_once = Integer(
        max(2, os.cpu_count() or 1), min=1, help="Servers that may be starting at the same time."
    ).tag(config=True)
    listens_within_s = Float(
        60.0, help="After this time a server that does not listen gives its place to the next."
    ).tag(config=True)

    lines: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Line]] = (
        weakref.WeakKeyDictionary()
    )
    """One line for each loop: a Hub has one."""

    _waits: asyncio.Task[Any] | None = None
    _left = False

    @property
    def line(self) -> Line:
        """The line of this Hub."""
        loop = asyncio.get_running_loop()
        if loop not in self.lines:
            self.lines[loop] = Line(self.starting_at_once)
        return self.lines[loop]

    async def start(self) -> Any:
        """Wait for a place, start, and return the address once somebody listens there.

        Raises
        ------
        tornado.web.HTTPError
            409 if the server is stopped meanwhile, 500 if it ends by itself.
        """
        line, self._left = self.line, False
        self._waits = asyncio.current_task()
        line.waiting.append(self)
        try:
            await line.places.acquire()
        except asyncio.CancelledError:
            if self._left:  # by `stop`, not by the Hub's own patience
                raise web.HTTPError(409, LEFT) from None
            raise
        finally:
            self._waits = None
            line.waiting.remove(self)
        try:
            if self._left:
                raise web.HTTPError(409, LEFT)
            address = await super().start()
            await self._listens(*address)
        finally:
            line.places.release()
        return address

    async def _listens(self, host: str, port: int) -> None:
        """Return when somebody listens, or when the patience is over: the Hub looks on."""
        deadline = asyncio.get_running_loop().time() + self.listens_within_s
        while asyncio.get_running_loop().time() < deadline:
            if await self.poll() is not None:
                if self._left:
                    raise web.HTTPError(409, LEFT)
                raise web.HTTPError(500, "The server ended while it started; its log says why.")
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(LOOK_S)
            else:
                writer.close()
                self.check_who_listens(host, port)
                return

    def check_who_listens(self, host: str, port: int) -> None:
        """Raise if it is somebody else who listens at the address of this server.

        Where one operating-system user serves all, nobody can tell.
        """

    async def poll(self) -> int | None:
        """Tell that one who waits is not over: None, as of a server that runs."""
        if self._waits is not None:
            return None
        status: int | None = await super().poll()
        return status

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 (the Hub's signature)
        """Leave the line, or stop the server."""
        self._left = True
        if self._waits is not None:
            self._waits.cancel()
        else:
            await super().stop(now=now)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the page that waits shows."""
        told = -1
        while self._waits is not None:
            if (before := self.line.before(self)) != told:
                yield {"progress": 5, "message": turn(before)}
                told = before
            await asyncio.sleep(PROGRESS_S)
        yield {"progress": 50, "message": "Your server starts."}


def turn(before: int) -> str:
    """Return what somebody is told who waits behind `before` others."""
    if not before:
        return "Yours is the next server to start."
    others = "one server" if before == 1 else f"{before} servers"
    return f"Waiting for {others} to start before yours."
