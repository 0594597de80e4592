"""API tokens that people make: they open the Goodman service's API and nothing else.

The Hub would let a user make a token with all that the user may do, and does so where no scope is
asked for. Here a token has one scope, whoever asks for what; it cannot be used to make another.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.apihandlers.users import UserTokenListAPIHandler
from tornado import web

SCOPES = ["access:services!service=goodman"]
"""The whole of what a token may do."""
LONGEST_NOTE = 200


class TokensHandler(UserTokenListAPIHandler):  # type: ignore[misc]
    """Lists and makes a user's tokens."""

    _wish: dict[str, Any] | None = None

    async def post(self, user_name: str) -> None:
        """Make a token of the one scope.

        Raises
        ------
        tornado.web.HTTPError
            400 where more is asked for, 403 for who is not signed in: a name and password are
            taken by the sign-in page alone.
        """
        if self.current_user is None:
            raise web.HTTPError(403)
        body = super().get_json_body() or {}
        if not isinstance(body, dict):
            raise web.HTTPError(400, "Body must be a JSON object or empty.")
        note, scopes = body.get("note") or "", body.get("scopes") or SCOPES
        if body.get("roles") or scopes != SCOPES:
            raise web.HTTPError(400, f"A token opens this API alone: its scopes are {SCOPES}.")
        if not isinstance(note, str) or len(note) > LONGEST_NOTE or not note.isprintable():
            raise web.HTTPError(400, f"A note is one line of at most {LONGEST_NOTE} characters.")
        expires = body.get("expires_in")
        if isinstance(expires, bool) or (isinstance(expires, int) and expires <= 0):
            raise web.HTTPError(400, "expires_in is a number of seconds above 0.")
        self._wish = {"note": note, "scopes": SCOPES, "expires_in": expires}
        await super().post(user_name)

    def get_json_body(self) -> Any:
        """Return what was accepted of the body."""
        return super().get_json_body() if self._wish is None else self._wish
