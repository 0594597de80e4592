"""Where the service is and who asks: found from arguments, environment, file, or the server."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
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
    (what a user's server is told); the configuration file (`config_file`); the plain Jupyter
    server that started this kernel or terminal. A token is sent to the service that it was given
    for: the Hub's own token never goes to an address given by hand.

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
        If no source knows an address, or the address is not http(s), or others may read the
        configuration file.
    """
    env = os.environ if environ is None else environ
    told = env.get("GOODMAN_API_URL", "")
    if url:
        token = token or env.get("GOODMAN_TOKEN") or _token_for(url, told, env)
    elif told:
        url, token = told, token or env.get("GOODMAN_TOKEN") or env.get("JUPYTERHUB_API_TOKEN")
    else:
        found = _configured(env) or _own_server(env)
        if found is None:
            raise NoServiceError(
                "No Goodman Live service is known here.",
                remedy="Give connect(url, token), set GOODMAN_API_URL and GOODMAN_TOKEN, or write"
                f" url and token into {config_file(env)}.",
            )
        url, token = found[0], token or env.get("GOODMAN_TOKEN") or found[1]
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise NoServiceError(
            f"The address of the service, {url!r}, is not a web address.",
            remedy="It looks like https://host/services/goodman/.",
        )
    public = env.get("GOODMAN_API_PATH", "").rstrip("/") if url == told else ""
    return Address(url.rstrip("/") + "/", token or "", public + "/" if public else "")


def config_file(environ: Mapping[str, str] | None = None) -> Path:
    """Return the file with ``url = "..."`` and ``token = "..."`` (TOML), there or not.

    ``$GOODMAN_CONFIG``, else ``goodman-live/config.toml`` in ``$XDG_CONFIG_HOME`` (by default
    ``~/.config``).
    """
    env = os.environ if environ is None else environ
    if named := env.get("GOODMAN_CONFIG"):
        return Path(named).expanduser()
    home = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or Path.home()) / ".config"
    return Path(home) / "goodman-live" / "config.toml"


def _token_for(url: str, told: str, env: Mapping[str, str]) -> str:
    """Return a token kept for `url`: the Hub's, or that of the file, if it is their address."""
    if told and url.rstrip("/") == told.rstrip("/"):
        return env.get("JUPYTERHUB_API_TOKEN", "")
    found = _configured(env)
    return found[1] if found and found[0].rstrip("/") == url.rstrip("/") else ""


def _configured(env: Mapping[str, str]) -> tuple[str, str] | None:
    """Return address and token of the configuration file."""
    path = config_file(env)
    try:
        text = path.read_text("utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoServiceError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except ValueError as error:
        raise NoServiceError(f"{path} is not TOML: {error}.") from error
    url, token = str(values.get("url") or ""), str(values.get("token") or "")
    if not url:
        raise NoServiceError(f"{path} names no address.", remedy='Write url = "https://...".')
    if token and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise NoServiceError(
            f"Others on this machine can read the token in {path}.",
            remedy=f"Run chmod 600 {path}, and make a new token.",
        )
    return url, token


def _own_server(env: Mapping[str, str]) -> tuple[str, str] | None:
    """Return address and token of the plain Jupyter server around this kernel or terminal."""
    pid, url = env.get("JPY_PARENT_PID", ""), env.get("JUPYTER_SERVER_URL", "")
    if not pid.isdigit() and not url:
        return None
    from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415 (needed only here)

    folder = Path(jupyter_runtime_dir())
    paths = [folder / f"jpserver-{pid}.json"] if pid.isdigit() else folder.glob("jpserver-*.json")
    for path in paths:
        try:
            info = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if pid.isdigit() or info["url"].rstrip("/") == url.rstrip("/"):
            address = info["url"].rstrip("/") + "/" + PLAIN_PATH
            return address, str(info.get("token") or "")
    return None
