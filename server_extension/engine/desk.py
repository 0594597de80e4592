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
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: self._run(work, args, named))

    def _run(
        self, work: Callable[..., Result], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Result:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self._catalogue.write() as session:
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
