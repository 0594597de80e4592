"""A semester in one file: proposals, their PIs and collaborators from CSV.

One row is one proposal. Nothing is taken away by an import: collaborators that the file does not
name stay, and a cell that is empty leaves what there is. The same file twice changes nothing.
The dry run does exactly what the import does and then takes it back, so what it says is true.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts.database import BEGIN, WRITE
from goodman_live.hub.accounts.errors import AccountError, TakenError
from goodman_live.hub.accounts.lists import check_semester
from goodman_live.hub.accounts.names import check_email
from goodman_live.hub.accounts.proposals import (
    NO_ABSTRACT,
    NO_TITLE,
    check_soar_id,
    find_proposal,
    is_usual,
    join,
    new_proposal,
)
from goodman_live.hub.accounts.users import find_by_email, new_user, suggest_username
from goodman_live.hub.mail.letters import Kind
from goodman_live.hub.mail.queue import ask_for

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.hub.accounts.models import Proposal, User

NEEDED = ("soar_id", "pi_email")
"""Columns that must be there."""
COLUMNS = (
    *NEEDED,
    *("semester", "title", "abstract", "public_date"),
    *("pi_first_name", "pi_last_name", "partner", "collaborators"),
)
"""Every column; `collaborators` holds e-mails with semicolons or spaces between them."""
MOST_ROWS = 2000
MOST_CHARACTERS = 4_000_000
LENGTHS = {"title": 500, "abstract": 20_000}
csv.field_size_limit(200_000)


@dataclass(slots=True)
class RowReport:
    """What one row of the file does."""

    line: int
    """Line of the file that the row begins in, the header being 1."""
    soar_id: str
    changes: list[str] = field(default_factory=list)
    """Sentences: what is made or changed; empty if all is there already."""
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    new_proposals: int = 0
    new_users: int = 0
    letters: int = 0

    def fail(self) -> None:
        """Forget what was to be done: an error takes it back."""
        self.changes.clear()
        self.new_proposals = self.new_users = self.letters = 0


@dataclass(slots=True)
class ImportReport:
    """What the whole file does."""

    applied: bool = False
    """True once it is done; a dry run, or a file with an error, changes nothing."""
    rows: list[RowReport] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Number of errors."""
        return sum(len(row.errors) for row in self.rows)

    def count(self, name: str) -> int:
        """Return the sum of ``new_proposals``, ``new_users`` or ``letters`` over the rows."""
        return sum(getattr(row, name) for row in self.rows)


def import_semester(
    session: Session, text: str, *, by: User | None = None, apply: bool = False
) -> ImportReport:
    """Import a file, all of it or nothing; the session is committed or rolled back.

    Parameters
    ----------
    session : Session
        Without changes of its own.
    text : str
        The file: comma, semicolon or tab between cells; the first line names the columns.
    by : User, optional
        Who asks; None is the operator.
    apply : bool
        False only says what would be done.

    Raises
    ------
    AccountError
        If the file as a whole cannot be read.
    """
    rows = read_rows(text)
    # On SQLite, savepoints take nothing back unless a transaction was begun around them.
    session.connection(execution_options={BEGIN: WRITE})
    run = _Run(session, by)
    for line, row in rows:
        run.take(line, row)
    report = run.report
    if not apply or report.errors:
        session.rollback()
        return report
    try:
        session.commit()
    except IntegrityError as error:
        session.rollback()
        raise TakenError(
            "Somebody changed the same accounts or proposals at this moment.",
            remedy="Try again.",
        ) from error
    report.applied = True
    return report


def read_rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """Return each row with the number of its line; rows without a word are left out.

    Raises
    ------
    AccountError
        If it is no table with the columns that are known.
    """
    if len(text) > MOST_CHARACTERS:
        raise AccountError(f"The file is longer than {MOST_CHARACTERS} characters.", field="csv")
    if "\0" in text:
        raise AccountError("The file contains null bytes: it is no text.", field="csv")
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return _table(reader)
    except csv.Error as error:
        raise AccountError(f"Line {reader.line_num} is not CSV: {error}.", field="csv") from None


def _table(reader: object) -> list[tuple[int, dict[str, str]]]:
    lines = iter(reader)  # type: ignore[call-overload]
    names = [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in next(lines, [])]
    _check_names(names)
    rows = []
    begin = reader.line_num + 1  # type: ignore[attr-defined]
    for cells in lines:
        if any(cell.strip() for cell in cells):
            if len(cells) > len(names):
                raise AccountError(
                    f"Line {begin} has {len(cells)} cells for {len(names)} columns.",
                    remedy="Put cells that hold the delimiter in double quotes.",
                    field="csv",
                )
            padded = [*cells, *[""] * (len(names) - len(cells))]
            rows.append((begin, {n: c.strip() for n, c in zip(names, padded, strict=True)}))
        begin = reader.line_num + 1  # type: ignore[attr-defined]
        if len(rows) > MOST_ROWS:
            raise AccountError(f"The file has more than {MOST_ROWS} rows.", field="csv")
    if not rows:
        raise AccountError("The file has no row below its header.", field="csv")
    return rows


def _check_names(names: list[str]) -> None:
    odd = [name for name in names if name not in COLUMNS]
    lacks = [name for name in NEEDED if name not in names]
    twice = {name for name in names if names.count(name) > 1}
    if odd or lacks or twice:
        told = [f"unknown column {odd[0][:40]!r}"] if odd else []
        told += [f"no column {lacks[0]!r}"] if lacks else []
        told += [f"column {min(twice)[:40]!r} twice"] if twice else []
        raise AccountError(
            f"The first line does not name the columns: {', '.join(told)}.",
            remedy=f"Columns: {', '.join(COLUMNS)}; {' and '.join(NEEDED)} must be there.",
            field="csv",
        )


class _Run:
    """One file being taken, row after row."""

    def __init__(self, session: Session, by: User | None) -> None:
        self.session = session
        self.by = by
        self.report = ImportReport()
        self._lines: dict[str, int] = {}
        self._told: set[tuple[int, str]] = set()

    def take(self, line: int, row: dict[str, str]) -> None:
        """Do what a row says; what is wrong with it is written down, not raised."""
        told = RowReport(line, row["soar_id"][:80])
        self.report.rows.append(told)
        try:
            # What a row with an error began is taken back; the others are still looked at.
            with self.session.begin_nested():
                self._take(row, told)
                if told.errors:
                    raise _RowError  # noqa: TRY301 (it ends the savepoint)
        except _RowError:
            told.fail()
        except AccountError as error:
            told.fail()
            told.errors.append(str(error))

    def _take(self, row: dict[str, str], told: RowReport) -> None:
        soar_id = check_soar_id(row["soar_id"])
        before = self._lines.setdefault(soar_id, told.line)
        if before != told.line:
            raise AccountError(f"{soar_id} is in line {before} already: one row a proposal.")
        if not is_usual(soar_id):
            told.warnings.append(f"{soar_id!r} is an odd id: no frame may ever carry it.")
        facts = _facts(row)
        pi = self._investigator(row, told)
        proposal = find_proposal(self.session, soar_id)
        if proposal is None:
            proposal = new_proposal(self.session, soar_id=soar_id, pi=pi, by=self.by, **facts)
            told.changes.insert(0, f"New proposal {soar_id}, PI {pi.username}.")
            told.new_proposals += 1
            self._tell(pi, proposal, told, "pi")
        else:
            self._change(proposal, pi, facts, told)
        self._collaborators(row, proposal, told)

    def _investigator(self, row: dict[str, str], told: RowReport) -> User:
        if not row["pi_email"]:
            raise AccountError("There is no e-mail of the PI.")
        email = check_email(row["pi_email"])
        user = find_by_email(self.session, email)
        if user is None:
            user = new_user(
                self.session,
                username=suggest_username(self.session, email),
                email=email,
                first_name=row.get("pi_first_name", ""),
                last_name=row.get("pi_last_name", ""),
                partner=row.get("partner", ""),
                by=self.by,
            )
            self._invite(user, row["soar_id"], told)
        elif not user.is_active:
            told.warnings.append(f"The account {user.username} of the PI is switched off.")
        return user

    def _invite(self, user: User, soar_id: str, told: RowReport) -> None:
        told.changes.append(f"New account {user.username} for {user.email}.")
        told.new_users += 1
        self._told.add((user.id, soar_id))
        if ask_for(self.session, user, Kind.INVITATION, proposal=soar_id) is not None:
            told.letters += 1

    def _tell(self, user: User, proposal: Proposal, told: RowReport, role: str = "") -> None:
        """Send word of a proposal to who had an account before, once."""
        if (user.id, proposal.soar_id) in self._told:
            return
        self._told.add((user.id, proposal.soar_id))
        values = {"proposal": proposal.soar_id, "role": role}
        if ask_for(self.session, user, Kind.ADDED, **values) is not None:
            told.letters += 1

    def _change(
        self, proposal: Proposal, pi: User, facts: dict[str, Any], told: RowReport
    ) -> None:
        if proposal.pi_id != pi.id:
            old = proposal.pi.username if proposal.pi else "nobody"
            told.changes.append(f"PI {pi.username} instead of {old}.")
            if proposal.pi is not None:
                told.warnings.append(f"{old} is no longer the PI and sees its frames no more.")
            proposal.pi = pi
            self._tell(pi, proposal, told, "pi")
        for name, value in facts.items():
            if isinstance(value, str) and name == "semester":
                value = check_semester(self.session, value)  # noqa: PLW2901 (as the list has it)
            if getattr(proposal, name) != value:
                setattr(proposal, name, value)
                told.changes.append(f"Another {name.replace('_', ' ')}.")

    def _collaborators(self, row: dict[str, str], proposal: Proposal, told: RowReport) -> None:
        there = {user.id for user in proposal.collaborators} | {proposal.pi_id}
        for email in re.split(r"[;,\s]+", row.get("collaborators", "")):
            if not email:
                continue
            try:
                user, is_new = join(self.session, proposal, email, by=self.by)
            except AccountError as error:
                told.errors.append(str(error))
                continue
            if is_new:
                self._invite(user, proposal.soar_id, told)
            if user.id not in there:
                there.add(user.id)
                told.changes.append(f"Collaborator {user.username}.")
                self._tell(user, proposal, told)


class _RowError(Exception):
    """Takes back what a row with errors began."""


def _facts(row: dict[str, str]) -> dict[str, Any]:
    """Return the facts of a proposal that the row gives; an empty cell gives none."""
    facts: dict[str, Any] = {
        name: row[name] for name in ("semester", "title", "abstract") if row.get(name)
    }
    for name, longest in LENGTHS.items():
        if len(row.get(name, "")) > longest:
            raise AccountError(f"The {name} has more than {longest} characters.")
    # What a form shows for nothing is nothing.
    for name, nothing in (("title", NO_TITLE), ("abstract", NO_ABSTRACT)):
        if facts.get(name) == nothing:
            del facts[name]
    if row.get("public_date"):
        try:
            day = date.fromisoformat(row["public_date"])
        except ValueError:
            raise AccountError(
                f"{row['public_date'][:20]!r} is no date.", remedy="Write it like 2027-08-01."
            ) from None
        facts["public_date"] = datetime.combine(day, time(), UTC)
    return facts
