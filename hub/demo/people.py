"""The people of the demonstration, with passwords made once and kept in a private file."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.passwords import verify_password
from goodman_live.hub.accounts.proposals import create_proposal, ensure_shared, find_proposal
from goodman_live.hub.accounts.users import create_user, find_user, set_password
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.simulate.plan import OBSERVER_PROPOSAL, OTHER_PROPOSAL

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

# Without letters and digits that are taken for each other.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Person:
    """One account of the demonstration."""

    username: str
    first_name: str
    last_name: str
    proposal: str = ""
    """SOAR id of the proposal this person is the PI of."""
    is_superuser: bool = False


OBSERVER = Person("observer", "First", "Observer", OBSERVER_PROPOSAL)
NEIGHBOUR = Person("neighbour", "Second", "Observer", OTHER_PROPOSAL)
NIGHT_STAFF = Person("nightstaff", "Night", "Staff", is_superuser=True)
PEOPLE = (OBSERVER, NEIGHBOUR, NIGHT_STAFF)
"""The observer of the night, somebody else's PI, and staff."""

TITLES = {
    OBSERVER_PROPOSAL: "A supernova and a crowded field (simulated)",
    OTHER_PROPOSAL: "A faint transient (simulated)",
}


class BadAccountsFileError(GoodmanError):
    """The file of the demonstration's passwords cannot be read."""

    code = "bad_accounts_file"


def settle_people(database: str, accounts_file: Path) -> dict[str, str]:
    """Make the people and proposals that are missing; return each one's password.

    Passwords stay those of `accounts_file`, which only its owner can read; where the account has
    another one (it was changed in the browser), the account is left as it is.

    Parameters
    ----------
    database : str
        URL of the migrated database.
    accounts_file : Path
        JSON file of passwords by user name.

    Returns
    -------
    dict of str to str
        Passwords by user name; empty where the account has one that this file does not know.
    """
    passwords = read_passwords(accounts_file)
    for person in PEOPLE:
        passwords.setdefault(person.username, make_password())
    # Written first: an account whose password nobody knows would be worse than a spare line.
    _write_private(accounts_file, json.dumps(passwords, indent=2) + "\n")
    engine = make_engine(database)
    try:
        with session_factory(engine)() as session:
            ensure_shared(session)
            return {
                person.username: _settle(session, person, passwords[person.username])
                for person in PEOPLE
            }
    finally:
        engine.dispose()


def _settle(session: Session, person: Person, password: str) -> str:
    user = find_user(session, person.username)
    if user is None:
        user = create_user(
            session,
            username=person.username,
            email=f"{person.username}@demo.example",
            password=password,
            first_name=person.first_name,
            last_name=person.last_name,
            is_superuser=person.is_superuser,
        )
    elif not user.password_hash:
        set_password(session, user, password)
    if person.proposal and find_proposal(session, person.proposal) is None:
        title = TITLES[person.proposal]
        create_proposal(session, soar_id=person.proposal, pi=user, title=title)
    return password if verify_password(user.password_hash, password) else ""


def make_password() -> str:
    """Return a random password of 60 bits, easy to type: ``kfm3-t8wq-hzp5``."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))


def read_passwords(path: Path) -> dict[str, str]:
    """Return the passwords by user name, empty where there is no file yet.

    Raises
    ------
    BadAccountsFileError
        If the file is there but not what this module writes.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadAccountsFileError(
            f"{path} is not JSON: {error}.",
            remedy="Delete it; accounts keep their passwords, and you can set new ones.",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise BadAccountsFileError(f"{path} does not hold passwords by user name.")
    return found


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    # Created closed: no moment in which others could read it.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(text)
    fresh.replace(path)
