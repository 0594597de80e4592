"""What the Data page shows before its kernel is up: rows and picture, from the user's own server.

An extension of that server. It asks the service as the user, with the token that pages have, so
it shows what they would.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tornado.web
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.errors import ClientError, NotFoundError
from goodman_live.widgets.client.records import DataType
from goodman_live.widgets.pages import words

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from goodman_live.widgets.client.records import File

ROWS = 20
SIZE = (1200, 480)
"""Pixels of the picture."""


async def newest(client: AsyncClient, wanted: int, proposal: str = "") -> dict[str, Any]:
    """Return rows of the newest frames, and the file that the page will open.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    wanted : int
        File that the address asks for, 0 for none: then the newest frame's last step.
    proposal : str
        Proposal that the address asks for, empty for all.
    """
    only = {"proposal_id": proposal} if proposal else {}
    asked = client.files(data_type=DataType.RAW.value, page_size=ROWS, **only)
    listing = asyncio.create_task(asked)
    file: File | None = None
    if wanted:
        try:
            file = await client.file(wanted)
        except NotFoundError:
            file = None  # the page will say so
    rows = (await listing)["results"]
    if file is None and rows and not wanted:
        family = await client.related(rows[0])
        file = min([*family, rows[0]], key=words.tab_order)
    shown = (
        {"id": file["id"], "name": file["file_name"], "title": words.title(file)} if file else {}
    )
    return {"rows": [words.row(one) for one in rows], "shown": shown}


class PreviewHandler(JupyterHandler):
    """``goodman/preview?file=ID`` and ``goodman/preview.png?id=ID``, for the user alone."""

    def initialize(self, client: AsyncClient, *, picture: bool) -> None:
        """Take what all requests share."""
        self.client, self.picture = client, picture

    def _number(self, name: str) -> int:
        text = self.get_query_argument(name, "0")
        return int(text) if text.isdecimal() and len(text) < 16 else 0

    @tornado.web.authenticated
    async def get(self) -> None:
        """Answer with JSON or PNG; what the service refuses is refused here."""
        self.set_header("Cache-Control", "no-store")
        try:
            if self.picture:
                png = await self.client.picture(
                    self._number("id"), axes=True, width=SIZE[0], height=SIZE[1]
                )
                self.set_header("Content-Type", "image/png")
                self.finish(png)
            else:
                proposal = self.get_query_argument("proposal", "")[:80]
                self.finish(await newest(self.client, self._number("file"), proposal))
        except ClientError as error:
            raise tornado.web.HTTPError(error.status or 503, error.message) from error


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "goodman_live.widgets.preview"}]


def _load_jupyter_server_extension(app: ServerApp) -> None:
    client = AsyncClient(find_address())
    base = app.web_app.settings["base_url"]
    handlers = [
        (url_path_join(base, "goodman", name), PreviewHandler, {"client": client, "picture": png})
        for name, png in ((r"preview", False), (r"preview\.png", True))
    ]
    app.web_app.add_handlers(".*$", handlers)  # type: ignore[no-untyped-call]
