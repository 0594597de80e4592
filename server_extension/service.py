"""The Hub's service: a Jupyter server with our extension and nothing else on it.

``python -m goodman_live.server_extension.service`` is the managed service's command. Address,
port, prefix and identity come from the ``JUPYTERHUB_SERVICE_*`` variables, data and database from
``GOODMAN_DATA`` and ``GOODMAN_DATABASE``; anything else from the command line or
``GoodmanExtension`` and ``GoodmanServer`` settings in a file given with ``--config``.

No kernels, contents, terminals, sessions or files are served: whatever Jupyter Server would add
is taken off again before the first request, for everybody.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from jupyter_server.serverapp import ServerApp
from jupyterhub.singleuser.extension import JupyterHubAuthorizer
from tornado.netutil import bind_sockets

from goodman_live.hub.accounts.database import data_root
from goodman_live.server_extension.app import GoodmanExtension
from goodman_live.server_extension.handler import UnknownRouteHandler
from goodman_live.server_extension.identity import HubIdentityProvider
from goodman_live.server_extension.long_lived import share_heaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PORT_HELD = "GOODMAN_PORT_HELD"
"""Set by the Hub where it has bound the port already, so that no other account can."""
KEPT_ROUTES = ("oauth_callback", "logout")
"""What the identity needs of Jupyter's own routes, below the prefix."""
MAX_REQUEST_BYTES = 16 * 2**20
"""What the web server refuses unread, whoever sends it; uploads have their own limit."""
MAX_BUFFER_BYTES = 160 * 2**20
"""What may wait to be sent to one client, such as a picture."""


class GoodmanServer(ServerApp):
    """A Jupyter server without Jupyter's services."""

    name = "goodman-service"
    default_services = ()  # type: ignore[assignment]
    serves_goodman_alone = True
    exit_code = 0
    # No user's or system's Jupyter configuration may add to what is served.
    config_file_paths: ClassVar[list[str]] = []

    def init_logging(self) -> None:
        """Let our own modules speak in the server's log, as tornado does."""
        super().init_logging()
        ours = logging.getLogger("goodman_live")
        ours.parent = self.log
        ours.setLevel(self.log.level)

    def init_webapp(self) -> None:
        """Make the web application and take off what is not ours."""
        super().init_webapp()
        keep = {f"{self.base_url}{name}" for name in KEPT_ROUTES}
        rules = self.web_app.wildcard_router.rules
        rules[:] = [rule for rule in rules if _pattern(rule) in keep]

    def _find_http_port(self) -> None:
        """Try the port, but where it is held: binding it without sharing would fail."""
        if os.environ.get(PORT_HELD) != "1":
            super()._find_http_port()

    def _bind_http_server_tcp(self) -> bool:
        """Share the port where the Hub holds it for this account (`hub/ports.py`)."""
        if os.environ.get(PORT_HELD) != "1":
            return bool(super()._bind_http_server_tcp())
        sockets = bind_sockets(self.port, self.ip, reuse_port=True)
        self.http_server.add_sockets(sockets)
        return True

    def init_signal(self) -> None:
        """Stop on SIGINT too, without asking: it is how the Hub stops a service."""
        super().init_signal()
        signal.signal(signal.SIGINT, self._signal_stop)

    def write_server_info_file(self) -> None:
        """Write none: it would hold the service's token."""

    def remove_server_info_file(self) -> None:
        """There is none."""


def _pattern(rule: Any) -> str:
    regex = getattr(rule.matcher, "regex", None)
    return "" if regex is None else str(regex.pattern).rstrip("$")


class GoodmanService(GoodmanExtension):
    """The extension with the server that it runs on as a service."""

    serverapp_class = GoodmanServer


def server_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the server that the Hub's environment asks for.

    Raises
    ------
    SystemExit
        If the process was not started by a Hub.
    """
    url = environ.get("JUPYTERHUB_SERVICE_URL", "")
    prefix = environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if not url or not prefix:
        sys.exit(
            "goodman service: JUPYTERHUB_SERVICE_URL and JUPYTERHUB_SERVICE_PREFIX are not set."
            " The Hub starts this program; for one's own folder use 'jupyter server'."
        )
    address = urlsplit(url)
    return {
        "ip": address.hostname or "127.0.0.1",
        "port": address.port or 8888,
        "port_retries": 0,
        "base_url": prefix,
        "default_url": f"{prefix}api/docs/",
        # What Jupyter fears of root is kernels, and there are none; `main` says so all the same.
        "allow_root": True,
        "open_browser": False,
        "no_browser_open_file": True,
        # The proxy's public name is not this host's.
        "allow_remote_access": True,
        "trust_xheaders": True,
        "allow_unauthenticated_access": False,
        "disable_check_xsrf": False,
        "terminals_enabled": False,
        "allow_origin": "",
        "identity_provider_class": HubIdentityProvider,
        "authorizer_class": JupyterHubAuthorizer,
        # Sign-ins outlive a restart, and no home folder is needed.
        "cookie_secret_file": str(data_root(environ) / "cookie_secret"),
        "root_dir": tempfile.mkdtemp(prefix="goodman-empty-"),
        "max_body_size": MAX_REQUEST_BYTES,
        "max_buffer_size": MAX_BUFFER_BYTES,
        "tornado_settings": {
            "compress_response": True,
            "xsrf_cookies": True,
            "default_handler_class": UnknownRouteHandler,
            "default_handler_args": {},
        },
    }


TURN_S = 0.0005
"""How long a thread of the interpreter runs while others wait."""


def make_service(argv: Sequence[str], environ: Mapping[str, str]) -> GoodmanServer:
    """Return the server, initialised and listening, not yet running its loop."""
    data_root(environ).mkdir(parents=True, exist_ok=True)
    settings = server_settings(environ)
    return GoodmanService.initialize_server(argv=list(argv), **settings)  # type: ignore[no-untyped-call]


def main() -> None:
    """Run the service until SIGINT or SIGTERM."""
    share_heaps()
    # Requests take turns with the threads that answer others: by default a turn is 5 ms, of which
    # a request that goes back and forth needs several.
    sys.setswitchinterval(TURN_S)
    server = make_service(sys.argv[1:], os.environ)
    if os.geteuid() == 0:
        server.log.warning(
            "The service runs as root. Give it an account of its own: the key 'user' of the"
            " service in jupyterhub_config.py."
        )
    try:
        server.start()
    finally:
        os.rmdir(server.root_dir)  # noqa: PTH106 (it is empty, or something is wrong)
    sys.exit(server.exit_code)


if __name__ == "__main__":
    main()
