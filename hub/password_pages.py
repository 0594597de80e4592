"""The Hub's pages for passwords: set one by a one-time link, change one, ask for a link.

Passwords are typed on the Hub's own pages only, never into a notebook.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from goodman_live.hub.accounts import attempts, links
from goodman_live.hub.accounts.errors import AccountError, BadLinkError, WeakPasswordError
from goodman_live.hub.accounts.links import Purpose
from goodman_live.hub.accounts.users import change_password, find_by_email, find_user
from goodman_live.hub.addresses import address_of
from goodman_live.hub.mail.queue import ask_for_password_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

TOO_OFTEN = "Too many requests from your address. Please wait 15 minutes and try again."
MISMATCH = "The two passwords are not the same."


class _PasswordPage(BaseHandler):  # type: ignore[misc]
    """What both pages share: a form, its answers in words, nothing kept by caches."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        # A link's token is in the address: it must not travel on in a Referer, nor be kept.
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    async def show(self, status: int = 200, **words: Any) -> None:
        """Answer with the page."""
        self.set_status(status)
        words = {"problems": (), "username": "", "ask_name": False, "ask_old": False, **words}
        html = await self.render_template("password.html", xsrf=self._xsrf(), **words)
        self.finish(html)

    def _xsrf(self) -> str:
        return str(self.xsrf_token.decode("ascii"))

    async def ask(self, question: Callable[[Session], Any]) -> Any:
        """Run a function of a database session in the authenticator's threads."""
        return await self.authenticator.ask(question)

    def new_password(self) -> str:
        """Return the new password, typed twice alike.

        Raises
        ------
        WeakPasswordError
            If the two differ.
        """
        new = self.get_body_argument("new", strip=False, default="")
        if new != self.get_body_argument("again", strip=False, default=""):
            raise WeakPasswordError(MISMATCH)
        return str(new)


class SetPasswordHandler(_PasswordPage):
    """Set a password by a one-time link, and with an invitation choose a user name."""

    async def get(self) -> None:
        """Show the form, or say that the link is not valid."""
        await self._form()

    async def post(self) -> None:
        """Use the link up, or say what is wrong with the password or the name."""
        token = self.get_argument("token", "")
        name = self.get_body_argument("username", default="") or None
        try:
            new = self.new_password()
            await self.ask(lambda session: links.use(session, token, new, name).username)
        except BadLinkError:
            await self._form()
        except AccountError as error:
            await self._form(status=422, problems=problems_of(error), typed=name)
        else:
            await self.authenticator.end_outdated_sessions()
            await self.show(done=True)

    async def _form(self, typed: str | None = None, **words: Any) -> None:
        token = self.get_argument("token", "")

        def look(session: Session) -> tuple[str, Purpose]:
            user, purpose = links.look_up(session, token)
            return user.username, purpose

        try:
            username, purpose = await self.ask(look)
        except BadLinkError as error:
            await self.show(404, invalid=str(error))
            return
        invited = purpose is Purpose.INVITATION
        await self.show(username=typed or username, ask_name=invited, token=token, **words)


class ChangePasswordHandler(_PasswordPage):
    """Change the password of the signed-in user, who proves to know the old one."""

    @web.authenticated
    async def get(self) -> None:
        """Show the form."""
        await self.show(username=self.current_user.name, ask_old=True)

    @web.authenticated
    async def post(self) -> None:
        """Change it and end every session, this one too."""
        name = self.current_user.name
        old = self.get_body_argument("old", strip=False, default="")

        def change(session: Session) -> None:
            user = find_user(session, name)
            if user is None:
                raise web.HTTPError(403)
            change_password(session, user, old=old, new=new)

        try:
            new = self.new_password()
            await self.ask(change)
        except AccountError as error:
            words = {"problems": problems_of(error), "username": name, "ask_old": True}
            await self.show(422, **words)
            return
        await self.authenticator.end_outdated_sessions()
        await self.show(done=True)


class ForgottenPasswordHandler(_PasswordPage):
    """Send a one-time link to whoever forgot the password, without telling who exists.

    The answer is the same for every name and does not wait for the look at the accounts, so
    neither its words nor its time tell anything.
    """

    async def get(self) -> None:
        """Show the form."""
        await self.show(ask_who=True)

    async def post(self) -> None:
        """Take the wish, as long as this address does not ask too often."""
        address = address_of(self)
        if not await self.ask(lambda session: attempts.may_ask(session, address)):
            self.set_header("Retry-After", str(int(attempts.LOCK_TIME.total_seconds())))
            await self.show(429, ask_who=True, problems=(TOO_OFTEN,))
            return
        who = self.get_body_argument("who", default="").replace("\0", "")[:254]
        self._asked = asyncio.ensure_future(self.ask(lambda session: send_link(session, who)))
        self._asked.add_done_callback(self._say_if_failed)
        await self.show(asked=True)

    def _say_if_failed(self, asked: asyncio.Future[None]) -> None:
        if not asked.cancelled() and asked.exception() is not None:
            self.log.error("A link for a password was not sent", exc_info=asked.exception())


def send_link(session: Session, who: str) -> None:
    """Put a letter with a one-time link into the queue, if `who` has an account that is active."""
    who = who.strip()
    user = find_by_email(session, who) if "@" in who else find_user(session, who.lower())
    if user is not None and user.is_active:
        ask_for_password_link(session, user)


def problems_of(error: AccountError) -> tuple[str, ...]:
    """Return what is wrong, a sentence each."""
    return error.rules if isinstance(error, WeakPasswordError) else (str(error),)
