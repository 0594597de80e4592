"""Examination of the machine: accounts, permissions, proxy, ports, disk and clock."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from goodman_live.hub.accounts.database import data_root
from goodman_live.hub.conveniences import ONE_OS_USER, PLAIN_HTTP, SHARED_ORIGIN, WiringError
from goodman_live.hub.operate.findings import Finding, doubtful, fine, wrong
from goodman_live.hub.ports import ports
from goodman_live.hub.proxy import NoProxyError, proxy_command
from goodman_live.hub.wiring import (
    INSTRUMENT_TOKEN_FILE,
    MONITOR_TOKEN_FILE,
    SERVICE_ACCOUNT,
)
from goodman_live.server_extension.disk import free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECRETS = (INSTRUMENT_TOKEN_FILE, MONITOR_TOKEN_FILE, "GOODMAN_SMTP_PASSWORD_FILE")
"""Variables that name files which no other account may read."""
CONVENIENCES = (ONE_OS_USER, SHARED_ORIGIN, PLAIN_HTTP)
OTHERS = stat.S_IRWXG | stat.S_IRWXO
LEAST_FREE_MB = 1024
"""The service's own limit, unless ``GOODMAN_LEAST_FREE_MB`` says another."""
FEW_INODES = 10_000
_TIME_ERROR = 5


def accounts(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the operating system's accounts and at what is switched on by name."""
    area = "accounts"
    for name in CONVENIENCES:
        if environ.get(name) == "1":
            yield doubtful(area, f"{name}=1", "Not for several people: docs/operator.md.")
    if environ.get(ONE_OS_USER) == "1":
        return
    name = service_account(environ)
    try:
        record = pwd.getpwnam(name)
    except KeyError:
        yield wrong(area, f"There is no account {name!r}.", f"useradd --system {name}")
        return
    if record.pw_uid == 0:
        yield wrong(area, "The service would run as root.", "Set GOODMAN_SERVICE_USER.")
    else:
        yield fine(area, f"the service runs as {name} ({record.pw_uid})")
    if shutil.which("useradd") is None:
        yield wrong(area, "useradd is missing.", "Install it: the Hub makes users' accounts.")


def service_account(environ: Mapping[str, str]) -> str:
    """Return the name of the service's system account; our own where one serves all."""
    if environ.get(ONE_OS_USER) == "1":
        return pwd.getpwuid(os.geteuid()).pw_name
    return environ.get("GOODMAN_SERVICE_USER") or SERVICE_ACCOUNT


def permissions(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at who may read the data root and the files that hold secrets."""
    area, root = "permissions", data_root(environ)
    name = service_account(environ)
    if not root.is_dir():
        yield wrong(
            area, f"The data root {root} is missing.", f"install -d -m 700 -o {name} {root}"
        )
        return
    sound = True
    try:
        owner = pwd.getpwuid(root.stat().st_uid).pw_name
    except KeyError:
        owner = str(root.stat().st_uid)
    if owner != name:
        sound = False
        yield wrong(area, f"{root} belongs to {owner}.", f"chown -R {name}: {root}")
    secrets = [Path(environ[key]) for key in SECRETS if environ.get(key)]
    inside = [root / "cookie_secret", root / "goodman.sqlite", root / "hub" / "cookie_secret"]
    closed = root.stat().st_mode & stat.S_IRWXO == 0
    for path in (root, *secrets, *(() if closed else inside)):
        if not path.exists():
            if path in secrets:
                sound = False
                yield wrong(area, f"{path} is missing.", "Write it, or unset its variable.")
            continue
        bits = stat.S_IRWXO if path == root else OTHERS
        if path.stat().st_mode & bits:
            sound = False
            yield wrong(area, f"Other accounts can read {path}.", f"chmod o-rwx,g-rwx {path}")
    if sound:
        yield fine(area, f"{root} is closed to other accounts")


def proxy(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look for the Hub's proxy, and at who can reach the parts' own ports."""
    area = "proxy"
    try:
        yield fine(area, proxy_command()[-1])
    except NoProxyError as error:
        yield wrong(area, str(error), "python -m goodman_live.hub.proxy install")
    try:
        at = ports(environ)
    except WiringError as error:
        yield wrong(area, str(error), f"Correct {error.field}.")
        return
    listening = _listening()
    for what, port in (("the Hub", at.hub), ("the proxy's API", at.proxy_api)):
        open_to = listening.get(port, set()) - {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        if open_to:
            yield wrong(
                area,
                f"Port {port} of {what} is open to the network ({', '.join(sorted(open_to))}).",
                "Bind it to loopback, or close it in the firewall.",
            )
    if at.public in listening:
        yield fine(area, f"listens on port {at.public}")
    else:
        yield doubtful(area, f"Nothing listens on port {at.public}.", "Start the Hub.")


def _listening() -> dict[int, set[str]]:
    """Return the addresses on which each TCP port is listened to."""
    found: dict[int, set[str]] = {}
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            found.setdefault(connection.laddr.port, set()).add(connection.laddr.ip)
    return found


def disk(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at free space and free inodes of the data root."""
    area, root = "disk", data_root(environ)
    text = environ.get("GOODMAN_LEAST_FREE_MB") or str(LEAST_FREE_MB)
    if not text.isdigit():
        yield wrong(area, f"GOODMAN_LEAST_FREE_MB={text!r} is no number.", "Give MiB.")
        return
    free, least = free_bytes(root), int(text) * 2**20
    told = f"{free / 2**30:.1f} GiB are free below {root}"
    if free < least:
        yield wrong(area, f"{told}: intake has stopped.", "Free space, or move the data root.")
    elif free < 5 * least:
        yield doubtful(area, f"{told}.", f"Intake stops at {least / 2**30:.1f} GiB.")
    else:
        yield fine(area, told)
    if root.is_dir():
        found = os.statvfs(root)
        if found.f_files and found.f_favail < FEW_INODES:
            yield wrong(area, f"{found.f_favail} inodes are free.", "Remove small files.")


def clock(_: Mapping[str, str]) -> Iterator[Finding]:
    """Ask the kernel whether something keeps its clock right."""
    area = "clock"
    # struct timex begins with `modes`; 0 asks and changes nothing.
    buffer = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None).adjtimex(buffer)
    if state == _TIME_ERROR:
        yield doubtful(
            area,
            "The clock is not kept by NTP.",
            "Run chrony or systemd-timesyncd: nights, sessions and tokens go by the clock.",
        )
    else:
        yield fine(area, "kept by NTP")
