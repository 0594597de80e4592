"""Where the service is and who asks: found from arguments, the environment, or the server."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from goodman_live.widgets.client.errors import NoServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN_PATH = "goodman/"
"""Path of the extension below the base address of a plain Jupyter server."""


@dataclass(frozen=True, slots=True)
class Address:
    """One service and one identity."""

    url: str
    """Base address with a trailing slash; ``api/...`` follows it."""
    token: str = field(default="", repr=False)
    """API token; empty where the service asks for none."""
    public: str = ""
    """Base address as the user's browser reaches it; a path where it is on the same host."""

    @property
    def browser(self) -> str:
        """Base address for links in a page."""
        return self.public or urlsplit(self.url).path


def find_address(
    url: str | None = None,
    token: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Address:
    """Return the address of the service, from the nearest source that knows it.

    In order: the arguments; ``GOODMAN_API_URL`` with ``GOODMAN_TOKEN`` or the Hub's own token
    (what a user's server is told); the plain Jupyter server that started this kernel.

    Parameters
    ----------
    url : str, optional
        Base address of the service, such as ``https://host/services/goodman/``.
    token : str, optional
        API token.
    environ : mapping, optional
        Instead of the process environment.

    Raises
    ------
    NoServiceError
        If no source knows an address, or the address is not http(s).
    """
    env = os.environ if environ is None else environ
    url = url or env.get("GOODMAN_API_URL")
    token = token or env.get("GOODMAN_TOKEN") or env.get("JUPYTERHUB_API_TOKEN")
    public = env.get("GOODMAN_API_PATH", "").rstrip("/")
    if not url:
        found = _parent_server(env)
        if found is None:
            raise NoServiceError(
                "No Goodman Live service is known here.",
                remedy="Give connect(url, token), or set GOODMAN_API_URL and GOODMAN_TOKEN.",
            )
        url, token = found[0], token or found[1]
    if urlsplit(url).scheme not in {"http", "https"}:
        raise NoServiceError(
            f"The address of the service, {url!r}, is not a web address.",
            remedy="It looks like https://host/services/goodman/.",
        )
    return Address(url.rstrip("/") + "/", token or "", public + "/" if public else "")


def _parent_server(env: Mapping[str, str]) -> tuple[str, str] | None:
    """Return address and token of the plain Jupyter server that started this kernel."""
    pid = env.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None
    from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415 (needed only here)

    path = Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json"
    if not path.is_file():
        return None
    info = json.loads(path.read_text())
    return info["url"].rstrip("/") + "/" + PLAIN_PATH, str(info.get("token") or "")
