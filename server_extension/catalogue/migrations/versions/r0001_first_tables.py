"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from goodman_live.hub.accounts import models as accounts

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 (a statement for each table)
    """Make the change."""
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("proposal_id", sa.String(length=80), nullable=False),
        sa.Column("data_type", sa.Integer(), nullable=False),
        sa.Column("public_date", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "frames",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_modified", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("directory_name", sa.String(length=1000), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(length=64), nullable=True),
        sa.Column("original_id", sa.Integer(), nullable=True),
        sa.Column("original_name", sa.String(length=255), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("parent_name", sa.String(length=255), nullable=False),
        sa.Column("camera", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("technique", sa.String(length=16), nullable=False),
        sa.Column("obstype", sa.String(length=32), nullable=False),
        sa.Column("object", sa.String(length=255), nullable=False),
        sa.Column("filter", sa.String(length=64), nullable=False),
        sa.Column("filter_2", sa.String(length=64), nullable=False),
        sa.Column("grating", sa.String(length=64), nullable=False),
        sa.Column("lines_mm", sa.Integer(), nullable=False),
        sa.Column("wavmode", sa.String(length=64), nullable=False),
        sa.Column("slit", sa.String(length=64), nullable=False),
        sa.Column("slit_arcsec", sa.Double(), nullable=True),
        sa.Column("roi", sa.String(length=80), nullable=False),
        sa.Column("xbin", sa.Integer(), nullable=False),
        sa.Column("ybin", sa.Integer(), nullable=False),
        sa.Column("x0", sa.Integer(), nullable=False),
        sa.Column("y0", sa.Integer(), nullable=False),
        sa.Column("nx", sa.Integer(), nullable=False),
        sa.Column("ny", sa.Integer(), nullable=False),
        sa.Column("gain", sa.Double(), nullable=False),
        sa.Column("rdnoise", sa.Double(), nullable=False),
        sa.Column("saturation_value", sa.Double(), nullable=True),
        sa.Column("cam_ang", sa.Double(), nullable=True),
        sa.Column("grt_ang", sa.Double(), nullable=True),
        sa.Column("cam_targ", sa.Double(), nullable=True),
        sa.Column("grt_targ", sa.Double(), nullable=True),
        sa.Column("lamps", sa.String(length=32), nullable=False),
        sa.Column("exptime_s", sa.Double(), nullable=False),
        sa.Column("start", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("mid", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("night", sa.String(length=8), nullable=False),
        sa.Column("ra_deg", sa.Double(), nullable=True),
        sa.Column("dec_deg", sa.Double(), nullable=True),
        sa.Column("obsra", sa.String(length=32), nullable=False),
        sa.Column("obsdec", sa.String(length=32), nullable=False),
        sa.Column("airmass", sa.Double(), nullable=True),
        sa.Column("posangle", sa.Double(), nullable=True),
        sa.Column("rotator", sa.Double(), nullable=True),
        sa.Column("observation_id", sa.BigInteger(), nullable=True),
        sa.Column("configuration_id", sa.BigInteger(), nullable=True),
        sa.Column("block_id", sa.BigInteger(), nullable=True),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.Column("normalized", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("block", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("timing", sa.JSON(), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("proposal_id", sa.String(length=80), nullable=False),
        sa.Column("data_type", sa.Integer(), nullable=False),
        sa.Column("public_date", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_frames_job", ondelete="SET NULL", use_alter=True
        ),
        sa.ForeignKeyConstraint(["original_id"], ["frames.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["parent_id"], ["frames.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("frames", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_frames_checksum"), ["checksum"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_date"), ["date"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_file_name"), ["file_name"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_job_id"), ["job_id"], unique=False)
        batch_op.create_index("ix_frames_list", ["proposal_id", "id"], unique=False)
        batch_op.create_index("ix_frames_night", ["night", "kind", "data_type"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_object"), ["object"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_original_id"), ["original_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_frames_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index("ix_frames_path", ["directory_name", "file_name"], unique=False)
        batch_op.create_index("ix_frames_type", ["data_type", "proposal_id", "id"], unique=False)

    op.create_table(
        "log_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("proposal_id", sa.String(length=80), nullable=False),
        sa.Column("data_type", sa.Integer(), nullable=False),
        sa.Column("public_date", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("log_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_log_entries_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_log_entries_frame_id"), ["frame_id"], unique=False)

    op.create_table(
        "partners",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "semesters",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("first_night", sa.Date(), nullable=False),
        sa.Column("last_night", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("locked_until", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("first_name", sa.String(length=150), nullable=False),
        sa.Column("last_name", sa.String(length=150), nullable=False),
        sa.Column("partner", sa.String(length=80), nullable=False),
        sa.Column("is_staff", sa.Boolean(), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("password_changed", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("date_joined", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_login", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("username"),
    )
    op.create_table(
        "arrivals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(length=1500), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=True),
        sa.Column("first_seen", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_seen", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
    )
    with op.batch_alter_table("arrivals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_arrivals_frame_id"), ["frame_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_arrivals_state"), ["state"], unique=False)

    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("author", sa.String(length=150), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_modified", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comments_frame_id"), ["frame_id"], unique=False)

    op.create_table(
        "header_repairs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("keyword", sa.String(length=80), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("used", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("header_repairs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_header_repairs_frame_id"), ["frame_id"], unique=False)

    op.create_table(
        "headers",
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("frame_id"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("block", sa.String(length=40), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=True),
        sa.Column("original_id", sa.Integer(), nullable=True),
        sa.Column("group_key", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("started", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("finished", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("out_dir", sa.String(length=1000), nullable=False),
        sa.Column("stem", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=False),
        sa.Column("code_version", sa.String(length=40), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("proposal_id", sa.String(length=80), nullable=False),
        sa.Column("data_type", sa.Integer(), nullable=False),
        sa.Column("public_date", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["original_id"], ["frames.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_frame_id"), ["frame_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_group_key"), ["group_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_key"), ["key"], unique=False)
        batch_op.create_index("ix_jobs_names", ["out_dir", "stem", "block"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_original_id"), ["original_id"], unique=False)
        batch_op.create_index("ix_jobs_queue", ["state", "priority", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_user_id"), ["user_id"], unique=False)
        batch_op.create_index(
            "uq_jobs_live_key",
            ["key"],
            unique=True,
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )

    op.create_table(
        "latency",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("at", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("frame_id", "stage"),
    )
    op.create_table(
        "one_time_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("created", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    with op.batch_alter_table("one_time_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_links_user_id"), ["user_id"], unique=False)

    op.create_table(
        "product_inputs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.Integer(), nullable=False),
        sa.Column("input_id", sa.Integer(), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("checksum", sa.String(length=64), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["input_id"], ["frames.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("product_inputs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_inputs_frame_id"), ["frame_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_inputs_input_id"), ["input_id"], unique=False)

    op.create_table(
        "proposals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("soar_id", sa.String(length=80), nullable=False),
        sa.Column("semester", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("abstract", sa.String(), nullable=False),
        sa.Column("pi_id", sa.Integer(), nullable=True),
        sa.Column("public_date", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pi_id"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("soar_id"),
    )
    op.create_table(
        "job_logs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("at", accounts.UtcDateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("job_logs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_logs_job_id"), ["job_id"], unique=False)

    op.create_table(
        "proposal_collaborators",
        sa.Column("proposal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("proposal_id", "user_id"),
    )
    with op.batch_alter_table("proposal_collaborators", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_proposal_collaborators_user_id"), ["user_id"], unique=False
        )
    if op.get_bind().dialect.name != "sqlite":
        # Frames and jobs point at each other; SQLite cannot add the second half afterwards.
        op.create_foreign_key(
            "fk_frames_job", "frames", "jobs", ["job_id"], ["id"], ondelete="SET NULL"
        )
