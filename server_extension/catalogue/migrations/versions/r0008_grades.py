"""Grades are counted with the rest, frames become public with a day, the nearest are found.

Public dates to the microsecond made a tally of every frame: they are those of midnights now.
"""

from __future__ import annotations

from alembic import op

from goodman_live.server_extension.catalogue.migrations import tally_tables
from goodman_live.server_extension.catalogue.migrations.tally_tables import FIRST_TEXTS, Tallies

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AUDIENCES = ("frames", "jobs", "events", "log_entries")


def upgrade() -> None:
    """Make the change."""
    tally_tables.drop()
    for table in AUDIENCES:
        op.execute(_to_midnight(table, op.get_bind().dialect.name))
    op.drop_index("ix_frames_grade", "frames")
    op.create_index(
        "ix_frames_nearest", "frames", ["kind", "data_type", "camera", "xbin", "ybin", "mid"]
    )
    op.drop_index("ix_frames_night", "frames")
    op.create_index(
        "ix_frames_night", "frames", ["night", "data_type", "camera", "xbin", "ybin", "kind"]
    )
    Tallies({**FIRST_TEXTS, "grade": 16}).create()


def downgrade() -> None:
    """Go back; public dates stay as they are."""
    tally_tables.drop()
    op.drop_index("ix_frames_nearest", "frames")
    op.drop_index("ix_frames_night", "frames")
    op.create_index("ix_frames_night", "frames", ["night", "kind", "data_type"])
    op.create_index(
        "ix_frames_grade",
        "frames",
        ["grade", "proposal_id", "data_type", "owner_id", "public_date", "id"],
    )
    Tallies(FIRST_TEXTS).create()


def _to_midnight(table: str, dialect: str) -> str:
    """Return the SQL that puts each public date on the first midnight UTC not before it."""
    if dialect == "postgresql":
        day = "date_trunc('day', public_date AT TIME ZONE 'UTC')"
        return (
            f"UPDATE {table} SET public_date = ({day} + interval '1 day') AT TIME ZONE 'UTC'"  # noqa: S608 (names of ours alone)
            f" WHERE public_date > {day} AT TIME ZONE 'UTC'"
        )
    return (
        f"UPDATE {table} SET public_date = date(public_date, '+1 day') || ' 00:00:00.000000'"  # noqa: S608 (as above)
        " WHERE substr(public_date, 12) <> '00:00:00.000000'"
    )
