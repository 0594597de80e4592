"""A kernel that waits, started and with the pages' modules imported, for the next page.

Starting Python and importing widgets and plots is most of what a page costs. The user's own
server therefore keeps one kernel in store: a page takes it, is told its own environment, and the
store is filled again. It never runs anything of the reader's before a page has taken it.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import IOLoop
from traitlets import Float, Int, Unicode

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S = 60.0
"""How long a kernel may take to start before pages do without it."""
WARM_UP = """\
import goodman_live.widgets.pages.data
import goodman_live.widgets.components.image_view
import goodman_live.widgets.components.spectrum_view
"""


class _Spare:
    """A started kernel and the client that speaks to it."""

    def __init__(self, kernel_id: str, client: Any) -> None:
        self.kernel_id = kernel_id
        self.client = client

    async def run(self, code: str) -> None:
        """Run code and wait until it is done; raises RuntimeError if it fails."""
        answer = await self.client.execute_interactive(
            code, silent=True, store_history=False, allow_stdin=False, timeout=PATIENCE_S
        )
        if answer["content"]["status"] != "ok":
            raise RuntimeError(f"a waiting kernel failed: {answer['content']}")


class WarmKernelManager(AsyncMappingKernelManager):
    """Gives pages a kernel from the store; everything else starts one as usual."""

    spares = Int(1, help="Kernels in store; each costs about 100 MB. 0: none.").tag(config=True)
    pages = Unicode("pages", help="Folder of the notebooks that take them.").tag(config=True)
    rest_s = Float(
        3.0, help="Pause before the store is filled again: the page that took comes first."
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._store: list[asyncio.Task[_Spare]] = []
        self._refills: set[asyncio.Task[None]] = set()
        self._closing = False
        IOLoop.current().add_callback(self._fill)

    # What is inherited is asynchronous too, and typed as if it were not.
    async def start_kernel(  # type: ignore[override]
        self, *, kernel_id: str | None = None, path: Any = None, **kwargs: Any
    ) -> str:
        """Return the id of a kernel: one from the store for a page, a new one otherwise."""
        if kernel_id is None and path == self.pages and self._store:
            taken = self._store.pop(0)
            self._refill_later()
            try:
                spare = await asyncio.wait_for(asyncio.shield(taken), PATIENCE_S)
                try:
                    if spare.kernel_id not in self:
                        raise RuntimeError("the waiting kernel is gone")
                    await spare.run(_environment(kwargs.get("env") or {}))
                finally:
                    spare.client.stop_channels()
            except Exception:  # whatever it was, the page must come
                self.log.exception("The waiting kernel could not be used")
            else:
                return spare.kernel_id
        started: str = await super().start_kernel(kernel_id=kernel_id, path=path, **kwargs)
        return started

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """Leave kernels in store alone: nobody is connected to them, and that is their work."""
        if kernel_id not in {task.result().kernel_id for task in self._store if _ready(task)}:
            await super().cull_kernel_if_idle(kernel_id)  # type: ignore[no-untyped-call]

    async def shutdown_all(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> None:
        """Stop every kernel, and fill the store no more."""
        self._closing = True
        for task in self._refills:
            task.cancel()
        for spare in await asyncio.gather(*self._store, return_exceptions=True):
            if isinstance(spare, _Spare):
                spare.client.stop_channels()
        stopping: Any = super().shutdown_all(*args, **kwargs)
        await stopping

    def _fill(self) -> None:
        while len(self._store) < self.spares and not self._closing:
            self._store.append(asyncio.ensure_future(self._prepare()))

    async def _prepare(self) -> _Spare:
        folder: Any = self.pages
        kernel_id = await super().start_kernel(path=folder)
        client: Any = self.get_kernel(kernel_id).client()
        client.start_channels()
        await client.wait_for_ready(timeout=PATIENCE_S)
        spare = _Spare(kernel_id, client)
        await spare.run(WARM_UP)
        return spare

    def _refill_later(self) -> None:
        async def refill() -> None:
            await asyncio.sleep(self.rest_s)
            self._fill()

        task = asyncio.ensure_future(refill())
        self._refills.add(task)
        task.add_done_callback(self._refills.discard)


def _ready(task: asyncio.Task[_Spare]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _environment(env: Mapping[str, str]) -> str:
    """Return code that gives a kernel the variables that a page adds to the server's own."""
    # Voilà's names are members of an enumeration: as plain text, or Python could not read them.
    plain = {str.__str__(name): text for name, text in env.items()}
    added = {name: text for name, text in plain.items() if os.environ.get(name) != text}
    return f"import os as _os\n_os.environ.update({added!r})\ndel _os\n"
