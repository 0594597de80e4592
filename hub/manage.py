"""Accounts from the operator's own terminal: ``python -m goodman_live.hub.manage --help``.

It reads `GOODMAN_DATA` and `GOODMAN_DATABASE` as the Hub does. Passwords are never typed here:
each command that gives access prints a one-time link, for its owner alone.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from goodman_live.hub.accounts import links, users
from goodman_live.hub.accounts.database import database_url, make_engine, session_factory
from goodman_live.hub.accounts.errors import AccountError
from goodman_live.hub.accounts.links import LIFETIME, Purpose
from goodman_live.hub.semester_import import MOST_CHARACTERS, import_semester
from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from goodman_live.hub.accounts.models import User


@contextmanager
def _accounts() -> Iterator[Session]:
    engine = make_engine(database_url())
    try:
        with session_factory(engine)() as session:
            yield session
    except (OperationalError, ProgrammingError) as error:
        sys.exit(
            f"The accounts at {engine.url!r} cannot be read: start the Hub once. ({error.orig})"
        )
    except GoodmanError as error:
        sys.exit(str(error))
    finally:
        engine.dispose()


def _print_link(session: Session, user: User, purpose: Purpose) -> None:
    token = links.issue(session, user, purpose)
    click.echo(f"{user.username}: open once, within {LIFETIME[purpose]}:")
    click.echo(f"    /hub/set-password?token={token}")


def _find(session: Session, who: str) -> User:
    user = users.find_by_email(session, who) if "@" in who else users.find_user(session, who)
    if user is None:
        raise AccountError(f"There is no account {who[:60]!r}.")
    return user


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Accounts, from the operator's terminal."""


@main.command("create-user")
@click.argument("username")
@click.argument("email")
@click.option("--staff", is_flag=True, help="May see everything and manage proposals.")
@click.option("--superuser", is_flag=True, help="May make staff, too.")
def create_user(username: str, email: str, staff: bool, superuser: bool) -> None:  # noqa: FBT001 (click)
    """Make an account and print the link by which its owner sets the password."""
    with _accounts() as session:
        user = users.create_user(
            session, username=username, email=email, is_staff=staff, is_superuser=superuser
        )
        _print_link(session, user, Purpose.INVITATION)


@main.command("password-link")
@click.argument("who")
def password_link(who: str) -> None:
    """Print a link by which WHO (user name or e-mail) sets a new password."""
    with _accounts() as session:
        _print_link(session, _find(session, who), Purpose.RESET)


@main.command("switch-off")
@click.argument("who")
def switch_off(who: str) -> None:
    """Refuse WHO from now on; sessions, tokens and the running server end within seconds."""
    with _accounts() as session:
        users.switch_off(session, _find(session, who))
        click.echo(f"{who} is switched off.")


@main.command("switch-on")
@click.argument("who")
def switch_on(who: str) -> None:
    """Let WHO sign in again."""
    with _accounts() as session:
        users.switch_on(session, _find(session, who))
        click.echo(f"{who} may sign in again.")


@main.command("import-semester")
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--apply", is_flag=True, help="Do it; without this it is only said.")
def import_csv(file: TextIO, apply: bool) -> None:  # noqa: FBT001 (click)
    """Import proposals, PIs and collaborators from a CSV FILE (docs/staff.md)."""
    with _accounts() as session:
        try:
            text = file.read(MOST_CHARACTERS + 1)
        except UnicodeDecodeError:
            sys.exit(f"{file.name} is not UTF-8 text.")
        report = import_semester(session, text, apply=apply)
    for row in report.rows:
        for mark, lines in (
            ("", row.changes),
            ("warning: ", row.warnings),
            ("ERROR: ", row.errors),
        ):
            for line in lines:
                click.echo(f"line {row.line}: {mark}{line}")
    count = report.count
    click.echo(
        f"{count('new_proposals')} new proposals, {count('new_users')} new accounts,"
        f" {count('letters')} letters, {report.errors} errors:"
        f" {'done.' if report.applied else 'nothing was changed.'}"
    )
    if report.errors:
        sys.exit(1)


if __name__ == "__main__":
    main()
