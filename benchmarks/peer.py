"""The peer, goodman-pipeline 3.1.0, in an environment of its own, and how a program is measured.

The peer's cosmic-ray program ``dcr`` is compiled from the source that its package ships; without
it frames silently vanish from the peer's night.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PEER_ENV = ROOT / ".venv-peer"
PEER = "goodman-pipeline==3.1.0"


@dataclass(frozen=True)
class Measured:
    """What one run of a program cost."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Largest sum of resident memory over the process and its children, MB."""
    returncode: int

    def __add__(self, other: Measured) -> Measured:
        """Return the cost of one run after the other."""
        return Measured(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_mb, other.peak_mb),
            self.returncode or other.returncode,
        )


class _Watch(threading.Thread):
    """Samples the memory and processor time of a process tree every 50 ms.

    Processor time is kept by process, since workers that their parent does not wait for never
    enter its own account.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self.peak = 0
        self._cpu: dict[int, float] = {}

    @property
    def cpu_s(self) -> float:
        """Processor time of all processes seen, seconds."""
        return sum(self._cpu.values())

    def run(self) -> None:
        while not self._stopped.wait(0.05):
            total = 0
            try:
                for process in (self._process, *self._process.children(recursive=True)):
                    total += process.memory_info().rss
                    times = process.cpu_times()
                    self._cpu[process.pid] = times.user + times.system
            except psutil.NoSuchProcess:
                continue  # a child ended between listing and asking
            self.peak = max(self.peak, total)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def measure(
    command: list[str], *, cwd: Path, log: Path, env: dict[str, str] | None = None
) -> Measured:
    """Run a command to its end; return what it cost."""
    start = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=env,
        )
        watch = _Watch(process.pid)
        watch.start()
        returncode = process.wait()
    wall = time.perf_counter() - start
    watch.stop()
    return Measured(wall, watch.cpu_s, watch.peak / 1e6, returncode)


def peer_environment() -> dict[str, str]:
    """Install the peer and compile its dcr, where not done yet; return its environment."""
    programs = PEER_ENV / "bin"
    if not (programs / "redspec").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEER_ENV)], check=True)
        subprocess.run([str(programs / "pip"), "install", "-q", PEER], check=True)
    if not (programs / "dcr").exists():
        source = next(
            PEER_ENV.glob("lib/python*/site-packages/goodman_pipeline/data/dcr_source/dcr")
        )
        build = PEER_ENV / "dcr_build"
        shutil.copytree(source, build, dirs_exist_ok=True)
        subprocess.run(["make", "-s"], cwd=build, check=True)
        shutil.copy(build / "dcr", programs)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "Agg",
        "QT_QPA_PLATFORM": "offscreen",
    }


def run_peer(raw: Path, work: Path, env: dict[str, str]) -> tuple[Measured, Measured]:
    """Run redccd and redspec on a folder of raw frames; return what each cost.

    The peer rewrites headers of what it reads, so it is given a copy.
    """
    copy, reduced = work / "peer_raw", work / "peer_red"
    shutil.copytree(raw, copy)
    reduced.mkdir()
    ccd = measure(
        ["redccd", "--raw-path", str(copy), "--red-path", str(reduced), "--auto-clean"],
        cwd=work, log=work / "redccd.log", env=env,
    )  # fmt: skip
    spec = measure(
        ["redspec", "--data-path", str(reduced), "--proc-path", str(reduced)],
        cwd=work, log=work / "redspec.log", env=env,
    )  # fmt: skip
    return ccd, spec
