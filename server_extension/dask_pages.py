"""``/api/dask/``: the pages of the Dask dashboard, handed on to staff and to nobody else.

Only reading is handed on. Neither cookies nor tokens of the reader go to the dashboard, and
nothing but the type of the content comes back with it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.identity import NotAdmittedError
from goodman_live.server_extension.operation import Access, operation

if TYPE_CHECKING:
    from goodman_live.server_extension.operation import Operation

PATH = "/api/dask/"
"""Below the prefix."""
TIMEOUT_S = 60.0
MOST_BYTES = 2**24
"""Longest message of a plot."""


class DashboardAwayError(GoodmanError):
    """The dashboard does not answer."""

    status = 502
    code = "dashboard_away"


class _DaskHandler(ApiHandler):
    """What both have in common: who may look, and where."""

    def arguments_for(self, contract: Operation, path: dict[str, str]) -> dict[str, Any]:
        """Take path and query as they are: they are the dashboard's to check."""
        del contract
        return dict(path)

    async def upstream(self, scheme: str, path: str) -> HTTPRequest:
        """Return the request to hand on."""
        place = await self.backend.engine.cluster.dashboard()
        query = f"?{self.request.query}" if self.request.query else ""
        return HTTPRequest(
            f"{scheme}{place.url.removeprefix('https')}/{path}{query}",
            ssl_options=place.context,
            follow_redirects=False,
            request_timeout=TIMEOUT_S,
            connect_timeout=TIMEOUT_S,
        )


class DaskHandler(_DaskHandler):
    """One page, script or picture."""

    @operation(
        id="api_dask_read",
        summary="Dask dashboard",
        tag="service",
        access=Access.STAFF,
        documented=False,
        page=True,
    )
    async def get(self, path: str) -> None:
        """Answer with what the dashboard answers."""
        if not path:
            self.redirect(f"{self.request.path.rstrip('/')}/status")
            return
        try:
            request = await self.upstream("https", path)
            found = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (OSError, HTTPError) as error:
            raise DashboardAwayError("The dashboard does not answer.") from error
        if found.code in {301, 302}:
            own = self.request.path.removesuffix(path)
            self.redirect(own + found.headers.get("Location", "").lstrip("./"))
            return
        self.set_status(found.code)
        self.set_header("Content-Type", found.headers.get("Content-Type", "text/plain"))
        self.finish(found.body)

    @property
    def content_security_policy(self) -> str:
        """Bokeh writes scripts into its pages; they speak to us alone."""
        return (
            "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
            " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
            " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        )


class DaskSocketHandler(WebSocketHandler, _DaskHandler):
    """The stream of one plot."""

    _far: Any = None
    _pump: asyncio.Task[None] | None = None

    @operation(
        id="api_dask_stream",
        summary="Stream of a plot",
        tag="service",
        access=Access.STAFF,
        documented=False,
    )
    async def get(self, path: str) -> None:
        """Connect both ends, if it is our own page that asks."""
        if not self.check_origin(self.request.headers.get("Origin", "")):
            raise NotAdmittedError("Only the dashboard's own pages may ask for this.")
        request = await self.upstream("wss", path)
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        try:
            self._far = await websocket_connect(
                request,
                subprotocols=[one.strip() for one in offered.split(",") if one.strip()],
                max_message_size=MOST_BYTES,
            )
        except (OSError, HTTPError) as error:
            raise DashboardAwayError("The dashboard does not answer.") from error
        await WebSocketHandler.get(self, path)

    def check_origin(self, origin: str) -> bool:  # type: ignore[override]
        """Tell whether a page of this very host asks; tornado's own answer differs by version."""
        return urlsplit(origin).netloc.lower() == self.request.host.lower()

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose what the dashboard chose."""
        chosen: str | None = self._far.selected_subprotocol
        return chosen if chosen in subprotocols else None

    def open(self, *_: str, **__: str) -> None:
        """Begin to hand messages on."""
        self._pump = asyncio.create_task(self._hand_on(), name="goodman-dask-stream")

    async def _hand_on(self) -> None:
        with suppress(WebSocketClosedError):
            while (message := await self._far.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        self.close()

    async def on_message(self, message: str | bytes) -> None:
        """Hand a message of the page on."""
        with suppress(WebSocketClosedError):
            await self._far.write_message(message, binary=isinstance(message, bytes))

    def on_finish(self) -> None:
        """Let go of the far end, however it ended here."""
        super().on_finish()
        self._let_go()

    def on_close(self) -> None:
        """Let go of the far end when the page goes."""
        self._let_go()

    def _let_go(self) -> None:
        if self._far is not None:
            self._far.close()
        if self._pump is not None:
            self._pump.cancel()
