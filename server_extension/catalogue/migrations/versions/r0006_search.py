"""What a search for text reads is one narrow index; an index for each further order of a list."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_frames_text": [
        *("id", "object", "file_name", "proposal_id", "data_type", "owner_id", "public_date"),
        *("is_current", "grade"),
    ],
    "ix_frames_grade": ["grade", "proposal_id", "data_type", "owner_id", "public_date", "id"],
    "ix_frames_filter": ["filter", "id"],
    "ix_frames_filter_2": ["filter_2", "id"],
    "ix_frames_grating": ["grating", "id"],
    "ix_frames_wavmode": ["wavmode", "id"],
    "ix_frames_slit": ["slit", "id"],
    "ix_frames_roi": ["roi", "id"],
}


def upgrade() -> None:
    """Make the change."""
    for name, columns in INDEXES.items():
        op.create_index(name, "frames", columns)


def downgrade() -> None:
    """Go back."""
    for name in INDEXES:
        op.drop_index(name, "frames")
