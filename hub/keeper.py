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
from tornado.ioloop import PeriodicCallback

from goodman_live.hub.accounts.models import User, utc_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

log = logging.getLogger("jupyterhub.goodman.keeper")

MARGIN = timedelta(seconds=30)
"""A look goes back this much further than the last one: clocks of hosts differ."""


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
        self._ended: dict[str, datetime | None] = {}
        self._timer = PeriodicCallback(self._look_safely, every_s * 1000)

    def start(self) -> None:
        """Begin to look."""
        self._timer.start()

    async def _look_safely(self) -> None:
        try:
            await self.look()
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
        for name, (active, stamp) in changed.items():
            if active and name in self._ended and self._ended[name] == stamp:
                continue
            if await self._end(name, keep=active):
                ended.append(name)
            self._ended[name] = stamp
        self._since = now
        self.state.write_text(json.dumps({"looked": now.isoformat()}))
        return ended

    async def _end(self, name: str, *, keep: bool) -> bool:
        """End sessions, tokens and servers of one user; say whether there were any."""
        orm_user = orm.User.find(self.app.db, name)
        if orm_user is None:
            return False
        user = self.app.users[orm_user]
        running = [spawner for spawner in user.spawners.values() if spawner.active]
        tokens = list(orm_user.api_tokens) + list(orm_user.oauth_codes)
        if not keep and not running and not tokens:
            return False
        # Cookies carry this id: a new one makes every cookie of before worthless.
        orm_user.cookie_id = orm.new_token()
        for token in tokens:
            self.app.db.delete(token)
        self.app.db.commit()
        user._auth_refreshed = None  # noqa: SLF001 (the Hub's own way to force a fresh look)
        for spawner in running:
            await user.stop(spawner.name)
            await self.app.proxy.delete_user(user, spawner.name)
        log.warning("Ended sessions, tokens and servers of %s", name)
        return True


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
