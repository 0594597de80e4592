"""``/api/semesters/import/``: a whole semester from one CSV file, dry run first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlalchemy import func, select

from goodman_live.hub.semester_import import (
    COLUMNS,
    MOST_CHARACTERS,
    ImportReport,
    import_semester,
)
from goodman_live.server_extension.catalogue.activity import LogEntry
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.people import acting_user
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer


class SemesterFile(Strict):
    """A CSV file; without ``apply`` it is only looked at."""

    csv: str = Field(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description=f"The file's text. Columns: {', '.join(COLUMNS)}.",
    )
    apply: bool = Field(default=False, description="False says what would be done.")


class ImportedRow(Answer):
    """What one row does."""

    line: int = Field(description="Line of the file; the header is 1.")
    soar_id: str
    frames: int = Field(description="Frames that carry this id already.")
    changes: list[str] = Field(description="What is made or changed; empty if all is there.")
    warnings: list[str]
    errors: list[str]


class Imported(Answer):
    """What the file does."""

    applied: bool = Field(description="False for a dry run, and if there is any error.")
    errors: int
    new_proposals: int
    new_users: int
    letters: int = Field(description="Letters to new users and to those who were added.")
    rows: list[ImportedRow]


class SemesterImportHandler(ApiHandler):
    """A semester in one file."""

    @operation(
        id="api_semesters_import_create",
        summary="Import proposals, PIs and collaborators from CSV",
        tag="proposals",
        access=Access.STAFF,
        body=SemesterFile,
        answer=Imported,
        errors=(409,),
        description="One row is one proposal. Nothing is taken away; the same file twice changes"
        " nothing. With an error in any row nothing is applied.",
    )
    async def post(self, body: SemesterFile) -> Imported:
        """Say what the file does, and do it if asked to."""
        return await self.backend.write_stepwise(take_semester, self.viewer, body)


def take_semester(session: Session, viewer: Viewer, file: SemesterFile) -> Imported:
    """Import a file, or look at it."""
    actor = acting_user(session, viewer)
    if actor is not None:
        session.expunge(actor)
    session.rollback()
    report = import_semester(session, file.csv, by=actor, apply=file.apply)
    if report.applied:
        session.add(
            LogEntry(
                source="accounts",
                message=f"{viewer.username} imported {report.count('new_proposals')} proposals"
                f" and {report.count('new_users')} accounts.",
                user_id=viewer.user_id or None,
            )
        )
        session.commit()
    return told_of(session, report)


def told_of(session: Session, report: ImportReport) -> Imported:
    """Return the report as it travels, with the frames that are there already."""
    ids = {row.soar_id for row in report.rows}
    counted = select(Frame.proposal_id, func.count()).where(
        Frame.data_type == 0, Frame.proposal_id.in_(ids)
    )
    frames = dict(session.execute(counted.group_by(Frame.proposal_id)).tuples().all())
    return Imported(
        applied=report.applied,
        errors=report.errors,
        **{name: report.count(name) for name in ("new_proposals", "new_users", "letters")},
        rows=[
            ImportedRow(
                line=row.line,
                soar_id=row.soar_id,
                frames=frames.get(row.soar_id, 0),
                changes=row.changes,
                warnings=row.warnings,
                errors=row.errors,
            )
            for row in report.rows
        ],
    )
