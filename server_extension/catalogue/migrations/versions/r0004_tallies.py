"""Counts that the database keeps itself, and the indexes of every order of a list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from goodman_live.hub.accounts import models as accounts

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXTS = (
    *("obstype", "filter", "filter_2", "grating", "wavmode", "slit", "roi", "technique"),
    *("kind", "camera"),
)
LENGTHS = (32, 64, 64, 64, 64, 64, 80, 16, 16, 8)
COUNTED = ("proposal_id", "data_type", "public_date", "owner_id", *TEXTS, "is_current")

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
    op.create_table(
        "frame_tallies",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("proposal_id", sa.String(length=80), nullable=False),
        sa.Column("data_type", sa.Integer(), nullable=False),
        sa.Column("public_date", accounts.UtcDateTime(timezone=True), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        *(
            sa.Column(name, sa.String(length=length), nullable=False)
            for name, length in zip(TEXTS, LENGTHS, strict=True)
        ),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(
        "ix_frame_tallies_all",
        "frame_tallies",
        [
            *("day", "proposal_id", "data_type", "owner_id", "public_date"),
            *(*TEXTS, "is_current", "n"),
        ],
    )
    for name in REPLACED:
        op.drop_index(name, "frames")
    for name, columns in INDEXES.items():
        op.create_index(name, "frames", columns)
    dialect = op.get_bind().dialect.name
    for dated in (False, True):
        op.execute(_count_all(dialect, dated=dated))
    for statement in _on_postgresql() if dialect == "postgresql" else _on_sqlite():
        op.execute(statement)


def downgrade() -> None:
    """Go back; counts are made from the rows again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER frames_tally ON frames")
        op.execute("DROP FUNCTION goodman_tally()")
    else:
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER frames_tally_{event}")
    for name in INDEXES:
        op.drop_index(name, "frames")
    for name, columns in REPLACED.items():
        op.create_index(name, "frames", columns)
    op.drop_table("frame_tallies")


def _key(dialect: str, row: str, *, dated: bool) -> str:
    """Return the SQL of the key; header texts hold no control characters, so the joint is safe."""
    dot = f"{row}." if row else ""
    joint = "chr(31)" if dialect == "postgresql" else "char(31)"
    moment = f"{dot}public_date"
    if dialect == "postgresql":  # as text it would depend on the session's time zone
        moment = f"extract(epoch from {moment})"
    parts = [
        f"CAST({dot}date AS TEXT)" if dated else "''",
        f"{dot}proposal_id",
        f"CAST({dot}data_type AS TEXT)",
        f"coalesce(CAST({moment} AS TEXT), '')",
        f"coalesce(CAST({dot}owner_id AS TEXT), '')",
        *(f"{dot}{name}" for name in TEXTS),
        f"CAST({dot}is_current AS TEXT)",
    ]
    return f" || {joint} || ".join(parts)


def _count_all(dialect: str, *, dated: bool) -> str:
    key, day = _key(dialect, "", dated=dated), "date" if dated else "NULL"
    columns = ", ".join(COUNTED)
    where = "WHERE date IS NOT NULL" if dated else ""
    grouped = f"{columns}, date" if dated else columns
    day = day if dated or dialect == "sqlite" else "CAST(NULL AS date)"
    return (
        f"INSERT INTO frame_tallies (key, day, {columns}, n)"  # noqa: S608 (names of ours alone)
        f" SELECT {key}, {day}, {columns}, count(*) FROM frames {where} GROUP BY {grouped}"
    )


def _add(dialect: str) -> str:
    columns = ", ".join(COUNTED)
    values = ", ".join(f"NEW.{name}" for name in COUNTED)
    return "".join(
        f"INSERT INTO frame_tallies (key, day, {columns}, n)"
        f" SELECT {_key(dialect, 'NEW', dated=dated)}, {'NEW.date' if dated else 'NULL'},"
        f" {values}, 1 WHERE {'NEW.date IS NOT NULL' if dated else 'true'}"
        " ON CONFLICT (key) DO UPDATE SET n = frame_tallies.n + 1;\n"
        for dated in (False, True)
    )


def _take(dialect: str) -> str:
    keys = ", ".join(_key(dialect, "OLD", dated=dated) for dated in (False, True))
    return (
        f"UPDATE frame_tallies SET n = n - 1 WHERE key IN ({keys});\n"  # noqa: S608 (as above)
        f"DELETE FROM frame_tallies WHERE key IN ({keys}) AND n <= 0;\n"
    )


def _differs(dialect: str) -> str:
    old, new = (_key(dialect, row, dated=False) for row in ("OLD", "NEW"))
    unlike = "IS DISTINCT FROM" if dialect == "postgresql" else "IS NOT"
    return f"({old}) <> ({new}) OR OLD.date {unlike} NEW.date"


def _on_sqlite() -> list[str]:
    columns = ", ".join((*COUNTED, "date"))
    add, take = _add("sqlite"), _take("sqlite")
    return [
        f"CREATE TRIGGER frames_tally_insert AFTER INSERT ON frames BEGIN\n{add}END",
        f"CREATE TRIGGER frames_tally_delete AFTER DELETE ON frames BEGIN\n{take}END",
        (
            f"CREATE TRIGGER frames_tally_update AFTER UPDATE OF {columns} ON frames"
            f" WHEN {_differs('sqlite')} BEGIN\n{take}{add}END"
        ),
    ]


def _on_postgresql() -> list[str]:
    body = (
        f"IF TG_OP = 'UPDATE' THEN\nIF NOT ({_differs('postgresql')}) THEN RETURN NULL; END IF;\n"
        "END IF;\n"
        f"IF TG_OP <> 'INSERT' THEN\n{_take('postgresql')}END IF;\n"
        f"IF TG_OP <> 'DELETE' THEN\n{_add('postgresql')}END IF;\n"
    )
    return [
        (
            "CREATE FUNCTION goodman_tally() RETURNS trigger LANGUAGE plpgsql AS $$\n"
            f"BEGIN\n{body}RETURN NULL;\nEND $$"
        ),
        (
            "CREATE TRIGGER frames_tally AFTER INSERT OR UPDATE OR DELETE ON frames"
            " FOR EACH ROW EXECUTE FUNCTION goodman_tally()"
        ),
    ]
