"""Sign-in at the Hub against our own accounts.

The Hub keeps sessions, this module says who may begin one. Passwords are checked in threads
(argon2 is slow by design), failures are slowed and locked, and unknown names cost what known
ones do. Groups of the Hub follow memberships of proposals.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jupyterhub.auth import Authenticator
from sqlalchemy.exc import SQLAlchemyError
from tornado import web
from traitlets import Bool, Integer, Unicode, default

from goodman_live.hub.accounts import attempts
from goodman_live.hub.accounts.database import (
    database_url,
    is_away,
    make_engine,
    session_factory,
)
from goodman_live.hub.accounts.passwords import verify_password
from goodman_live.hub.accounts.proposals import groups_of
from goodman_live.hub.accounts.users import Outcome, authenticate, find_user
from goodman_live.hub.addresses import address_of
from goodman_live.hub.conveniences import ADMINISTRATORS, announce
from goodman_live.hub.handlers import SignOutHandler
from goodman_live.hub.keeper import Keeper
from goodman_live.hub.password_pages import (
    ChangePasswordHandler,
    ForgottenPasswordHandler,
    SetPasswordHandler,
)
from goodman_live.hub.tokens import TokensHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session, sessionmaker

Result = TypeVar("Result")

log = logging.getLogger(__name__)

WRONG = "Invalid username or password"
TOO_MANY = "Too many failed attempts. Please wait 15 minutes and try again."
"""Said for any name that is locked, known or not."""
BUSY = "Too many people sign in at this moment. Please try again in a minute."
AWAY = "The accounts cannot be reached at this moment. Please try again in a minute."
"""Said where the database is locked for long, or away."""
DATABASE_THREADS = 4
MOST_WAITING = 100
"""Sign-ins that may wait for a thread; beyond it there is a flood."""
HASH_THREADS = 2
"""Passwords that are checked at once: each takes a core and 46 MiB."""


class GoodmanAuthenticator(Authenticator):  # type: ignore[misc]
    """Authenticates against the accounts in the project's database."""

    database = Unicode(
        help="SQLAlchemy URL of the accounts; default $GOODMAN_DATABASE, else SQLite in the data"
        " root ($GOODMAN_DATA)."
    ).tag(config=True)
    superusers_administer_hub = Bool(
        default_value=False,
        help="Make superusers administrators of the Hub too. An administrator of the Hub can"
        " reach every user's server and token; managing accounts and proposals needs none of it.",
    ).tag(config=True)
    keep_in_step_s = Integer(
        1,
        help="Seconds between looks for accounts that were switched off or got a new password,"
        " whose sessions, servers and tokens then end.",
    ).tag(config=True)

    @default("database")
    def _default_database(self) -> str:
        return database_url()

    @default("allow_all")
    def _default_allow_all(self) -> bool:
        # Whoever has an account may come in; who has none is refused by `authenticate`.
        return True

    @default("manage_groups")
    def _default_manage_groups(self) -> bool:
        return True

    @default("auth_refresh_age")
    def _default_auth_refresh_age(self) -> int:
        # A look at our own accounts costs a millisecond: who is switched off is out at once.
        return 1

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.superusers_administer_hub:
            announce(ADMINISTRATORS)
        self._sessions_of: sessionmaker[Session] | None = None
        self._keeper: Keeper | None = None
        self._threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="accounts")
        # Apart: those who guess passwords must not keep those who are signed in waiting.
        self._hashing = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="sign-in")
        self._waiting = 0
        # The first unknown name would otherwise cost twice what later ones do.
        self._hashing.submit(verify_password, "", "warm up")

    @property
    def sessions(self) -> sessionmaker[Session]:
        """Factory of sessions on the accounts."""
        if self._sessions_of is None:
            self._sessions_of = session_factory(make_engine(self.database))
        return self._sessions_of

    async def ask(self, question: Callable[[Session], Result]) -> Result:
        """Run a function of a database session in one of our threads."""
        return await self._in(self._threads, question)

    async def _in(self, pool: ThreadPoolExecutor, question: Callable[[Session], Result]) -> Result:
        def work() -> Result:
            try:
                with self.sessions() as session:
                    return question(session)
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                log.warning("The accounts cannot be reached: %s", type(error).__name__)
                away: Any = web.HTTPError(503, AWAY)
                away.headers = {"Retry-After": "5"}  # the Hub sends these along
                raise away from error

        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any]:
        """Return the user's Hub record.

        Raises
        ------
        tornado.web.HTTPError
            Shown on the sign-in page: 403 where the name or password is wrong, 429 where the name
            is locked.
        """
        name, password = data.get("username", ""), data.get("password", "")
        address = address_of(handler)
        wait = await self.ask(lambda session: attempts.delay_s(session, name, address))
        await asyncio.sleep(wait)

        def sign_in(session: Session) -> tuple[Outcome, dict[str, Any] | None, bool]:
            answer = authenticate(session, name, password, address)
            known = find_user(session, name) is not None
            return answer.outcome, self._record(session, answer.user), known

        if self._waiting >= MOST_WAITING:
            raise web.HTTPError(503, BUSY)
        self._waiting += 1
        try:
            outcome, record, known = await self._in(self._hashing, sign_in)
        finally:
            self._waiting -= 1
        if outcome is Outcome.LOCKED:
            raise web.HTTPError(429, TOO_MANY)
        if record is None:
            # The Hub itself would log whatever was typed, which may be somebody's password.
            self.log.warning("Failed sign-in of %s", name if known else "a name without account")
            raise web.HTTPError(403, WRONG)
        # What an older password began ends before the new one begins anything.
        await self.end_outdated_sessions()
        return record

    async def end_outdated_sessions(self) -> None:
        """End what switched-off accounts and older passwords still hold, now."""
        if self._keeper is not None:
            await self._keeper.look()

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> Any:  # noqa: ARG002
        """Return the Hub record as it is now, or False where the account may no longer be used."""
        name = user.name

        def look(session: Session) -> dict[str, Any] | None:
            account = find_user(session, name)
            return self._record(session, account) if account and account.is_active else None

        found = await self.ask(look)
        groups = {group.name for group in user.orm_user.groups}
        if found and set(found["groups"]) == groups and found["admin"] == user.admin:
            return True  # nothing to write down
        return found or False

    def _record(self, session: Session, user: Any) -> dict[str, Any] | None:
        if user is None:
            return None
        admin = user.is_superuser and self.superusers_administer_hub
        return {"name": user.username, "admin": admin, "groups": groups_of(session, user)}

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Return the sign-in handlers; the Hub calls this once, when its loop runs."""
        # Beside the cookie secret, which must survive restarts as well.
        state = Path(app.cookie_secret_file).resolve().with_name("keeper.json")
        self._keeper = Keeper(app, self.ask, every_s=self.keep_in_step_s, state=state)
        self._keeper.start()
        return [
            ("/logout", SignOutHandler),
            ("/set-password", SetPasswordHandler),
            ("/change-password", ChangePasswordHandler),
            ("/forgot-password", ForgottenPasswordHandler),
            ("/api/users/([^/]+)/tokens", TokensHandler),
            *super().get_handlers(app),
        ]
