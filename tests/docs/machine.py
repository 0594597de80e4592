"""A Debian of its own, booted with systemd in a container: for what an operator does as root."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter")
PASSED_ON = re.compile(r"(?i)^PIP_(CERT|INDEX_URL|CACHE_DIR)$|_PROXY$|^NODE_EXTRA_CA_CERTS$")
"""What this machine needs to reach the package indexes, the other needs as well."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_S = 120


def missing() -> str:
    """Return why there can be no such machine here, empty if there can."""
    if os.geteuid() != 0:
        return "only root makes machines"
    found = [name for name in TOOLS if shutil.which(name) is None]
    return f"{', '.join(found)}: missing" if found else ""


class Machine:
    """A machine in a folder; while it runs it has no network but its own loopback."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root, self.log = root, log
        self.process: subprocess.Popen[bytes] | None = None

    def make(self, packages: Sequence[str]) -> None:
        """Install Debian with packages into the folder."""
        names = ",".join(("systemd", "systemd-sysv", "dbus", "ca-certificates", *packages))
        done = subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={names}", "bookworm", str(self.root)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    def _spawn(self, *words: str) -> list[str]:
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={self.root}"]
        return [*nspawn, "--register=no", "--keep-unit", *words]

    def prepare(self, script: str) -> None:
        """Run commands before the machine is started, with this machine's network."""
        told = {name: value for name, value in os.environ.items() if PASSED_ON.search(name)}
        words = [f"--setenv={name}={value}" for name, value in told.items()]
        if cache := told.get("PIP_CACHE_DIR"):
            words.append(f"--bind={cache}")
        words += ["--bind-ro=/etc/ssl/certs", "--resolv-conf=replace-host", "--pipe"]
        command = self._spawn(*words, "/bin/sh", "-euxc", script)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    def start(self) -> None:
        """Boot, and wait until everything is started that is to start."""
        environ = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self._spawn("--private-network", "--console=pipe", "--boot"),
                env=environ, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            )  # fmt: skip
        end = time.monotonic() + BOOT_S
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(psutil.Error, StopIteration):
                # 1 is degraded: some unit of Debian's own may not like a container.
                if self._enter("systemctl is-system-running --wait").returncode in {0, 1}:
                    return
            time.sleep(0.5)
        raise AssertionError(self.log.read_text(errors="replace")[-4000:])

    def _enter(self, script: str, **options: object) -> subprocess.CompletedProcess[str]:
        assert self.process is not None
        family = psutil.Process(self.process.pid).children(recursive=True)
        first = next(one.pid for one in family if one.name() in {"systemd", "init"})
        return subprocess.run(
            [
                *("nsenter", f"--target={first}", "--mount", "--uts", "--ipc", "--net", "--pid"),
                *("--cgroup", "--root", "--wd=/root"),
                *("env", "-i", f"PATH={PATH}", "HOME=/root", "sh", "-euc", script),
            ],
            capture_output=True, text=True, check=False, **options,
        )  # fmt: skip

    def run(self, script: str, *, code: int = 0) -> str:
        """Run commands on the machine as root; return what they print."""
        done = self._enter(script)
        told = f"{script}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        assert done.returncode == code, f"{told}\n{self.journal()}"
        return done.stdout

    def until(self, script: str, patience_s: float = 240) -> None:
        """Run commands again and again until they succeed."""
        end = time.monotonic() + patience_s
        while (done := self._enter(script)).returncode:
            told = f"{script}\n{done.stdout}{done.stderr}"
            assert time.monotonic() < end, f"{told}\n{self.journal()}"
            time.sleep(1)

    def journal(self) -> str:
        """Return the end of what the units said."""
        return self._enter("journalctl --no-pager -n 80 -u 'goodman-*'").stdout

    def stop(self) -> None:
        """Shut down as a machine does, or end what does not."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.Error, StopIteration):
            self._enter("systemctl poweroff")
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None
