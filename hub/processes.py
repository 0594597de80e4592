"""Processes of a system account: whether one of them listens at a port, and the end of all."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import pwd

LISTENS = "0A"
"""State of a socket that listens, in ``/proc/net/tcp`` (proc(5))."""
ROUNDS = 20
"""Times that what is still there is ended again."""
KILL_ALL = ("/bin/sh", "-c", "kill -9 -1")
"""Ends, at one moment, every process that who runs it may end, but this one (kill(2))."""


def listeners(host: str, port: int) -> set[int]:
    """Return the accounts that listen at an IPv4 address itself, not at all addresses.

    A connection to the address goes to them, whoever listens at all addresses.
    """
    number = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    place = f"{number:08X}:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {int(row[7]) for row in rows if row[1] == place and row[3] == LISTENS}


def end_processes(account: pwd.struct_passwd) -> int:
    """End every process of an account, at once; return how many are left.

    They are ended by a process of that very account, which nothing of it can outrun: whoever was
    to look for them one by one would miss those that are begun meanwhile.

    Parameters
    ----------
    account : struct_passwd
        The account; never root's.

    Raises
    ------
    ValueError
        If it is root's.
    """
    if account.pw_uid == 0:
        msg = "root's processes are not ended"
        raise ValueError(msg)
    for _ in range(ROUNDS):
        if not (left := _processes_of(account.pw_uid)):
            return 0
        subprocess.run(  # noqa: S603 (a constant)
            KILL_ALL,
            user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(0.05)
    return left


def _processes_of(uid: int) -> int:
    found = 0
    for process in psutil.process_iter(["uids", "status"]):
        uids = process.info["uids"]
        if uids and uid in {uids.real, uids.effective, uids.saved}:
            found += process.info["status"] != psutil.STATUS_ZOMBIE
    return found
