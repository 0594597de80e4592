"""Processes of a system account: whether one of them listens at a port, and the end of all."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import pwd

LISTENS = "0A"
"""State of a socket that listens, in ``/proc/net/tcp`` (proc(5))."""
ROUNDS = 50
"""Times that what is still there is ended again: a process may begin others meanwhile."""
PAUSE_S = 0.02
"""Between two of them."""


def listeners(host: str, port: int) -> set[int]:
    """Return the accounts that listen at an IPv4 address itself, not at all addresses.

    A connection to the address goes to them, whoever listens at all addresses.
    """
    number = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    place = f"{number:08X}:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {int(row[7]) for row in rows if row[1] == place and row[3] == LISTENS}


def end_processes(account: pwd.struct_passwd) -> int:
    """End every process of an account that is of this very system; return how many are left.

    A number of an account says little by itself: in a container it is another's. What is ended
    lives where this process does (`habitat`).

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
    here, left = habitat(os.getpid()), []
    for _ in range(ROUNDS):
        if not (left := _processes_of(account.pw_uid, here)):
            break
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue  # it has ended by itself
        time.sleep(PAUSE_S)
    return len(left)


def habitat(pid: int) -> tuple[object, ...] | None:
    """Return the control group, names of processes and root folder that a process lives in.

    None if it is gone. Whoever runs in a container, or in a unit of their own, has others.
    """
    place = Path("/proc", str(pid))
    try:
        root = (place / "root").stat()
        group = (place / "cgroup").read_text()
        names = [(place / "ns" / name).readlink() for name in ("pid", "mnt", "user")]
    except OSError:
        return None
    return (group, *names, root.st_dev, root.st_ino)


def _processes_of(uid: int, here: tuple[object, ...] | None) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["uids", "status"])
        if process.info["uids"]
        and process.info["uids"].real == uid
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and here is not None
        and habitat(process.pid) == here
    ]
