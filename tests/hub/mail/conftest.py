"""Fixtures for mail.

=================  ========  ==================================================================
fixture            scope     gives
=================  ========  ==================================================================
``certificate``    session   (certificate, key) files of ``localhost``, signed by themselves
``smtp_server``    function  starts a real SMTP server: ``smtp_server("starttls")`` (`Inbox`)
=================  ========  ==================================================================
"""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass, field

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = b"robot", b"correct-horse"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@dataclass
class Inbox:
    """What the server took, and how it answers."""

    port: int = 0
    taken: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    """Answers to give before the usual one, first to last."""
    signed_in: int = 0

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        if self.answers:
            return self.answers.pop(0)
        self.taken.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def smtp_server(certificate, free_port):
    running = []

    def start(security, *, auth=False):
        inbox = Inbox(port=free_port())

        def authenticator(server, session, envelope, mechanism, data):
            good = (data.login, data.password) == (USER, PASSWORD)
            inbox.signed_in += good
            return AuthResult(success=good, handled=good)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        options = {}
        if auth:
            options = {"authenticator": authenticator, "auth_required": True}
            options["auth_require_tls"] = security == "starttls"
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if security == "tls":
            options |= {"ssl_context": context}
        server = Controller(inbox, hostname="127.0.0.1", port=inbox.port, **options)
        server.start()
        running.append(server)
        return inbox

    yield start
    for server in running:
        server.stop()
