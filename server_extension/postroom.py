"""Mail of the service: letters go into the catalogue's queue, one thread sends them."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from goodman_live.hub.mail.postman import Postman
from goodman_live.hub.mail.queue import forget_old, is_due
from goodman_live.hub.mail.transport import make_mailer
from goodman_live.server_extension.catalogue.activity import LogEntry
from goodman_live.server_extension.happenings import gather, something_happened, tell

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.hub.accounts.models import OutgoingMail
    from goodman_live.hub.mail.settings import MailSettings
    from goodman_live.server_extension.catalogue.database import Catalogue

log = logging.getLogger(__name__)

PERIOD_S = 2.0
"""Seconds between looks: the Hub, which is another process, puts letters into the queue too."""


class PostRoom:
    """Sends the queue's letters from start to stop.

    Parameters
    ----------
    catalogue : Catalogue
        Holds the queue.
    settings : MailSettings
        Where mail goes.
    """

    def __init__(self, catalogue: Catalogue, settings: MailSettings) -> None:
        self._catalogue = catalogue
        self._gather_s = settings.gather_s
        self._postman = Postman(make_mailer(settings), settings, catalogue.stepwise, report, tell)
        self._thread = ThreadPoolExecutor(1, "goodman-mail")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, on the running loop."""
        self._task = asyncio.create_task(self._run(), name="goodman-mail")

    async def stop(self) -> None:
        """Stop looking; a letter that is on its way is finished by its thread."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._thread.shutdown)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._thread, self._round)
            except Exception:
                # A database that is away for a moment must not end the mail for good.
                log.exception("The mail queue could not be looked at")
            await asyncio.sleep(PERIOD_S)

    def _round(self) -> None:
        with self._catalogue.read() as session:
            happened = something_happened(session)
        if happened:
            with self._catalogue.write() as session:
                gather(session, self._gather_s)
        with self._catalogue.read() as session:
            due = is_due(session)
        if due:
            self._postman.deliver_due()
            with self._catalogue.stepwise() as session:
                forget_old(session)


def report(session: Session, letter: OutgoingMail, reason: str) -> None:
    """Tell the staff, on the page of logs, of a letter that was not sent: once, not each time."""
    if letter.tries == 1:
        session.add(
            LogEntry(
                level="warning",
                source="mail",
                message=f"A letter ({letter.kind}) was not sent: {reason} It is tried again where"
                " that can help.",
                user_id=letter.user_id,
            )
        )
