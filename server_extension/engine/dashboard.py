"""The Dask dashboard, for the service alone to ask.

Dask serves its dashboard to whoever reaches its port, and every account of a host reaches a port
on loopback. So Dask's own stays off; this is a server beside the scheduler that asks for a
certificate of the cluster's own authority before it reads a byte of HTTP. The service has one,
and hands the pages on to staff (`goodman_live.server_extension.dask_pages`).

On one machine it starts when staff first look. A scheduler elsewhere loads this module::

    dask scheduler --no-dashboard ... --dashboard-port 8788
      --preload goodman_live.server_extension.engine.dashboard
"""

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from distributed.http.routing import RoutingApplication
from distributed.http.utils import get_handlers
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from goodman_live.pipeline.core.errors import SettingsError

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.security import Security

PAGES = "distributed.dashboard.scheduler"
"""Module of the plots: imported when somebody looks, for it takes seconds."""
MODULES = ["distributed.http.statics", "distributed.http.scheduler.info"]
"""What the plots link to; nothing that changes the cluster."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Where a dashboard is, and how the service shows who it is."""

    url: str
    """``https://`` address without a slash at its end."""
    context: ssl.SSLContext
    """With the certificate of the service."""


class DashboardServer:
    """A server of the dashboard's pages beside a scheduler, on the scheduler's event loop.

    Parameters
    ----------
    scheduler : Scheduler
        Whose work is shown.
    security : Security
        The cluster's certificates.
    address, port : str, int
        Where to listen; port 0 takes a free one.

    Raises
    ------
    SettingsError
        If the cluster has no certificates: then nothing could tell who asks.
    """

    def __init__(
        self, scheduler: Scheduler, security: Security, address: str, port: int = 0
    ) -> None:
        context = security.get_listen_args("scheduler").get("ssl_context")
        if context is None or context.verify_mode is not ssl.CERT_REQUIRED:
            raise SettingsError(
                "The dashboard needs a cluster with TLS.",
                remedy="Start the scheduler with --tls-ca-file, --tls-cert and --tls-key.",
                field="dask",
            )
        application = RoutingApplication(get_handlers(scheduler, MODULES, prefix=""))
        self._server = HTTPServer(application, ssl_options=context)
        importlib.import_module(PAGES).connect(application, self._server, scheduler)
        self._pages: list[Any] = application.applications
        sockets = bind_sockets(port, address)
        self._server.add_sockets(sockets)
        self.port = int(sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Stop to listen, and end what the pages do in the background."""
        self._server.stop()
        for page in self._pages:
            page.stop()


def client_context(security: Security) -> ssl.SSLContext:
    """Return the context with which the service asks."""
    context: ssl.SSLContext = security.get_connection_args("client")["ssl_context"]
    return context


@click.command()
@click.option("--dashboard-port", default=8788, show_default=True)
@click.option("--dashboard-address", default="", help="Default: every address of the host.")
def dask_setup(scheduler: Scheduler, dashboard_port: int, dashboard_address: str) -> None:
    """Serve the dashboard beside a scheduler that Dask's own command starts."""
    server = DashboardServer(scheduler, scheduler.security, dashboard_address, dashboard_port)
    scheduler.goodman_dashboard = server
