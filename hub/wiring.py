"""Puts the parts together for the Hub: addresses, sign-in, spawner, service, roles, culling."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyterhub.utils import subdomain_hook_idna

from goodman_live.hub import userserver
from goodman_live.hub.accounts.database import data_root, database_url
from goodman_live.hub.authenticator import GoodmanAuthenticator
from goodman_live.hub.conveniences import (
    ISOLATES_NOBODY,
    ONE_OS_USER,
    WiringError,
    announce,
    check_clear,
    check_origin,
    subdomain_host,
)
from goodman_live.hub.mail import settings as mail
from goodman_live.hub.policy import HUB_PAGES, written
from goodman_live.hub.ports import HELD, Ports, keep, ports
from goodman_live.hub.proxy import proxy_command
from goodman_live.hub.spawners import OneUserSpawner, SystemUserSpawner

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = "goodman"
"""Name of the managed service; its prefix is ``/services/goodman/``."""
SERVICE_MODULE = "goodman_live.server_extension.service"
"""What the service runs."""
SERVICE_TIMEOUT_S = 300
"""How long the service may take until it answers."""
SERVICE_ACCOUNT = "goodman-live"
"""System account of the service, where the Hub runs as root."""
SERVER_IDLE_S = 3600
"""A user's server that is idle this long is stopped."""

INSTRUMENT = "instrument"
"""Name of the Hub's service whose token may add files and do nothing else."""
INSTRUMENT_TOKEN_FILE = "GOODMAN_INSTRUMENT_TOKEN_FILE"  # noqa: S105 (a variable's name)
"""Names the file that holds the instrument's token; without it there is none."""
MONITOR = "monitor"
"""Name of the Hub's service whose token may read metrics and health, and nothing else."""
MONITOR_TOKEN_FILE = "GOODMAN_MONITOR_TOKEN_FILE"  # noqa: S105 (a variable's name)
"""Names the file that holds the token of monitoring; without it there is none."""
SHORTEST_TOKEN = 32

SERVICE_SCOPES = ["read:users:name", "read:users:groups"]
"""What the service may do at the Hub, each by name."""
SERVER_SCOPES = [f"access:services!service={SERVICE}", "read:users!user", "tokens!user"]
"""What the token of a user's server may do besides reporting its activity: ask the service, and
make and revoke API tokens of its own user, for the page *Account*."""
USER_SCOPES = ["self", f"access:services!service={SERVICE}"]
"""What every signed-in user may do."""

SERVICE_VARIABLES = (
    "GOODMAN_DASK",
    "GOODMAN_SUPERUSER_EMAIL",
    "GOODMAN_STARS",
    "GOODMAN_STARS_URL",
    "GOODMAN_LEAST_FREE_MB",
    "GOODMAN_WEBHOOK_HOSTS",
    "PGPASSFILE",
    "PGSSLROOTCERT",
)
"""What an operator sets for the service besides data, database and mail."""
PASSED_ON = ("GOODMAN_DEMO",)
"""Variables that every process is given, so that a demonstration finds its own and stops them."""

HOST_COOKIES = "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED"
"""Tells the service what the Hub tells users' servers by itself: ``__Host-`` before cookies."""
HTTPS_ONLY = "max-age=31536000"
"""Of one year; without subdomains and preload, which are the operator's to promise."""


def wire(c: Any, environ: Mapping[str, str] | None = None) -> None:
    """Fill in the Hub's configuration.

    Parameters
    ----------
    c : traitlets.config.Config
        Configuration to fill.
    environ : mapping, optional
        Environment to read instead of the process's own.

    Raises
    ------
    WiringError
        If a setting cannot work, or one operating-system user would serve all without having
        been asked for by name.
    """
    environ = os.environ if environ is None else environ
    at = ports(environ)
    host = subdomain_host(environ)
    _addresses(c, at, host)
    _sign_in(c, environ)
    _servers(c, at, host, environ)
    _services(c, at, host, environ)
    _headers(c, host, environ)


def wire_pages(c: Any, environ: Mapping[str, str] | None = None) -> None:
    """Fill in what the Hub's own pages need, where something else wires the rest (a chart)."""
    environ = os.environ if environ is None else environ
    _sign_in(c, environ)
    _headers(c, subdomain_host(environ), environ)


def hold_port(environ: Mapping[str, str] | None = None) -> None:
    """Hold the service's port for its account until this process, the Hub, ends.

    Does nothing where one operating-system user serves all.

    Raises
    ------
    WiringError
        If somebody else has the port.
    """
    environ = os.environ if environ is None else environ
    if account := _service_account(environ):
        keep(ports(environ).service, pwd.getpwnam(account["user"]).pw_uid)


def user_subdomain(name: str, domain: str, kind: str) -> str:
    """Return the domain of a user's server; what we trust stays on the Hub's own.

    Parameters
    ----------
    name : str
        User or service.
    domain : str
        The Hub's.
    kind : str
        ``user`` or ``service``.
    """
    return domain if kind == "service" else str(subdomain_hook_idna(name, domain, kind))


def _addresses(c: Any, at: Ports, host: str) -> None:
    # Loopback only: a server that faces the network terminates TLS in front (docs/operator.md).
    c.JupyterHub.bind_url = f"http://127.0.0.1:{at.public}"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{at.hub}"
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{at.proxy_api}"
    c.ConfigurableHTTPProxy.command = proxy_command()
    c.JupyterHub.subdomain_host = host
    c.JupyterHub.subdomain_hook = user_subdomain
    # Stopping the Hub stops everything: nothing may be left behind.
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.cleanup_proxy = True
    c.JupyterHub.shutdown_on_logout = True


def _sign_in(c: Any, environ: Mapping[str, str]) -> None:
    c.JupyterHub.authenticator_class = GoodmanAuthenticator
    c.GoodmanAuthenticator.database = database_url(environ)
    c.JupyterHub.template_paths = [str(Path(__file__).resolve().parent / "templates")]
    name, email = (environ.get(key, "") for key in userserver.CONTACT)
    c.JupyterHub.template_vars = {"contact": {"name": name, "email": email}}
    c.JupyterHub.default_url = ""


def _servers(c: Any, at: Ports, host: str, environ: Mapping[str, str]) -> None:
    if environ.get(ONE_OS_USER) == "1":
        c.JupyterHub.spawner_class = OneUserSpawner
        c.OneUserSpawner.home_dir_template = f"{data_root(environ)}/home/{{username}}"
        announce(ISOLATES_NOBODY, pwd.getpwuid(os.geteuid()).pw_name)
    elif os.geteuid() == 0:
        c.JupyterHub.spawner_class = SystemUserSpawner
        check_origin(host, environ)
    else:
        raise WiringError(
            "The Hub does not run as root, so all users' servers would run as one "
            "operating-system user, which isolates nobody.",
            remedy="Run it as root, or set GOODMAN_ONE_OS_USER=1 for one person or a "
            "demonstration.",
            field="GOODMAN_ONE_OS_USER",
        )
    # Where names decide, the proxy does not know a loopback address: the service itself does.
    api = f"http://127.0.0.1:{at.service if host else at.public}/services/{SERVICE}"
    path = f"{host}/services/{SERVICE}"
    c.Spawner.cmd = [sys.executable, "-m", *userserver.spawner_command(), *_as_root(environ)]
    marks = {key: environ[key] for key in (*PASSED_ON, *userserver.CONTACT) if key in environ}
    c.Spawner.environment = userserver.spawner_environment(api, path) | marks
    c.Spawner.default_url = userserver.FIRST_PAGE
    c.Spawner.ip = "127.0.0.1"
    c.Spawner.http_timeout = 120
    # Which counts the time in line (`line.py`).
    c.Spawner.start_timeout = 1200
    # An address that was kept or sent opens its page, without a button on the way.
    c.JupyterHub.implicit_spawn_seconds = 0.1
    _limits(c, environ)
    # Named servers would each be a way around the limit of one.
    c.JupyterHub.allow_named_servers = False


def _limits(c: Any, environ: Mapping[str, str]) -> None:
    """Limit the memory of each process of a user, and the number of servers altogether."""
    memory = _number(environ, "GOODMAN_USER_MEMORY_MB", 4096)
    c.OneUserSpawner.process_memory_mb = c.SystemUserSpawner.process_memory_mb = memory
    c.JupyterHub.active_server_limit = _number(environ, "GOODMAN_MOST_SERVERS", 100)
    # The proxy counts the answers to a websocket's pings as activity, so a page that was left open
    # would keep its server for ever. Users' servers report what was done in them, and that counts.
    c.JupyterHub.last_activity_interval = 0
    # Whoever comes while others start waits in line (`line.py`); the Hub's own limit would refuse.
    c.JupyterHub.concurrent_spawn_limit = 0


def _number(environ: Mapping[str, str], name: str, usual: int) -> int:
    text = environ.get(name) or str(usual)
    if not text.isascii() or not text.isdigit():
        raise WiringError(f"{name}={text!r} is no whole number.", field=name)
    return int(text)


def _as_root(environ: Mapping[str, str]) -> list[str]:
    """Return the option without which a Jupyter server refuses to run as root."""
    one_user = environ.get(ONE_OS_USER) == "1"
    return ["--ServerApp.allow_root=True"] if one_user and os.geteuid() == 0 else []


def _service_account(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the service's own system account, where the Hub can start it as one."""
    if environ.get(ONE_OS_USER) == "1" or os.geteuid() != 0:
        return {}
    name = environ.get("GOODMAN_SERVICE_USER") or SERVICE_ACCOUNT
    try:
        record = pwd.getpwnam(name)
    except KeyError:
        raise WiringError(
            f"The service's system account {name!r} does not exist.",
            remedy=f"Make it with: useradd --system {name}; it must own the data root.",
            field="GOODMAN_SERVICE_USER",
        ) from None
    if record.pw_uid == 0:
        raise WiringError("The service may not run as root.", field="GOODMAN_SERVICE_USER")
    return {"user": name}


def _mail(at: Ports, host: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the mail, with the Hub's own address where none is public."""
    mail.mail_settings(environ)  # What cannot work stops the Hub, not the first letter.
    told = {name: environ[name] for name in mail.VARIABLES if environ.get(name)}
    if environ.get("GOODMAN_PUBLIC_URL"):
        check_clear(environ["GOODMAN_PUBLIC_URL"], environ)
    return {"GOODMAN_PUBLIC_URL": host or f"http://127.0.0.1:{at.public}", **told}


def _token_services(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the Hub's services that are a token and nothing more, where the token is given."""
    found = []
    for name, variable in ((INSTRUMENT, INSTRUMENT_TOKEN_FILE), (MONITOR, MONITOR_TOKEN_FILE)):
        if path := environ.get(variable, ""):
            found.append({"name": name, "api_token": _token(path, variable), "display": False})
    return found


def _token(path: str, variable: str) -> str:
    what = variable.removeprefix("GOODMAN_").removesuffix("_TOKEN_FILE").lower()
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WiringError(f"The {what}'s token cannot be read: {error}.", field=variable) from None
    if len(token) < SHORTEST_TOKEN:
        raise WiringError(
            f"The {what}'s token has fewer than {SHORTEST_TOKEN} characters.",
            remedy="Make one with: openssl rand -hex 32.",
            field=variable,
        )
    return token


def _services(c: Any, at: Ports, host: str, environ: Mapping[str, str]) -> None:
    root = data_root(environ)
    marks = {key: environ[key] for key in PASSED_ON if key in environ}
    threads = {key: environ.get(key, "1") for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    told = {
        "GOODMAN_DATA": str(root),
        "GOODMAN_DATABASE": database_url(environ),
        **{key: environ[key] for key in SERVICE_VARIABLES if environ.get(key)},
        **_mail(at, host, environ),
        **threads,
        **marks,
    }
    if host.startswith("https:"):
        told[HOST_COOKIES] = "1"
    if account := _service_account(environ):
        told[HELD] = "1"  # by `hold_port`
    tokens = _token_services(environ)
    c.JupyterHub.services = [
        {
            "name": SERVICE,
            "display": True,
            "url": f"http://127.0.0.1:{at.service}",
            "command": [sys.executable, "-m", SERVICE_MODULE, *_as_root(environ)],
            "environment": told,
            "cwd": str(root),
            "oauth_no_confirm": True,
            # A loaded machine, or a migration of a large catalogue, may take its time.
            "timeout": SERVICE_TIMEOUT_S,
            **account,
        },
        {
            "name": "culler",
            "environment": marks,
            "command": [
                sys.executable,
                *(
                    "-m",
                    "jupyterhub_idle_culler",
                    f"--timeout={SERVER_IDLE_S}",
                    "--cull-every=120",
                ),
            ],
        },
        *tokens,
    ]
    c.JupyterHub.load_roles = [
        {"name": "user", "scopes": USER_SCOPES},
        {
            "name": "server",
            "scopes": ["users:activity!user", "access:servers!server", *SERVER_SCOPES],
        },
        {"name": "goodman-service", "scopes": SERVICE_SCOPES, "services": [SERVICE]},
        {
            "name": "culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["culler"],
        },
    ]
    for one in tokens:
        # What more they may do there, the service itself decides by their names.
        scopes = [f"access:services!service={SERVICE}"]
        if one["name"] == MONITOR:
            scopes.append("read:metrics")
        role = {"name": one["name"], "scopes": scopes, "services": [one["name"]]}
        c.JupyterHub.load_roles.append(role)


def _headers(c: Any, host: str, environ: Mapping[str, str]) -> None:
    policy = dict(HUB_PAGES)
    headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
    cookies: dict[str, Any] = {"SameSite": "Lax"}
    if host:
        # Signing in ends with a redirect to the user's own subdomain.
        parts = urlsplit(host)
        policy["form-action"] += f" {parts.scheme}://*.{parts.netloc}"
    if (host or environ.get("GOODMAN_PUBLIC_URL", "")).startswith("https:"):
        # Whatever a terminator in front forgets to pass on, browsers come by TLS alone.
        cookies["Secure"] = True
        headers["Strict-Transport-Security"] = HTTPS_ONLY
    # A page on one subdomain may plant cookies for all of the domain: somebody's own session there
    # would be everybody's, who then works in a stranger's name. What begins with __Host- it cannot
    # plant; browsers take that by TLS alone.
    c.JupyterHub.cookie_host_prefix_enabled = host.startswith("https:")
    headers["Content-Security-Policy"] = written(policy)
    c.JupyterHub.tornado_settings = {"headers": headers, "cookie_options": cookies}
