"""Handlers of the Hub that differ from its own: signing out ends everything."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from jupyterhub.handlers.login import LogoutHandler


class SignOutHandler(LogoutHandler):  # type: ignore[misc]
    """Ends the session here and everywhere: cookies, the tokens behind them, the server.

    The Hub's own handler forgets the browser's cookie but would still take a copy of it. A new
    cookie id makes every copy worthless.
    """

    async def get(self) -> None:
        """Sign out whom a page of the Hub's own sends, or nobody; ask whom another sends.

        Any page can make a browser load this address, and with it end somebody's notebooks. Pages
        of users' servers on their subdomains are others: whose they are, the Hub cannot tell.
        """
        if self.current_user is None or self._comes_from_here():
            await super().get()
            return
        xsrf = self.xsrf_token.decode("ascii")
        self.finish(await self.render_template("logout.html", ask=True, xsrf=xsrf))

    async def post(self) -> None:
        """Sign out who was asked: the form carries the proof that it is the Hub's own."""
        await super().get()

    def _comes_from_here(self) -> bool:
        """Tell whether the reader, or a page of this very origin, opened this address.

        Browsers say so to whoever is reached by TLS or on this machine; others say nothing.
        """
        headers = self.request.headers
        here = headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}
        return here and headers.get("Sec-Fetch-Mode", "navigate") == "navigate"

    async def default_handle_logout(self) -> None:
        """Do what the Hub does, then make every cookie of this user worthless."""
        user = self.current_user
        await super().default_handle_logout()
        if user is not None:
            user.orm_user.cookie_id = orm.new_token()
            self.db.commit()
            self._clear_path(f"jupyterhub-user-{user.escaped_name}", user.url)
        self._clear_path("service-goodman", f"{self.base_url}services/goodman/")
        self.clear_cookie("__Host-service-goodman")

    def _clear_path(self, name: str, path: str) -> None:
        for cookie in (name, "_xsrf"):
            self.clear_cookie(cookie, path=path)

    async def render_logout_page(self) -> Any:
        """Say that it is done, instead of asking at once to sign in again."""
        self.finish(await self.render_template("logout.html", ask=False))
