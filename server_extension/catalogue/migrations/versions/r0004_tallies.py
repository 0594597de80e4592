"""Counts that the database keeps itself, and the indexes of every order of a list."""

from __future__ import annotations

from alembic import op

from goodman_live.server_extension.catalogue.migrations import tally_tables
from goodman_live.server_extension.catalogue.migrations.tally_tables import FIRST_TEXTS, Tallies

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_frames_list": [
        *("proposal_id", "data_type", "obstype", "id", "owner_id", "public_date", "start"),
    ],
    "ix_frames_type": ["data_type", "id", "proposal_id", "owner_id"],
    "ix_frames_obstype": ["data_type", "obstype", "id"],
    "ix_frames_public": ["public_date", "id"],
    "ix_frames_start": ["start", "id"],
    "ix_frames_type_start": ["data_type", "obstype", "start", "id"],
    "ix_frames_created": ["created", "id"],
    "ix_frames_last_modified": ["last_modified", "id"],
    "ix_frames_exptime": ["exptime_s", "id"],
    "ix_frames_airmass": ["airmass", "id"],
    "ix_frames_name": ["file_name", "id"],
    "ix_frames_object_name": ["object", "id"],
    "ix_frames_obstype_id": ["obstype", "id"],
    "ix_frames_date_id": ["date", "id"],
}
REPLACED = {
    "ix_frames_list": ["proposal_id", "id"],
    "ix_frames_type": ["data_type", "proposal_id", "id"],
    "ix_frames_file_name": ["file_name"],
    "ix_frames_object": ["object"],
    "ix_frames_date": ["date"],
}


def upgrade() -> None:
    """Make the change."""
    for name in REPLACED:
        op.drop_index(name, "frames")
    for name, columns in INDEXES.items():
        op.create_index(name, "frames", columns)
    Tallies(FIRST_TEXTS).create()


def downgrade() -> None:
    """Go back; counts are made from the rows again."""
    tally_tables.drop()
    for name in INDEXES:
        op.drop_index(name, "frames")
    for name, columns in REPLACED.items():
        op.create_index(name, "frames", columns)
