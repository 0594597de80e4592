"""Who asks: the Hub says which name, our own catalogue says what that name may do.

The Hub's answer about a token may be as old as `HUB_CACHE_S`; accounts and memberships are read
from the catalogue on every request, so a switched-off account or a removed collaborator is out
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider
from traitlets import default

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from jupyter_server.auth import User

HUB_CACHE_S = 1
"""Seconds for which the Hub's answer about a token is believed: a page asks several things in a
row, and what was signed out or revoked is over a second later."""


INSTRUMENT = "instrument"
"""Name of the Hub's service that adds files."""


class NotSignedInError(GoodmanError):
    """No identity, or one that has expired."""

    status = 401
    code = "not_signed_in"


class NotAdmittedError(GoodmanError):
    """An identity that may not do this."""

    status = 403
    code = "forbidden"


class HubUnreachableError(GoodmanError):
    """The Hub cannot be asked who this is."""

    status = 503
    code = "hub_unreachable"


class CallerKind(StrEnum):
    """What stands behind an identity."""

    USER = "user"
    """An account of the Hub."""
    INSTRUMENT = "instrument"
    """The Hub's service of that name: it adds files and does nothing else."""
    SERVICE = "service"
    """Another service of the Hub, such as monitoring."""
    OWNER = "owner"
    """The one person of a plain Jupyter server."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity before our own catalogue was asked."""

    kind: CallerKind
    name: str


class HubIdentityProvider(JupyterHubIdentityProvider):  # type: ignore[misc]
    """The Hub's OAuth cookies and tokens, believed for a few seconds only."""

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        return HubOAuth(parent=self, cache_max_age=HUB_CACHE_S)


def caller_of(user: User) -> Caller:
    """Return the caller behind a Jupyter identity.

    A plain server makes up a new user name for each token request: all are its one owner.
    """
    hub_user: dict[str, Any] | None = getattr(user, "hub_user", None)
    if hub_user is None:
        return Caller(CallerKind.OWNER, "owner")
    name = str(hub_user["name"])
    if hub_user.get("kind") != "service":
        return Caller(CallerKind.USER, name)
    # The prefix keeps limits apart: a user may have the same name.
    kind = CallerKind.INSTRUMENT if name == INSTRUMENT else CallerKind.SERVICE
    return Caller(kind, f"service {name}")


def refusal(handler: Any) -> GoodmanError:
    """Return why `handler` has no user: no identity, or a token whose scope is too small."""
    known = getattr(handler, "_cached_hub_user", None)
    if known:
        return NotAdmittedError(
            "This token may not use the Goodman service.",
            remedy="Make one with the scope access:services!service=goodman.",
        )
    if getattr(handler, "lacks_xsrf", False):
        return NotAdmittedError(
            "A cookie alone is not enough here: any page can make a browser send it.",
            remedy="Send the _xsrf cookie's value as X-XSRFToken, or use a token.",
        )
    return NotSignedInError(
        "Sign in, or send a token that is valid.",
        remedy="Authorization: Token <key>.",
    )
