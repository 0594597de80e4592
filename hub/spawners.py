"""Whom a user's server runs as: one operating-system user for all, or an account for each.

`OneUserSpawner` isolates nobody: whatever a user runs can read everything this process can. It
is for one person or a demonstration. `SystemUserSpawner` needs a Hub that runs as root and makes
a system account ``goodman-<name>`` without a login shell for each user.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import resource
import stat
import subprocess
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.utils import maybe_future
from tornado import web
from traitlets import Integer, Unicode
from traitlets.config import LoggingConfigurable

from goodman_live.hub.line import InTurn
from goodman_live.hub.processes import end_processes, listeners
from goodman_live.pipeline.core.errors import GoodmanError

ACCOUNT_PREFIX = "goodman-"
"""Begins the name of every system account that this module makes."""
UIDS = (*range(999, 99, -1), *range(30_000, 60_000))
"""Numbers of accounts: a system's own, from above; then those that Debian gives to nobody."""
TAKEN = "The server's place was taken by somebody else. Please try again."
"""Said where another account listens in place of a server."""
SERVER_LOG = "server.log"
"""What a user's server says since its last start, in the user's folder."""
FORGOTTEN = ("GOODMAN_DATA", "GOODMAN_DATABASE", "GOODMAN_DASK", "CONFIGPROXY_AUTH_TOKEN")
"""Variables of the Hub that no user's server may inherit."""


class NoAccountError(GoodmanError):
    """A system account could not be made."""

    code = "no_account"


def limit(memory_bytes: int, processes: int) -> None:
    """Limit this process and what it starts; called between fork and exec.

    Parameters
    ----------
    memory_bytes : int
        Address space of each process, 0 for no limit: a kernel that asks for more is told so, and
        the machine does not run out of memory for the others.
    processes : int
        Processes and threads of the account altogether, 0 for no limit.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file holds the user's token
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))


def speak_elsewhere() -> None:
    """Give this process, in its user's folder, a log of its own; called between fork and exec.

    What it inherits is the Hub's: a descriptor with which the log can be emptied, or lines written
    that look like the Hub's.
    """
    options = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        log = os.open(SERVER_LOG, options, 0o600)
    except OSError:  # the user put something else there
        log = os.open(os.devnull, os.O_WRONLY)
    for inherited in (1, 2):
        os.dup2(log, inherited)
    os.close(log)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


class _Discreet(LoggingConfigurable):
    """Keeps what the Hub knows out of the environment of users' servers, and limits them."""

    process_memory_mb = Integer(
        4096, help="MiB of address space of each process of a user's server; 0 for no limit."
    ).tag(config=True)

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()  # type: ignore[misc]
        return {key: value for key, value in env.items() if key not in FORGOTTEN}


class OneUserSpawner(_Discreet, InTurn, SimpleLocalProcessSpawner):  # type: ignore[misc]
    """Every server as the Hub's own operating-system user, each in its own folder."""

    def make_preexec_fn(self, name: str) -> Any:  # noqa: ARG002 (the Hub's signature)
        """Return what the child does first: nothing, it stays who it is."""
        home, memory = self.home_dir, self.process_memory_mb * 2**20

        def prepare() -> None:
            os.umask(0o077)
            limit(memory, 0)
            Path(home).mkdir(parents=True, exist_ok=True)
            os.chdir(home)

        return prepare


class SystemUserSpawner(_Discreet, InTurn):
    """Every server as its user's own system account, which is made when it is first needed."""

    homes = Unicode("/var/lib/goodman-live/home", help="Folder of the accounts' folders.").tag(
        config=True
    )

    most_processes = Integer(
        400, help="Processes and threads that an account may have at once; 0 for no limit."
    ).tag(config=True)

    def account(self) -> str:
        """Return the name of the user's system account."""
        return f"{ACCOUNT_PREFIX}{self.user.name}"

    def make_preexec_fn(self, name: str) -> Any:  # noqa: ARG002 (the Hub's name is not the account's)
        """Return what the child does first: become the account."""
        become, memory = super().make_preexec_fn(self.account()), self.process_memory_mb * 2**20
        processes = self.most_processes

        def prepare() -> None:
            limit(memory, processes)
            os.umask(0o077)
            become()
            speak_elsewhere()

        return prepare

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Return the environment with the account's name and folder."""
        record = pwd.getpwnam(self.account())
        return env | {"USER": record.pw_name, "HOME": record.pw_dir, "SHELL": "/bin/sh"}

    async def start(self) -> Any:
        """Make the account if it is missing, then start the server as it."""
        ensure_account(self.account(), Path(self.homes))
        return await super().start()

    def check_who_listens(self, host: str, port: int) -> None:
        """Let nobody be led to a server of somebody else's.

        The port is chosen before the server has it, and another account may be the faster. What
        it answers there would be, to a browser, this user's server.

        Raises
        ------
        tornado.web.HTTPError
            500 if it is another account that listens.
        """
        found, own = listeners(host, port), pwd.getpwnam(self.account()).pw_uid
        if found != {own}:
            others = ", ".join(map(str, sorted(found - {own}))) or "nobody known"
            self.log.critical(
                "At port %s of the server of %s another account listens: %s",
                *(port, self.user.name, others),
            )
            raise web.HTTPError(500, TAKEN)

    async def run_post_stop_hook(self) -> None:
        """End whatever else runs as the account, when the server has stopped or has ended.

        What a kernel has sent into the background would go on without an end or a limit, also
        that of who is switched off.
        """
        await maybe_future(super().run_post_stop_hook())
        try:
            account = pwd.getpwnam(self.account())
        except KeyError:
            return  # it was never made
        if account.pw_uid == 0 or Path(account.pw_dir) != Path(self.homes) / self.user.name:
            return  # it is somebody else's, and nothing was started
        if left := await asyncio.to_thread(end_processes, account):
            self.log.critical("%s processes of %s do not end", left, account.pw_name)


def ensure_account(name: str, homes: Path) -> None:
    """Make a system account with a folder that it alone can read.

    A folder that is there already, such as of a container that is made anew with the volume of the
    last, keeps its owner: the account is given the number that its files have.

    Raises
    ------
    NoAccountError
        If ``useradd`` fails, or the name or the folder is that of an account of somebody else's.
    """
    home = homes / name.removeprefix(ACCOUNT_PREFIX)
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        homes.mkdir(parents=True, exist_ok=True, mode=0o755)
        _make_account(name, home)
        return
    if found.pw_uid == 0 or Path(found.pw_dir) != home:
        # Such as the service's own account: whoever runs as it reads everybody's frames.
        raise NoAccountError(
            f"The system account {name!r} exists and was not made for a user.",
            remedy="Give the user another name.",
        )


def _make_account(name: str, home: Path) -> None:
    # The group has the number of the account where that is free.
    command = ["useradd", "--system", "--user-group", "-K", f"SYS_GID_MAX={UIDS[-1]}"]
    command += ["--uid", str(_number(name, home)), "--home-dir", str(home)]
    command += ["--shell", "/usr/sbin/nologin", "--create-home", name]
    made = subprocess.run(  # noqa: S603 (the name passed `check_username`)
        command, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise NoAccountError(
            f"The system account {name!r} could not be made: {made.stderr.strip()}",
            remedy="The Hub must run as root for this profile.",
        )
    home.chmod(0o700)


def _number(name: str, home: Path) -> int:
    """Return the number of a new account: its folder's owner, else one that owns no folder."""
    there = {record.pw_uid: record.pw_name for record in pwd.getpwall()}
    folders = {path.name: path.lstat() for path in home.parent.iterdir()}
    if (own := folders.get(home.name)) is None:
        taken = there.keys() | {found.st_uid for found in folders.values()}
        free = next((uid for uid in UIDS if uid not in taken), None)
        if free is None:
            raise NoAccountError("No number is left.", remedy="Remove accounts of who left.")
        return free
    if own.st_uid in there or not stat.S_ISDIR(own.st_mode):
        raise NoAccountError(
            f"{home} is there, and belongs to {there.get(own.st_uid, 'nobody')!r}.",
            remedy=f"Make it belong to a number without an account, or {name!r} beforehand.",
        )
    return own.st_uid
