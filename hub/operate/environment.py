"""Examination of the program itself: that every account can run it, and none but root change it.

Only as root, whose Hub starts programs as other accounts; else there is one account.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.hub import places
from goodman_live.hub.conveniences import ONE_OS_USER
from goodman_live.hub.operate.findings import Finding, fine, wrong
from goodman_live.hub.operate.host import service_account
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.engine.profile import load_profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AREA = "program"
READ_BY_SERVICE = (
    "PGPASSFILE",
    "PGSSLROOTCERT",
    "GOODMAN_SMTP_PASSWORD_FILE",
    "GOODMAN_SMTP_CA_FILE",
    "GOODMAN_STARS",
)
"""Variables that name files which the service reads, as its own account."""
WRITABLE = stat.S_IWGRP | stat.S_IWOTH
PATIENCE_S = 120


def program(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Run the program as the service's account, and look for what others could change in it."""
    if os.geteuid() != 0 or environ.get(ONE_OS_USER) == "1":
        return
    account = service_account(environ)
    try:
        record = pwd.getpwnam(account)
    except KeyError:
        return  # which the look at accounts tells
    said = _as(record, sys.executable, "-c", "import goodman_live.hub.userserver")
    folders = [Path(sys.prefix)]
    if (tree := places.source_tree()) is not None:
        folders = [tree] if folders[0].is_relative_to(tree) else [tree, *folders]
    if said:
        yield wrong(
            AREA,
            f"{account} cannot run {sys.executable}: {said}",
            f"chmod -R go+rX,go-w {' '.join(map(str, folders))}; and let them pass to there.",
        )
    else:
        yield fine(AREA, f"{account} can run {sys.executable}")
    if (path := next(_changeable(folders), None)) is None:
        yield fine(AREA, "none but root can change it")
    else:
        mend = f"chown -R root: {path}; chmod -R go-w {path}"
        yield wrong(AREA, f"Other accounts can change {path}.", mend)
    for path in _needed(environ):
        if _as(record, "test", "-r", str(path)):
            yield wrong("permissions", f"{account} cannot read {path}.", f"chown {account} {path}")


def _needed(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that the service must read."""
    yield from (Path(environ[name]) for name in READ_BY_SERVICE if environ.get(name))
    try:
        tls = load_profile(environ.get("GOODMAN_DASK", "")).tls
    except GoodmanError:
        return  # which the look at Dask tells
    if tls:
        yield from (tls.ca_file, tls.cert, tls.key)


def _as(account: pwd.struct_passwd, *command: str) -> str:
    """Run a command as another account; return what it complains of, nothing if it does not."""
    try:
        ran = subprocess.run(  # noqa: S603 (the commands above)
            command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/",
            env={"PATH": os.defpath}, capture_output=True, text=True, check=False,
            timeout=PATIENCE_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if ran.returncode == 0 else (ran.stderr.strip() or "it may not")[-200:]


def _changeable(folders: list[Path]) -> Iterator[Path]:
    """Yield what others than root could change, in the folders and on the way to them."""
    above = {parent for folder in folders for parent in folder.resolve().parents}
    for path in sorted(above):
        if not path.stat().st_mode & stat.S_ISVTX and _is_open(path.stat()):
            yield path
    for folder in folders:
        for where, names, files in os.walk(folder):
            for name in (".", *names, *files):
                path = Path(where, name)
                found = path.lstat()
                if not stat.S_ISLNK(found.st_mode) and _is_open(found):
                    yield path


def _is_open(found: os.stat_result) -> bool:
    """Tell whether others than root may change what has this owner and mode."""
    return found.st_uid != 0 or bool(
        found.st_mode & (stat.S_IWOTH if found.st_gid == 0 else WRITABLE)
    )
