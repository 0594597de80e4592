"""Starting programs so that none is left behind, whatever ends this one.

Three nets, each under the other: the programs get SIGTERM when we stop; the kernel sends it to
them if we are killed; and every process carries a mark in its environment, by which the next
start finds what survived both.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

MARK = "GOODMAN_DEMO"
"""Environment variable that every process of one demonstration carries: its data root."""
PATIENCE_S = 20.0
"""How long processes may take to stop by themselves."""
_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str], *, root: Path, log_file: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C reaches us alone.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    root : Path
        Data root: the mark of this demonstration, and the working directory.
    log_file : Path
        Receives what the program prints, after what is there.
    environ : mapping
        Its environment, to which the mark is added.
    """
    with log_file.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603 (commands are built in this package)
            command,
            cwd=root,
            env={**environ, MARK: str(root)},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (no other thread runs yet)
        )


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def marked(root: Path) -> list[psutil.Process]:
    """Return every process of the demonstration in `root` but this one."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.environ().get(MARK) == str(root) and not _gone(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended this moment, or another user's: not ours
    return found


def _gone(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)


def stop_all(
    root: Path, first: subprocess.Popen[bytes] | None = None, patience_s: float = PATIENCE_S
) -> int:
    """Stop every process of the demonstration; return how many had to be killed.

    Parameters
    ----------
    root : Path
        Data root of the demonstration.
    first : Popen, optional
        The Hub: asked first and alone, since it stops the others in order.
    patience_s : float
        How long to wait for it.
    """
    if first is not None and first.poll() is None:
        first.terminate()
        try:
            first.wait(patience_s)
        except subprocess.TimeoutExpired:
            log.warning("The Hub did not stop in %.0f s", patience_s)
    left = marked(root)
    for process in left:
        _send(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left, timeout=5)
    # What these started meanwhile counts too.
    killed = {*stubborn, *marked(root)}
    for process in killed:
        _send(process, signal.SIGKILL)
    # A loaded machine takes its time even for this.
    psutil.wait_procs(killed, timeout=10)
    if first is not None:
        first.wait(10)
    return len(killed)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        log.debug("process %d ended by itself", process.pid)
