"""What is unsafe and can be convenient: switched on by name alone, and announced at the start.

Each convenience is a variable that must be ``1``. Without it a configuration that would need it
stops the Hub, and says what to set instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from traitlets.log import get_logger

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE_OS_USER = "GOODMAN_ONE_OS_USER"
"""Set to 1: every user's server as the Hub's own operating-system user."""
LOOPBACK = frozenset({"127.0.0.1", "::1"})
ISOLATES_NOBODY = (
    "Every user's server runs as one operating-system user (%s): this isolates nobody. It is for "
    "one person or a demonstration; docs/operator.md says how to run it for several people."
)
SHARED_ORIGIN = "GOODMAN_SHARED_ORIGIN"
"""Set to 1: all users' servers on the address of the Hub and the service."""
ONE_ORIGIN = (
    "%s=1: users' servers share the address of the Hub and the service. A page that one user's "
    "server sends can act as any other user who opens it. Set GOODMAN_SUBDOMAIN_HOST instead."
)
PLAIN_HTTP = "GOODMAN_PLAIN_HTTP"
"""Set to 1: an address without TLS that is not of this machine."""
IN_CLEAR = (
    "%s=1: passwords and tokens travel to %s in clear text. Terminate TLS in front and use https."
)
ADMINISTRATORS = (
    "GoodmanAuthenticator.superusers_administer_hub: superusers can reach every user's server, "
    "files and token."
)


class WiringError(GoodmanError):
    """A setting of the Hub that cannot work or is not safe."""

    code = "bad_wiring"


def announce(message: str, *words: str) -> None:
    """Warn the operator."""
    # The Hub's own log: this module's would be mute before the Hub has set up logging.
    get_logger().warning(message, *words)


def subdomain_host(environ: Mapping[str, str]) -> str:
    """Return the address below which each user's server has its own name; empty for none.

    Raises
    ------
    WiringError
        If it is no address, or one that sends passwords in clear text over a network.
    """
    text = environ.get("GOODMAN_SUBDOMAIN_HOST", "").rstrip("/")
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise WiringError(
            f"GOODMAN_SUBDOMAIN_HOST={text!r} is not an address such as "
            "https://goodman.example.org.",
            field="GOODMAN_SUBDOMAIN_HOST",
        )
    check_clear(text, environ)
    return text


def check_clear(address: str, environ: Mapping[str, str]) -> None:
    """Refuse an address without TLS that is not of this machine, or announce it."""
    parts = urlsplit(address)
    here = (parts.hostname or "").rpartition(".")[2] == "localhost" or parts.hostname in LOOPBACK
    if parts.scheme == "https" or here:
        return
    if environ.get(PLAIN_HTTP) != "1":
        raise WiringError(
            f"{address} has no TLS: passwords would travel in clear text.",
            remedy=f"Use https, or set {PLAIN_HTTP}=1 where nobody else is on the network.",
            field=PLAIN_HTTP,
        )
    announce(IN_CLEAR, PLAIN_HTTP, address)


def check_origin(host: str, environ: Mapping[str, str]) -> None:
    """Refuse one address for the servers of several users, or announce it."""
    if host:
        return
    if environ.get(SHARED_ORIGIN) != "1":
        raise WiringError(
            "All users' servers would share the address of the Hub and the service: a page that "
            "one of them sends could act as any other user who opens it.",
            remedy="Set GOODMAN_SUBDOMAIN_HOST=https://goodman.example.org, with a wildcard name "
            f"and certificate; or {SHARED_ORIGIN}=1 where all users trust each other.",
            field="GOODMAN_SUBDOMAIN_HOST",
        )
    announce(ONE_ORIGIN, SHARED_ORIGIN)
