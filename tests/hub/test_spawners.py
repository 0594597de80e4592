"""Whom a user's server becomes before it runs anything, and within which limits."""

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from goodman_live.hub.spawners import SERVER_LOG, SystemUserSpawner, ensure_account

SAY = "import os, resource as r; print(os.getuid(), os.umask(0), os.getcwd(), *r.getrlimit(r.{}))"

ERASE = "import os; [os.ftruncate(fd, 0) for fd in (1, 2)]"
"""What a user's code could do to a log whose descriptor it has."""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("useradd") is None, reason="system accounts are made by root"
)
def test_a_server_becomes_its_users_account_within_limits():
    # One that every account can run, wherever that of the tests lies.
    system = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if system is None:
        pytest.skip("the system has no Python of its own")
    homes = Path(tempfile.mkdtemp(prefix="goodman-homes-"))
    homes.chmod(0o755)
    name = f"t{secrets.token_hex(4)}"
    ensure_account(f"goodman-{name}", homes)
    try:
        with pytest.deprecated_call():  # the Hub's own word for one without a Hub is not a trait
            spawner = SystemUserSpawner(_mock=True)
        spawner.process_memory_mb, spawner.most_processes = 3000, 77
        spawner.user = SimpleNamespace(name=name)
        uid = (homes / name).stat().st_uid
        for kind, limit in (("RLIMIT_AS", 3000 * 2**20), ("RLIMIT_NPROC", 77), ("RLIMIT_CORE", 0)):
            ran = subprocess.run(
                [system, "-c", SAY.format(kind)],
                preexec_fn=spawner.make_preexec_fn(name),
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert ran.stdout == "", "nothing of the Hub's is inherited"
            told = (homes / name / SERVER_LOG).read_text().split()
            assert told == [str(uid), str(0o077), str(homes / name), str(limit), str(limit)]
        assert uid != 0
        log = homes / name / SERVER_LOG
        assert log.stat().st_mode & 0o777 == 0o600
        log.unlink()
        log.symlink_to("/etc/passwd")  # or a folder, or a pipe: then nothing is kept
        for command in (ERASE, "print('lost')"):
            with (homes / "hub.log").open("a+") as hub:
                hub.write("of the Hub\n")
                hub.flush()
                subprocess.run(
                    [system, "-c", command], preexec_fn=spawner.make_preexec_fn(name),
                    stdout=hub, stderr=hub, check=False,
                )  # fmt: skip
        assert (homes / "hub.log").read_text() == "of the Hub\n" * 2
    finally:
        subprocess.run(["userdel", f"goodman-{name}"], check=True, capture_output=True)
        shutil.rmtree(homes)
