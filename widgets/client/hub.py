"""API tokens of the reader, made and revoked at the Hub, which keeps only their hash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from goodman_live.widgets.client.address import Address
from goodman_live.widgets.client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPE = "access:services!service=goodman"
"""All that a token may do: speak to the service as its owner."""
OWN = "JupyterHub"
"""What the Hub writes where a token was made by hand, and not for a server or a session."""


class HubTokens:
    """The tokens of one user.

    Parameters
    ----------
    transport : Transport
        To the Hub's own API.
    user : str
        User name.
    """

    def __init__(self, transport: Transport, user: str) -> None:
        self._transport = transport
        self._path = f"users/{quote(user, safe='')}/tokens"

    async def list(self) -> list[dict[str, Any]]:
        """Return the tokens that were made by hand, newest first; never the tokens themselves."""
        answer = await self._transport.json("GET", self._path)
        rows = cast("list[dict[str, Any]]", answer["api_tokens"])
        mine = [row for row in rows if _by_hand(row)]
        return sorted(mine, key=lambda row: str(row.get("created")), reverse=True)

    async def make(self, note: str, days: int | None) -> str:
        """Return a new token that may speak to the service and do nothing else.

        Parameters
        ----------
        note : str
            What it is for.
        days : int or None
            How long it is valid; None for ever.
        """
        body: dict[str, Any] = {"note": note, "scopes": [SCOPE]}
        if days:
            body["expires_in"] = days * 86400
        return str((await self._transport.json("POST", self._path, body=body))["token"])

    async def revoke(self, token_id: str) -> None:
        """Make a token worthless."""
        await self._transport.json("DELETE", f"{self._path}/{quote(token_id, safe='')}")


def _by_hand(row: dict[str, Any]) -> bool:
    note = str(row.get("note") or "")
    return row.get("oauth_client", OWN) == OWN and not note.startswith("Server at ")


def find_tokens(environ: Mapping[str, str] | None = None) -> HubTokens | None:
    """Return the reader's tokens, or None where no Hub is around."""
    env = os.environ if environ is None else environ
    url, token, user = (
        env.get(f"JUPYTERHUB_{name}", "") for name in ("API_URL", "API_TOKEN", "USER")
    )
    if not (url and token and user):
        return None
    return HubTokens(Transport(Address(url.rstrip("/") + "/", token)), user)


def hub_page(name: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the address of one of the Hub's pages as the browser reaches it; empty without."""
    env = os.environ if environ is None else environ
    if not env.get("JUPYTERHUB_API_URL"):
        return ""
    base = env.get("JUPYTERHUB_BASE_URL", "/")
    return f"{env.get('JUPYTERHUB_HOST', '')}{base}hub/{name}"
