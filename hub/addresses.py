"""Where a request comes from, as far as it can be believed."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any


def address_of(handler: Any) -> str:
    """Return the address that a request to the Hub comes from.

    Every proxy on the way appends to X-Forwarded-For the address that it was spoken to from, so
    the last one that is not of this machine is the nearest stranger. What stands before it, and
    X-Real-Ip, anybody can write; tornado's own ``remote_ip`` believes the latter.

    Parameters
    ----------
    handler : tornado.web.RequestHandler or None
        None, as in tests, has no address.
    """
    if handler is None:
        return ""
    request = handler.request
    found = ""
    for text in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        try:
            address = ip_address(text.strip().removeprefix("::ffff:"))
        except ValueError:
            break
        found = str(address)
        if not address.is_loopback:
            return found
    return found or _spoken_to_from(request)


def _spoken_to_from(request: Any) -> str:
    context = getattr(getattr(request, "connection", None), "context", None)
    return str(getattr(context, "_orig_remote_ip", None) or request.remote_ip or "")
