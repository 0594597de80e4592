"""Content policies: what a page of the Hub, or of a user's server, may load, run and send.

The service has its own (`server_extension.handler`): it answers with data, so nothing may run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HUB_PAGES = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
    "base-uri": "'self'",
    "object-src": "'none'",
}
"""The Hub's own templates carry scripts and styles inline."""

USER_PAGES = HUB_PAGES | {
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "img-src": "'self' data: blob:",
}
"""Voilà's pages. Its template starts by an inline script, anywidget imports the script of each
component as a blob, and JupyterLab compiles schemas with ``eval``. Nothing comes from, or goes to,
another host: a planted script could not send away what it reads."""


def written(policy: Mapping[str, str]) -> str:
    """Return a policy as the header says it."""
    return "; ".join(f"{key} {value}" for key, value in policy.items())
