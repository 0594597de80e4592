"""``goodman-live backup``, ``restore`` and ``doctor``: the operator's own terminal.

They read `GOODMAN_DATA` and `GOODMAN_DATABASE` as the Hub does.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from goodman_live.hub.accounts.database import data_root, database_url
from goodman_live.hub.operate.backup import Outcome, Source, back_up
from goodman_live.hub.operate.backup import restore as restore_backup
from goodman_live.hub.operate.doctor import examine
from goodman_live.hub.operate.findings import Level
from goodman_live.pipeline.core.errors import GoodmanError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="Back up catalogue, accounts, frames and the Hub into a folder.")
@click.argument("folder", type=FOLDER)
@click.option("--no-raw", is_flag=True, help="Leave raw frames out: they have their own archive.")
@click.option(
    "--since",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="An earlier backup on the same disk; what did not change is linked, not copied.",
)
def backup(folder: Path, no_raw: bool, since: Path | None) -> None:  # noqa: FBT001 (click)
    """Back up everything into FOLDER, which must not exist or be empty.

    The service may go on meanwhile.
    """
    try:
        done = back_up(Source(data_root(), database_url(), raw=not no_raw, since=since), folder)
    except (GoodmanError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Backed up {_told(done)}, {done.linked} of them linked, to {folder}.")


@click.command(short_help="Restore a backup into an empty place, and bring it up to date.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def restore(folder: Path) -> None:
    """Restore FOLDER into the empty GOODMAN_DATA and GOODMAN_DATABASE."""
    try:
        done = restore_backup(folder, data_root(), database_url())
    except (GoodmanError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Restored {_told(done)}; every checksum agrees.")


MARKS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.ERROR: "ERROR  "}


@click.command(short_help="Examine an installation, and say how to mend what is wrong.")
def doctor() -> None:
    """Examine accounts, permissions, the program, proxy, database, Dask, mail, disk and clock.

    Run it with the Hub's account and environment. The exit code is 1 if anything is wrong.
    """
    worst = Level.OK
    for finding in examine(os.environ):
        click.echo(f"{MARKS[finding.level]} {finding.area:12} {finding.what}")
        if finding.mend:
            click.echo(f"{'':20} -> {finding.mend}")
        worst = Level.ERROR if Level.ERROR in (worst, finding.level) else finding.level
    if worst is Level.ERROR:
        raise SystemExit(1)


def _told(done: Outcome) -> str:
    return f"{done.rows} rows and {done.files} files ({done.bytes / 1e6:.1f} MB)"
