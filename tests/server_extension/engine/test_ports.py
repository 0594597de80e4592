"""What Dask opens beside its TLS ports: HTTP servers on loopback, without anything to say."""

import httpx
import psutil


def _ours() -> list[psutil.Process]:
    """Return this process and its workers, not the servers that other tests keep running."""
    me = psutil.Process()
    workers = [p for p in me.children() if any("multiprocessing" in x for x in p.cmdline())]
    assert workers
    return [me, *workers, *(child for worker in workers for child in worker.children(True))]


def _listening() -> set[tuple[str, int]]:
    found = set()
    for process in _ours():
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                found.add((connection.laddr.ip, connection.laddr.port))
    return found


PATHS = ("/", "/status", "/health", "/metrics", "/info/main/workers.html", "/json/counts.json")
MORE = ("/json/identity.json", "/api/v1", "/api/v1/retire_workers", "/sitemap.json", "/statics/")


async def test_every_port_is_on_loopback_and_no_page_is_served(live):
    ports = _listening()
    assert ports
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
