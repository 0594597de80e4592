"""The one thread on which the engine writes to the catalogue.

It is patient with a database that is away for a moment.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.database import Catalogue
    from goodman_live.server_extension.engine.events import EventStream

from goodman_live.server_extension.engine.events import TOLD

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

PATIENCE_S = 60.0
"""How long the engine waits for a database that has gone away."""


class Desk:
    """Runs transactions one after the other, and wakes the event stream after each."""

    def __init__(self, catalogue: Catalogue, events: EventStream) -> None:
        self._catalogue = catalogue
        self._events = events
        self._thread = ThreadPoolExecutor(1, "goodman-engine")

    async def write(self, work: Callable[..., Result], *args: Any, **named: Any) -> Result:
        """Run ``work(session, ...)`` in one transaction.

        Raises
        ------
        OperationalError
            If the database stays away.
        """
        return await self._when_there(self._catalogue.write, work, args, named)

    async def read(self, work: Callable[..., Result], *args: Any, **named: Any) -> Result:
        """Run ``work(session, ...)``, which only reads, after what was to be written before.

        Nobody who writes waits for it, however long it takes.

        Raises
        ------
        OperationalError
            If the database stays away.
        """
        return await self._when_there(self._catalogue.read, work, args, named)

    async def _when_there(self, *order: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, *order)

    def _run(
        self,
        opened: Callable[[], AbstractContextManager[Session]],
        work: Callable[..., Result],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Result:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with opened() as session:
                    result = work(session, *args, **named)
                    told = session.info.get(TOLD, False)
            except DBAPIError as error:
                away = isinstance(error, OperationalError) or error.connection_invalidated
                if not away or time.monotonic() > until:
                    raise
                log.warning("database.away", error=str(error.orig))
                time.sleep(0.5)
                continue
            if told:
                self._events.wake()
            return result

    def close(self) -> None:
        """End the thread after what it is doing."""
        self._thread.shutdown(wait=True, cancel_futures=True)
