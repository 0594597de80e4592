"""The examples of `etc/proxy/`, run in front of a server that says what reached it.

Slow by mark, for nginx and Caddy are needed: where one is missing, its test is skipped.
"""

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing"),
]

NAME = "vera.goodman.example.org"
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
BEHIND = re.compile(r"127\.0\.0\.1:800\b")


class Behind(BaseHTTPRequestHandler):
    """What stands for the Hub's proxy."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", self.headers["Connection"])
            self.end_headers()
            self.close_connection = True
        elif self.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            assert self.server.seen.wait(30)
            self.wfile.write(b"data: second\n\n")
            self.close_connection = True
        else:
            told = [(name.lower(), value) for name, value in self.headers.items()]
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def behind():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    server.seen = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def certificate(tmp_path):
    """Write key and certificate of the example's names; give the certificate's path."""
    names = "subjectAltName=DNS:goodman.example.org,DNS:*.goodman.example.org"
    made = tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=goodman.example.org", "-addext", names),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return made


def nginx(example, folder, ports):
    """Return the command that runs the example on free ports of the loopback."""
    text = example.replace("listen 80;", f"listen 127.0.0.1:{ports[0]};")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{ports[1]} ")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
    whole += f"http {{ access_log off; {temporary} {text} }}\n"
    (folder / "nginx.conf").write_text(whole)
    program = shutil.which("nginx", path=PATH)
    return program and [program, "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(example, folder, ports):
    """Return the command that runs the example on free ports of the loopback."""
    first = f"\n{{\ndefault_bind 127.0.0.1\nhttp_port {ports[0]}\nhttps_port {ports[1]}\n"
    (folder / "Caddyfile").write_text(example.replace("\n{\n", first, 1))
    program = shutil.which("caddy", path=PATH)
    return program and [
        program,
        "run",
        "--adapter",
        "caddyfile",
        "--config",
        f"{folder}/Caddyfile",
    ]


@contextlib.contextmanager
def running(command, folder, port):
    """Run a proxy until it accepts connections, and stop it in the end."""
    told = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=folder, env=told, stdout=sink, stderr=sink)
    try:
        while True:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize(("proxy", "file_name"), [(nginx, "nginx.conf"), (caddy, "Caddyfile")])
def test_the_example_passes_on_what_the_hub_needs(
    proxy, file_name, project, tmp_path, behind, certificate, free_port
):
    example = (project / "etc" / "proxy" / file_name).read_text()
    for name in ("cert", "key"):
        assert f"/etc/goodman-live/tls/{name}.pem" in example
    example = example.replace("/etc/goodman-live/tls/", f"{tmp_path}/")
    example, found = BEHIND.subn(f"127.0.0.1:{behind.server_port}", example)
    assert found == 1
    ports = (free_port(), free_port())
    command = proxy(example, tmp_path, ports)
    if not command:
        pytest.skip(f"{proxy.__name__} is missing")
    trusted = ssl.create_default_context(cafile=certificate)
    client = httpx.Client(
        base_url=f"https://127.0.0.1:{ports[1]}", verify=trusted, trust_env=False, timeout=60,
        headers={"Host": NAME},
    )  # fmt: skip
    named = {"sni_hostname": NAME}
    with running(command, tmp_path, ports[0]), client:
        plain = httpx.get(
            f"http://127.0.0.1:{ports[0]}/hub/login?a=b", headers={"Host": NAME}, trust_env=False
        )
        assert plain.is_redirect
        assert plain.headers["location"].startswith("https://vera.goodman.example.org")
        assert plain.headers["location"].endswith("/hub/login?a=b")

        lies = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "http"}
        answer = client.get("/what", headers=lies, extensions=named)
        told = answer.json()
        assert [value for name, value in told if name == "host"] == [NAME]
        assert [value for name, value in told if name == "x-forwarded-for"] == ["127.0.0.1"]
        assert [value for name, value in told if name == "x-forwarded-proto"] == ["https"]

        with client.stream("GET", "/stream", extensions=named) as events:
            lines = events.iter_lines()
            assert next(lines) == "data: first", "before there is a second"
            behind.seen.set()
            assert list(lines) == ["", "data: second", ""]

        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        }
        with client.stream("GET", "/ws", headers=upgrade, extensions=named) as changed:
            assert changed.status_code == 101
