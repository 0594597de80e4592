"""Whom a user's server becomes before it runs anything, and within which limits."""

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tornado.web import HTTPError

from goodman_live.hub.processes import end_processes, habitat, listeners
from goodman_live.hub.spawners import (
    SERVER_LOG,
    UIDS,
    NoAccountError,
    SystemUserSpawner,
    ensure_account,
)

SAY = "import os, resource as r; print(os.getuid(), os.umask(0), os.getcwd(), *r.getrlimit(r.{}))"

ERASE = "import os; [os.ftruncate(fd, 0) for fd in (1, 2)]"
"""What a user's code could do to a log whose descriptor it has."""


as_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("useradd") is None, reason="system accounts are made by root"
)


@as_root
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


@pytest.fixture
def homes():
    """Return a folder of users' folders; the accounts of those in it are removed in the end."""
    made = Path(tempfile.mkdtemp(prefix="goodman-homes-"))
    made.chmod(0o755)
    yield made
    for home in made.iterdir():
        subprocess.run(["userdel", f"goodman-{home.name}"], check=False, capture_output=True)
    shutil.rmtree(made)


def unused(count):
    """Return numbers that no account has, the ones that would be given next."""
    taken = {record.pw_uid for record in pwd.getpwall()}
    return [uid for uid in UIDS if uid not in taken][:count]


@as_root
def test_accounts_that_are_made_anew_own_their_folders_and_nobody_elses(homes):
    tail = secrets.token_hex(3)
    # As of the last container; accounts of the machine are few, so these are the next numbers.
    numbers = dict(zip((f"vera{tail}", f"otto{tail}"), unused(2), strict=True))
    for name, uid in numbers.items():
        (homes / name).mkdir(mode=0o700)
        (homes / name / "night.ipynb").write_text("{}")
        for path in (homes / name, homes / name / "night.ipynb"):
            os.chown(path, uid, uid)
    fresh = f"new{tail}"
    ensure_account(f"goodman-{fresh}", homes)
    assert pwd.getpwnam(f"goodman-{fresh}").pw_uid == (homes / fresh).stat().st_uid
    assert (homes / fresh).stat().st_uid not in numbers.values(), "would read their files"
    for name, uid in numbers.items():
        ensure_account(f"goodman-{name}", homes)
        assert pwd.getpwnam(f"goodman-{name}").pw_uid == uid
        assert (homes / name / "night.ipynb").stat().st_uid == uid
        assert (homes / name).stat().st_mode & 0o777 == 0o700
        ensure_account(f"goodman-{name}", homes)  # it is there, and stays


@as_root
def test_a_folder_that_belongs_to_somebody_makes_no_account(homes):
    name = f"w{secrets.token_hex(3)}"
    (homes / name).mkdir()
    for owner in ("root", "nobody"):
        shutil.chown(homes / name, owner)
        with pytest.raises(NoAccountError, match=f"belongs to '{owner}'"):
            ensure_account(f"goodman-{name}", homes)
    shutil.rmtree(homes / name)
    (homes / name).symlink_to("/tmp")  # noqa: S108 (anywhere)
    os.chown(homes / name, unused(1)[0], 0, follow_symlinks=False)
    with pytest.raises(NoAccountError):
        ensure_account(f"goodman-{name}", homes)
    with pytest.raises(KeyError):
        pwd.getpwnam(f"goodman-{name}")


ANSWERS = """
import socket, subprocess, sys
subprocess.Popen(["setsid", "sleep", "3600"])  # sent into the background, as a kernel may
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listening.accept()[0].close()
"""
"""A server, and what its user leaves behind."""


class Small(SystemUserSpawner):
    """Runs little as its user's account."""

    def get_env(self):
        return {"PATH": "/usr/bin:/bin"}

    def get_args(self):
        return [str(self.port)]


@pytest.fixture
def small(homes, free_port):
    """Return a spawner of a user, not started."""
    system = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if system is None:
        pytest.skip("the system has no Python of its own")
    with pytest.deprecated_call():  # as above
        made = Small(_mock=True, port=free_port(), homes=str(homes))
    made.user = SimpleNamespace(name=f"t{secrets.token_hex(4)}")
    made.cmd = [system, "-c", ANSWERS]
    yield made
    with contextlib.suppress(KeyError):
        end_processes(pwd.getpwnam(made.account()))


def running_as(account):
    """Return the processes of an account that are of this very system, not of a container."""
    uid, here = pwd.getpwnam(account).pw_uid, habitat(os.getpid())
    found = psutil.process_iter(["uids", "status"])
    alive = [p for p in found if p.info["status"] != psutil.STATUS_ZOMBIE]
    return [p for p in alive if p.info["uids"].real == uid and habitat(p.pid) == here]


@as_root
@pytest.mark.parametrize("itself", [False, True])
async def test_with_a_server_everything_ends_that_its_user_started(small, itself):
    host, port = await small.start()
    uid = pwd.getpwnam(small.account()).pw_uid
    assert listeners(host, port) == {uid}
    async with asyncio.timeout(60):
        while len(running_as(small.account())) < 2:  # noqa: ASYNC110 (what another process does)
            await asyncio.sleep(0.02)
    if itself:  # its user has ended it, and hopes that nobody looks
        small.proc.kill()
        small.proc.wait()
    await small.stop()
    assert len(running_as(small.account())) == 1
    await small.run_post_stop_hook()
    assert running_as(small.account()) == []
    await small.run_post_stop_hook()  # there is nothing to end
    assert end_processes(pwd.getpwnam(small.account())) == 0
    with pytest.raises(ValueError, match="root"):
        end_processes(pwd.getpwnam("root"))


@as_root
def test_who_has_the_same_number_in_a_container_lives_on(homes):
    name = f"t{secrets.token_hex(4)}"
    ensure_account(f"goodman-{name}", homes)
    account = pwd.getpwnam(f"goodman-{name}")
    apart = ["unshare", "--pid", "--mount", "--fork", "--kill-child"]
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no container can be made here")
    apart += ["setpriv", f"--reuid={account.pw_uid}", "--clear-groups", "sleep", "3600"]
    with subprocess.Popen(apart) as other:
        try:
            while not (inside := psutil.Process(other.pid).children(recursive=True)) or (
                inside[-1].name() != "sleep"
            ):
                assert other.poll() is None
            assert inside[-1].uids().real == account.pw_uid
            assert end_processes(account) == 0
            assert inside[-1].is_running()
            assert other.poll() is None
        finally:
            # Who becomes another account is no longer ended with what began them.
            for one in psutil.Process(other.pid).children(recursive=True):
                one.kill()
            other.kill()


@pytest.fixture
def thief(small):
    """Let another account listen where a server will."""
    with subprocess.Popen(
        [*small.cmd, str(small.port)],
        user="nobody", group="nogroup", extra_groups=[], cwd="/", start_new_session=True,
    ) as process:  # fmt: skip
        while not listeners("127.0.0.1", small.port):
            assert process.poll() is None
        yield process
        for one in (*psutil.Process(process.pid).children(recursive=True), process):
            one.kill()


@as_root
@pytest.mark.usefixtures("thief")
async def test_nobody_is_led_to_what_another_account_put_in_place_of_a_server(small):
    """The port is free until the server has it: another account may be the faster."""
    with pytest.raises(HTTPError, match="500"):
        await small.start()
    await small.stop()


def test_listeners_are_those_of_the_very_address(free_port):
    port = free_port()
    assert listeners("127.0.0.1", port) == set()
    with socket.create_server(("127.0.0.2", port)):
        assert listeners("127.0.0.1", port) == set()
        assert listeners("127.0.0.2", port) == {os.getuid()}
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        assert listeners("127.0.0.1", port) == set(), "bound, and does not listen"
