"""The loopback ports of one installation, and the service's held for its account alone.

Whoever listens on the service's port is sent everybody's cookies and tokens. A port above 1024 is
free for every account of the machine while the service is not there, and users have accounts. So
the Hub, as root, binds that port for the service's account and keeps it: another account cannot.

While the Hub itself is away, ``python -m goodman_live.hub.ports`` keeps it, run as the service's
account from the machine's start on (``etc/systemd/goodman-port.service``). The Hub's own three
ports need no such thing below 1024.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodman_live.hub.conveniences import WiringError

if TYPE_CHECKING:
    from collections.abc import Mapping

_kept: list[socket.socket] = []
HELD = "GOODMAN_PORT_HELD"
"""Tells the service that its port is bound already, by `hold` (`server_extension/service.py`)."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of one installation."""

    public: int
    """Where the proxy listens for browsers."""
    hub: int
    """The Hub's own."""
    proxy_api: int
    """Where the Hub commands the proxy."""
    service: int
    """The service's own."""


def ports(environ: Mapping[str, str]) -> Ports:
    """Read the ports from the environment, with the usual ones as defaults."""

    def port(name: str, usual: int) -> int:
        text = environ.get(name, "") or str(usual)
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise WiringError(f"{name}={text!r} is not a port.", field=name)
        return int(text)

    return Ports(
        public=port("GOODMAN_HUB_PORT", 8000),
        hub=port("GOODMAN_HUB_INTERNAL_PORT", 8081),
        proxy_api=port("GOODMAN_PROXY_API_PORT", 8001),
        service=port("GOODMAN_SERVICE_PORT", 8082),
    )


def hold(port: int, uid: int) -> socket.socket:
    """Bind a port of the loopback for an account, without listening.

    As long as the socket is open, Linux lets nobody but that account bind the port, and of the
    account's those alone that ask to share it (``SO_REUSEPORT``, socket(7)). Connections go to
    whoever listens, and are refused while nobody does.

    Parameters
    ----------
    port : int
        The port.
    uid : int
        The account; this process must be root's or its own.

    Returns
    -------
    socket.socket
        To be kept open.

    Raises
    ------
    WiringError
        If somebody else has the port.
    """
    before = os.geteuid()
    os.seteuid(uid)  # the socket is whose it is made as
    try:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    finally:
        os.seteuid(before)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        held.bind(("127.0.0.1", port))
    except OSError as error:
        held.close()
        raise WiringError(
            f"The service's port {port} cannot be had: {error.strerror}.",
            remedy=f"See who has it with: ss -ltnp 'sport = :{port}'.",
            field="GOODMAN_SERVICE_PORT",
        ) from None
    return held


def keep(port: int, uid: int) -> None:
    """Hold a port until this process ends."""
    _kept.append(hold(port, uid))


def main() -> None:
    """Hold the service's port for the account that runs this, until SIGTERM or SIGINT."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    port = ports(os.environ).service
    try:
        keep(port, os.geteuid())
    except WiringError as error:
        sys.exit(f"{error}")
    sys.stdout.write(f"holding port {port}\n")
    sys.stdout.flush()
    signal.sigwait(ends)


if __name__ == "__main__":
    main()
