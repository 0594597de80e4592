"""The extension itself: settings for the operator, routes onto the server, start and stop."""

from __future__ import annotations

import asyncio
import os
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Float, Integer, List, Unicode, default

from goodman_live.hub.accounts.database import database_url
from goodman_live.hub.mail.settings import mail_settings
from goodman_live.server_extension.backend import Backend, BackendSettings
from goodman_live.server_extension.engine.courier import CourierRules
from goodman_live.server_extension.long_lived import set_aside
from goodman_live.server_extension.routes import ROUTES, tornado_routes

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

SUPERUSER_EMAIL = "GOODMAN_SUPERUSER_EMAIL"
"""In the environment: whose account the first superuser's will be."""
USER_SERVER_MARK = "JUPYTERHUB_USER"
"""In the environment of a user's own server under a Hub."""


class GoodmanExtension(ExtensionApp):
    """Goodman Live on a Jupyter server.

    As the Hub's service it answers under the service's prefix. In a plain ``jupyter server`` or
    ``jupyter lab`` it answers under ``/goodman`` for one person and their own folder, and starts
    its engine at the first request. In a user's own server under a Hub it stays away: there the
    Hub's service does the work.
    """

    name = "goodman_live"
    description = "Live reduction of Goodman spectra"
    load_other_extensions = False
    open_browser = False

    data_root = Unicode(
        help="Folder of everything the service writes; default $GOODMAN_DATA, else"
        " goodman-live in the server's root folder."
    ).tag(config=True)
    raw_roots = List(
        Unicode(),
        help="Folders that raw frames may lie in; default <data root>/raw. Paths from clients"
        " never leave them.",
    ).tag(config=True)
    watch = Bool(default_value=True, help="Take new files in the raw roots by themselves.").tag(
        config=True
    )
    product_root = Unicode(help="Folder of the products; default <data root>/products.").tag(
        config=True
    )
    database = Unicode(
        help="SQLAlchemy URL; default $GOODMAN_DATABASE, else SQLite in the data root."
    ).tag(config=True)
    dask = Unicode(
        help="Cluster profile by name, or a YAML file of one; default $GOODMAN_DASK, else local."
    ).tag(config=True)
    rate_limit = Float(50.0, help="Requests per second and user, on average; 0 for none.").tag(
        config=True
    )
    rate_burst = Integer(300, help="Requests of one user that may come at once.").tag(config=True)
    max_streams = Integer(
        60, help="Streams of events that one user may have open, one for each page; 0 for any."
    ).tag(config=True)
    webhook_hosts = List(
        Unicode(),
        help="Hosts that users' webhooks may lead to: names, *.example.org, or name:port; default"
        " $GOODMAN_WEBHOOK_HOSTS, joined by commas, else none. What resolves to a private address"
        " is refused all the same.",
    ).tag(config=True)
    webhook_networks = List(
        Unicode(),
        help="Private networks, such as 10.1.0.0/16, that those hosts may lie in after all.",
    ).tag(config=True)
    webhook_ca_file = Unicode(
        help="Authorities for the certificates of those hosts, PEM; default the system's."
    ).tag(config=True)
    least_free_mb = Integer(
        help="MiB of free space below which no new frame is taken; default $GOODMAN_LEAST_FREE_MB,"
        " else 1024. A frame with all its products takes up to 400."
    ).tag(config=True)
    max_upload_mb = Integer(64, help="Largest file that may be uploaded, in MiB.").tag(config=True)

    @default("data_root")
    def _default_data_root(self) -> str:
        found = os.environ.get("GOODMAN_DATA")
        if found:
            return found
        root = self.serverapp.root_dir if self.serverapp else "."
        return str(Path(root) / "goodman-live")

    @default("raw_roots")
    def _default_raw_roots(self) -> list[str]:
        return [str(Path(self.data_root) / "raw")]

    @default("product_root")
    def _default_product_root(self) -> str:
        return str(Path(self.data_root) / "products")

    @default("database")
    def _default_database(self) -> str:
        return database_url({**os.environ, "GOODMAN_DATA": self.data_root})

    @default("webhook_hosts")
    def _default_webhook_hosts(self) -> list[str]:
        return os.environ.get("GOODMAN_WEBHOOK_HOSTS", "").replace(",", " ").split()

    @default("dask")
    def _default_dask(self) -> str:
        return os.environ.get("GOODMAN_DASK", "")

    @default("least_free_mb")
    def _default_least_free_mb(self) -> int:
        return int(os.environ.get("GOODMAN_LEAST_FREE_MB") or 1024)

    @classmethod
    def get_extension_package(cls) -> str:
        """Return the module with the hooks: one level below the distribution's package."""
        return "goodman_live.server_extension"

    @property
    def as_service(self) -> bool:
        """True on the server that serves nothing else (`service.GoodmanServer`)."""
        return bool(getattr(self.serverapp, "serves_goodman_alone", False))

    @property
    def stays_away(self) -> bool:
        """True in a user's own server under a Hub."""
        return USER_SERVER_MARK in os.environ and not self.as_service

    def initialize_handlers(self) -> None:
        """Put the routes onto the server and hand them what they ask."""
        if self.stays_away:
            return
        self.backend = Backend(self._settings())
        prefix = "" if self.as_service else "/goodman"
        self.handlers.extend(tornado_routes(prefix))

    def initialize_settings(self) -> None:
        """Nothing of the extension's own settings belongs into the server's."""

    def _prepare_handlers(self) -> None:
        super()._prepare_handlers()  # type: ignore[no-untyped-call]
        if not self.stays_away and self.serverapp is not None:
            self.serverapp.web_app.settings.update(
                goodman_backend=self.backend, goodman_routes=ROUTES
            )

    def _settings(self) -> BackendSettings:
        return BackendSettings(
            data_root=Path(self.data_root).resolve(),
            raw_roots=tuple(Path(root).resolve() for root in self.raw_roots),
            product_root=Path(self.product_root).resolve(),
            database=self.database,
            dask=self.dask,
            watch=self.watch,
            has_accounts=self.as_service,
            rate_limit=self.rate_limit,
            rate_burst=self.rate_burst,
            max_upload_bytes=self.max_upload_mb * 2**20,
            max_streams=self.max_streams,
            least_free_bytes=self.least_free_mb * 2**20,
            superuser_email=os.environ.get(SUPERUSER_EMAIL, "").strip(),
            mail=mail_settings({**os.environ, "GOODMAN_DATA": self.data_root})
            if self.as_service
            else None,
            courier=CourierRules(
                hosts=tuple(self.webhook_hosts),
                networks=tuple(ip_network(text) for text in self.webhook_networks),
                ca_file=Path(self.webhook_ca_file) if self.webhook_ca_file else None,
            ),
        )

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Start at once as a service; a plain server waits for the first request."""
        if self.as_service:
            try:
                await self.backend.ready()
                set_aside()
            except asyncio.CancelledError:
                self.log.info("Stopped before the start was complete")
            except Exception:
                # A service that cannot work must not look as if it could: the Hub restarts it.
                self.log.critical("The Goodman service cannot start", exc_info=True)
                serverapp.exit_code = 1  # type: ignore[attr-defined]
                serverapp.stop()

    async def stop_extension(self) -> None:
        """Stop the engine and let go of the database."""
        if not self.stays_away:
            await self.backend.stop()

    def current_activity(self) -> Any:
        """Tell a plain server that must not stop while jobs run."""
        return None if self.stays_away else self.backend.activity()
