"""An index for each order of a list that had none: every column of the search can be sorted."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_frames_proposal": ["proposal_id", "id"],
    "ix_frames_grade_id": ["grade", "id"],
    "ix_frames_technique": ["technique", "id"],
    "ix_frames_state": ["state", "id"],
    "ix_frames_ra": ["ra_deg", "id"],
    "ix_frames_dec": ["dec_deg", "id"],
    "ix_frames_camera": ["camera", "id"],
    "ix_frames_binning": ["xbin", "ybin", "id"],
    "ix_frames_version": ["version", "id"],
}


def upgrade() -> None:
    """Make the change."""
    for name, columns in INDEXES.items():
        op.create_index(name, "frames", columns)


def downgrade() -> None:
    """Go back."""
    for name in INDEXES:
        op.drop_index(name, "frames")
