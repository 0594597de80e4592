"""Background work of a page: references kept, the latest of its kind wins, failures are shown."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.errors import ClientError, NotSignedInError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

PAUSE = 0.05
"""Seconds between the end of a run and the next: what is asked for meanwhile is gathered."""
RETRY = 3.0
"""Seconds until what failed is tried again."""


class Tasks:
    """The running tasks of one page, by name.

    Parameters
    ----------
    on_error : callable
        Called with (name, exception) when a task fails; cancelled tasks are no failures.
    """

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_error = on_error
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._count = 0

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work`; an earlier task of the same name is cancelled."""
        self.stop(name)
        task = self._loop.create_task(work, name=name)
        self._running[name] = task
        task.add_done_callback(self._done)
        return task

    def also(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` beside any other task of this name."""
        self._count += 1
        return self.start(f"{name}#{self._count}", work)

    def stop(self, name: str) -> None:
        """Cancel the task of this name, if it runs."""
        task = self._running.pop(name, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """Cancel everything."""
        for name in [*self._running]:
            self.stop(name)

    def _done(self, task: asyncio.Task[Any]) -> None:
        name = task.get_name()
        if self._running.get(name) is task:
            del self._running[name]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("%s failed", name, exc_info=error)
            self._on_error(name.partition("#")[0], error)


class Soon:
    """Runs an action soon after it is asked for, once however often it is asked.

    Parameters
    ----------
    action : callable
        Makes the coroutine to run.
    on_error : callable
        Called with what the service answered when the action fails; it is tried again.
    """

    def __init__(
        self,
        action: Callable[[], Coroutine[Any, Any, None]],
        on_error: Callable[[ClientError], None],
    ) -> None:
        self._action = action
        self._on_error = on_error
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Ask for a run; one that goes on now does not count, it may have read too early."""
        self._asked.set()

    async def run(self) -> None:
        """Serve requests for ever: the first at once, more that follow at leisure."""
        loop = asyncio.get_running_loop()
        rested = loop.time()
        while True:
            await self._asked.wait()
            await asyncio.sleep(max(0.0, rested - loop.time()))
            self._asked.clear()
            try:
                await self._action()
                rested = loop.time() + PAUSE
            except NotSignedInError:
                raise
            except ClientError as error:
                self._on_error(error)
                await asyncio.sleep(RETRY)
                self.ask()
