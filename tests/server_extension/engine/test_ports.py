"""What Dask opens beside its TLS ports: HTTP servers on loopback, without anything to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Site


def _listening() -> set[tuple[str, int]]:
    """Return address and port of all that this process and its children listen on."""
    found = set()
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            connections = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN:
                found.add((connection.laddr.ip, connection.laddr.port))
    return found


PATHS = ("/", "/status", "/health", "/metrics", "/info/main/workers.html", "/json/counts.json")
MORE = ("/json/identity.json", "/api/v1", "/api/v1/retire_workers", "/sitemap.json", "/statics/")


@pytest.fixture
async def ports(site: Site) -> AsyncIterator[set[tuple[str, int]]]:
    """Start an engine; yield what is listened on since, not what other tests keep running."""
    before = _listening()
    await site.start()
    yield _listening() - before
    await site.engine.stop()


async def test_every_port_is_on_loopback_and_no_page_is_served(ports):
    assert len(ports) >= 2, "the scheduler and its worker listen"
    assert {ip for ip, _ in ports} <= {"127.0.0.1", "::1"}
    answered = 0
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        for _, port in sorted(ports):
            for path in (*PATHS, *MORE):
                for method in ("GET", "POST"):
                    try:
                        answer = await client.request(method, f"http://127.0.0.1:{port}{path}")
                    except httpx.HTTPError:
                        continue  # a TLS port: it hangs up on plain HTTP
                    answered += 1
                    if path == "/sitemap.json" and answer.status_code == 200:
                        assert answer.json() == {"paths": ["/sitemap.json"]}  # itself alone
                        continue
                    assert answer.status_code in {404, 405}, (port, path, answer.text[:200])
    assert answered, "the test reaches the HTTP servers"
