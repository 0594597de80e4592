"""Ends what a switched-off account or an old password still holds at the Hub.

The service asks the accounts on every request; the Hub keeps sessions, tokens and running
servers of its own. Every few seconds this looks for accounts that were switched off, or whose
password changed, since the last look, and ends all three.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from sqlalchemy import or_, select
from sqlalchemy.exc import OperationalError, ProgrammingError
from tornado import web
from tornado.ioloop import PeriodicCallback

from goodman_live.hub.accounts.models import User, utc_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

log = logging.getLogger("jupyterhub.goodman.keeper")

MARGIN = timedelta(seconds=30)
"""A look goes back this much further than the last one: clocks of hosts differ."""

NEVER, OFF = object(), object()
"""Marks of who was not looked at, and of who is switched off."""


class Keeper:
    """Looks periodically and ends sessions, tokens and servers of those concerned.

    Parameters
    ----------
    app : jupyterhub.app.JupyterHub
        The running Hub.
    ask : callable
        Runs a function of a database session in a thread.
    every_s : float
        Seconds between two looks.
    state : Path
        File that remembers the last look, so that what changed while the Hub was down is seen.
    """

    def __init__(
        self,
        app: Any,
        ask: Callable[[Any], Awaitable[Any]],
        *,
        every_s: float,
        state: Path,
    ) -> None:
        self.app = app
        self.ask = ask
        self.state = state
        self._since = self._last_look()
        self._looking = asyncio.Lock()
        self._ended: dict[str, object] = {}
        self._stopping: set[asyncio.Future[None]] = set()
        self._written = self._since - MARGIN
        self._timer = PeriodicCallback(self._look_safely, every_s * 1000)

    def start(self) -> None:
        """Begin to look."""
        self._timer.start()

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except (OperationalError, ProgrammingError, web.HTTPError) as error:
            # Such as before the first start of the service, which makes the tables.
            log.warning("Could not look for changed accounts: %s", getattr(error, "orig", error))
        except Exception:
            # The next look is seconds away; a database that restarts must not end the keeper.
            log.exception("Could not look for changed accounts")

    def _last_look(self) -> datetime:
        try:
            return datetime.fromisoformat(json.loads(self.state.read_text())["looked"])
        except FileNotFoundError:
            return utc_now()
        except (ValueError, KeyError, TypeError):
            log.warning("%s is damaged: looking back one day", self.state)
            return utc_now() - timedelta(days=1)

    async def look(self) -> list[str]:
        """Look once; return the names whose sessions were ended."""
        async with self._looking:
            return await self._look()

    async def _look(self) -> list[str]:
        since, now = self._since - MARGIN, utc_now()
        changed: dict[str, tuple[bool, datetime | None]] = await self.ask(
            lambda session: changed_accounts(session, since)
        )
        ended = []
        off = self._holders([name for name, (active, _) in changed.items() if not active])
        back = [name for name, mark in self._ended.items() if mark is OFF and name not in changed]
        for name in back:
            del self._ended[name]
        for name, (active, stamp) in changed.items():
            mark = stamp if active else OFF
            if self._ended.get(name, NEVER) == mark and name not in off:
                continue
            if await self._end(name):
                ended.append(name)
            self._ended[name] = mark
        self._since = now
        if now - self._written > MARGIN / 3:
            # Seldom, and well within what the next start looks back further.
            self._written = now
            self.state.write_text(json.dumps({"looked": now.isoformat()}))
        return ended

    def _holders(self, names: list[str]) -> set[str]:
        """Return which of `names` hold a token at the Hub; whose server runs or starts does."""
        if not names:
            return set()
        holds = or_(orm.User.api_tokens.any(), orm.User.oauth_codes.any())
        found = self.app.db.query(orm.User.name).filter(orm.User.name.in_(names), holds)
        return {name for (name,) in found}

    async def _end(self, name: str) -> bool:
        """End sessions, tokens and servers of one user, if the Hub knows them."""
        orm_user = orm.User.find(self.app.db, name)
        if orm_user is None:
            return False
        user = self.app.users[orm_user]
        running = [spawner for spawner in user.spawners.values() if spawner.active]
        tokens = list(orm_user.api_tokens) + list(orm_user.oauth_codes)
        # Cookies carry this id: a new one makes every cookie of before worthless.
        orm_user.cookie_id = orm.new_token()
        for token in tokens:
            self.app.db.delete(token)
        self.app.db.commit()
        user._auth_refreshed = None  # noqa: SLF001 (the Hub's own way to force a fresh look)
        for spawner in running:
            # Nobody gets through from here on; the process may take its time to end, and those
            # who sign in meanwhile do not wait for it.
            await self.app.proxy.delete_user(user, spawner.name)
            task = asyncio.ensure_future(user.stop(spawner.name))
            self._stopping.add(task)
            task.add_done_callback(self._stopped)
        log.warning("Ended sessions, tokens and servers of %s", name)
        return True

    def _stopped(self, task: asyncio.Future[None]) -> None:
        self._stopping.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A server did not stop", exc_info=task.exception())


def changed_accounts(session: Session, since: datetime) -> dict[str, tuple[bool, datetime | None]]:
    """Return, by user name, whether the account is active and when its password changed.

    Parameters
    ----------
    session : Session
        Open session on the accounts.
    since : datetime
        Accounts with a password from before this are left out, unless they are switched off.
    """
    concerned = or_(User.is_active.is_(False), User.password_changed >= since)
    columns = select(User.username, User.is_active, User.password_changed)
    rows = session.execute(columns.where(concerned))
    return {name: (active, stamp) for name, active, stamp in rows}
