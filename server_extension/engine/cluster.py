"""The Dask cluster that the blocks run on.

On one machine the scheduler lives in this process and speaks TLS with certificates that are made
at start, kept in memory and known to our own workers alone: another account on the host can open
the port, but is refused. Dask's own dashboard is never started; see `dashboard` for ours.
"""

from __future__ import annotations

import asyncio
import importlib
import shutil
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import dask
import structlog
from distributed import Client, LocalCluster
from distributed.security import Security

from goodman_live.pipeline.core.errors import SettingsError
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.engine.dashboard import (
    PAGES,
    Dashboard,
    DashboardServer,
    client_context,
)

if TYPE_CHECKING:
    from distributed import Worker

    from goodman_live.server_extension.engine.profile import DaskProfile

log = structlog.get_logger(__name__)

PRELOAD = "goodman_live.server_extension.engine.preload"
"""Imported by each worker before its first task."""

SETTINGS: dict[str, Any] = {
    # A worker that dies takes the task along; how often it is tried is the engine's business,
    # counted in the catalogue.
    "distributed.scheduler.allowed-failures": 0,
    # One task for each thread at the workers: the others wait where priorities still count, and
    # are not suspected when a worker dies.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    # Blocks write to disk and hand back paths; memory is what numpy has in hand.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.preload": [PRELOAD],
    "distributed.admin.tick.limit": "30s",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # Dask gives every page back at once by default. Arrays of a frame come and go by the
        # hundred, and each new page costs a fault: extraction took three times as long.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "134217728",
        "MALLOC_TRIM_THRESHOLD_": "134217728",
    },
}
"""What we ask of Dask, whatever the profile."""


PATIENCE_S = 120.0
"""How long a start waits for a scheduler elsewhere."""
LEFT_S = 120.0
"""How long a start waits for what an earlier service left running on workers elsewhere."""
KEY = "goodman-job"
"""How the keys of our tasks begin."""


def _executing(dask_worker: Worker) -> list[str]:
    """Return our tasks that a worker is in the middle of, wanted still or not."""
    return [str(task.key) for task in dask_worker.state.executing if str(task.key).startswith(KEY)]


class Cluster:
    """A client of the cluster that a profile describes; starts what the profile says."""

    def __init__(self, profile: DaskProfile) -> None:
        self.profile = profile
        self._local: LocalCluster | None = None
        self._scratch = ""
        self._gateway: Any = None
        self._client: Client | None = None
        self._security: Security | None = None
        self._shown: DashboardServer | None = None

    @property
    def client(self) -> Client:
        """The connected client."""
        if self._client is None:
            msg = "the cluster is not started"
            raise RuntimeError(msg)
        return self._client

    @property
    def connected(self) -> bool:
        """True while the scheduler answers."""
        return self._client is not None and self._client.status == "running"

    @property
    def is_ours(self) -> bool:
        """True for a cluster that this process starts and ends."""
        return self.profile.kind == "local"

    async def slots(self) -> int:
        """Return how many jobs can run at once now, 0 while the scheduler is away."""
        if not self.connected:
            return 0
        try:
            return sum((await self.client.nthreads()).values())
        except OSError:
            return 0

    async def start(self) -> None:
        """Start or connect, and wait for a first worker of a local cluster."""
        dask.config.set(SETTINGS)
        start = {"local": self._start_local, "scheduler": self._connect, "gateway": self._open}
        await start[self.profile.kind]()
        log.info("cluster.started", kind=self.profile.kind, slots=await self.slots())

    @property
    def has_dashboard(self) -> bool:
        """True if there are pages of Dask's for staff to look at."""
        return self.profile.kind == "local" or bool(self.profile.dashboard)

    async def dashboard(self) -> Dashboard:
        """Return where Dask's pages are; those of our own scheduler start with the first look.

        Raises
        ------
        NotFoundError
            If the profile names none, or the cluster is away.
        """
        if not self.has_dashboard or self._security is None or self._client is None:
            raise NotFoundError("This cluster shows no dashboard.", field="dask")
        context = client_context(self._security)
        if self._local is None:
            return Dashboard(self.profile.dashboard.rstrip("/"), context)
        await asyncio.to_thread(importlib.import_module, PAGES)  # seconds, for those who look
        if self._shown is None:
            scheduler = self._local.scheduler
            self._shown = DashboardServer(scheduler, self._security, "127.0.0.1")
        return Dashboard(f"https://127.0.0.1:{self._shown.port}", context)

    async def stop(self) -> None:
        """Let go of the client, and of the cluster if it is ours."""
        if self._shown is not None:
            shown, self._shown = self._shown, None
            shown.stop()
        client, self._client = self._client, None
        if client is not None:
            with suppress(TimeoutError, OSError):
                await client.close(timeout=5)
        if self._local is not None:
            local, self._local = self._local, None
            await local.close(timeout=20)
        if self._scratch:
            scratch, self._scratch = self._scratch, ""
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        if self._gateway is not None:
            gateway, self._gateway = self._gateway, None
            await gateway.close()

    async def reconnect(self) -> None:
        """Begin anew after the scheduler was lost."""
        await self.stop()
        await self.start()

    async def restart_worker(self, address: str) -> None:
        """End the worker at `address` with whatever it does; its nanny starts another."""
        await self.client.restart_workers([address], raise_for_error=False, timeout=60)

    async def _start_local(self) -> None:
        security = self._security = await asyncio.to_thread(Security.temporary)
        # Dask's processes work in a folder that they put on their own search path of modules. Its
        # usual one, of a name known to all in /tmp, another account could have made before us.
        self._scratch = tempfile.mkdtemp(prefix="goodman-dask-")
        with dask.config.set({"temporary-directory": self._scratch}):
            self._local = await LocalCluster(
                n_workers=self.profile.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=self.profile.memory_limit,
                host="127.0.0.1",
                dashboard_address=None,
                worker_dashboard_address=None,
                # A server of the scheduler's HTTP routes starts in any case: on a free port, with
                # no routes at all (`SETTINGS`).
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                security=security,
                asynchronous=True,
            )
        self._client = await Client(self._local, security=security, asynchronous=True)
        await self.client.wait_for_workers(1, timeout=120)

    async def _connect(self) -> None:
        security = None
        tls = self.profile.tls
        if tls is not None:
            security = self._security = Security(
                tls_ca_file=str(tls.ca_file),
                tls_client_cert=str(tls.cert),
                tls_client_key=str(tls.key),
                require_encryption=True,
            )
        until = time.monotonic() + PATIENCE_S
        while self._client is None:
            try:
                self._client = await Client(
                    self.profile.address, security=security, asynchronous=True, timeout=15
                )
            except (OSError, TimeoutError) as error:
                # After a power cut it may start later than we do.
                log.warning("cluster.unreachable", error=str(error))
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(1.0)
        await self._let_end()

    async def _let_end(self) -> None:
        """Wait for what a service before us left running: it writes files that we would write."""
        until = time.monotonic() + LEFT_S
        while time.monotonic() < until:
            busy = await self.client.run(_executing, on_error="ignore")
            if not any(busy.values()):
                return
            log.info("cluster.busy", workers=busy)
            await asyncio.sleep(0.5)

    async def _open(self) -> None:
        try:
            from dask_gateway import Gateway  # type: ignore[import-not-found]  # noqa: PLC0415
        except ImportError as error:
            raise SettingsError(
                "The profile asks for dask-gateway, which is not installed.",
                remedy="Install dask-gateway, or choose another profile.",
                field="dask",
            ) from error
        gateway = Gateway(self.profile.address, auth=self.profile.gateway_auth, asynchronous=True)
        self._gateway = await gateway.new_cluster()
        await self._gateway.scale(self.profile.workers)
        self._client = await self._gateway.get_client()
