"""The Dask dashboard answers who holds a certificate of the cluster, and nobody else."""

import asyncio
import ssl
import subprocess
import sys

import httpx
import pytest
from distributed.security import Security

from goodman_live.pipeline.core.errors import SettingsError
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.engine.cluster import Cluster
from goodman_live.server_extension.engine.dashboard import DashboardServer, client_context
from goodman_live.server_extension.engine.profile import DaskProfile


def trusting():
    """Return what another account of the host would come with: no certificate, no doubts."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def ask(url, context):
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=180) as client:
        return await client.get(url)


CHANGING = ("api/v1", "api/v1/retire_workers", "proxy/80/127.0.0.1/", "jupyter/")


async def test_one_machines_dashboard_asks_for_a_certificate_and_shows_alone(live):
    shown = await live.engine.cluster.dashboard()
    assert shown.url.startswith("https://127.0.0.1:")
    page = await ask(f"{shown.url}/status", shown.context)
    assert page.status_code == 200
    assert "Bokeh" in page.text
    for path in CHANGING:
        assert (await ask(f"{shown.url}/{path}", shown.context)).status_code == 404
    for stranger in (trusting(), client_context(Security.temporary())):
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await ask(f"{shown.url}/status", stranger)
    with pytest.raises(httpx.TransportError):
        await ask(f"{shown.url.replace('https', 'http')}/status", trusting())


async def test_a_cluster_without_certificates_shows_nothing():
    with pytest.raises(SettingsError, match="TLS"):
        DashboardServer(None, Security(), "127.0.0.1")
    with pytest.raises(NotFoundError):
        await Cluster(DaskProfile(kind="local")).dashboard()


async def test_a_scheduler_elsewhere_serves_it_by_the_preload(tmp_path, free_port):
    security, port, shown = Security.temporary(), free_port(), free_port()
    paths = {}
    for name, text in {
        "ca-file": security.tls_ca_file,
        "cert": security.tls_client_cert,
        "key": security.tls_client_key,
    }.items():
        paths[name] = tmp_path / f"{name}.pem"
        paths[name].write_text(text)
    tls = [part for name, path in paths.items() for part in (f"--tls-{name}", str(path))]
    command = [
        *(sys.executable, "-m", "dask", "scheduler", "--no-dashboard", "--protocol", "tls"),
        *("--host", "127.0.0.1", "--port", str(port), *tls),
        *("--preload", "goodman_live.server_extension.engine.dashboard"),
        *("--dashboard-port", str(shown), "--dashboard-address", "127.0.0.1"),
    ]
    log = tmp_path / "log"
    profile = DaskProfile(
        kind="scheduler",
        address=f"tls://127.0.0.1:{port}",
        dashboard=f"https://127.0.0.1:{shown}/",
        tls={name.replace("-", "_"): path for name, path in paths.items()},
    )
    cluster = Cluster(profile)
    starting = asyncio.create_task(cluster.start())
    await asyncio.sleep(0.1)  # the service may come first
    with log.open("wb") as sink:
        scheduler = subprocess.Popen(  # noqa: ASYNC220 (a test may)
            command, stdout=sink, stderr=sink, cwd=tmp_path
        )
    try:
        await starting
        there = await cluster.dashboard()
        page = await ask(f"{there.url}/status", there.context)
        assert page.status_code == 200, log.read_text()
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await ask(f"{there.url}/status", trusting())
    finally:
        await cluster.stop()
        scheduler.terminate()
        scheduler.wait(30)
