"""Indexes of what is there alone, and of what is looked for again and again.

Statistics of SQLite on a catalogue of raw frames alone say of an index of all originals that one
value, null, has every row. An index of those that there are is used whatever they say, or where
there are none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = ("original_id", "parent_id", "job_id")
UNFINISHED = "(provisional OR state IN ('waiting', 'failed'))"


def upgrade() -> None:
    """Make the change."""
    for name in COLUMNS:
        op.drop_index(f"ix_frames_{name}", "frames")
        _index(f"ix_frames_{name}", "frames", [name], f"{name} IS NOT NULL")
    setup = ["kind", "data_type", "camera", "xbin", "ybin", "is_current"]
    _index("ix_frames_unfinished", "frames", setup, UNFINISHED)
    _index("ix_jobs_asked", "jobs", ["proposal_id", "block"], "user_id IS NOT NULL")


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_jobs_asked", "jobs")
    op.drop_index("ix_frames_unfinished", "frames")
    for name in COLUMNS:
        op.drop_index(f"ix_frames_{name}", "frames")
        op.create_index(f"ix_frames_{name}", "frames", [name])


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    only = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)
