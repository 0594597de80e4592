"""The tallies as the migrations make them: the table, its first count, its triggers.

What is counted is given by each migration, not read from the models, which go on changing.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from alembic import op

from goodman_live.hub.accounts.models import UtcDateTime

_AUDIENCE = ("proposal_id", "data_type", "public_date", "owner_id")

FIRST_TEXTS = {
    "obstype": 32,
    "filter": 64,
    "filter_2": 64,
    "grating": 64,
    "wavmode": 64,
    "slit": 64,
    "roi": 80,
    "technique": 16,
    "kind": 16,
    "camera": 8,
}
"""Texts, with their lengths, that were counted by from the first."""


@dataclass(frozen=True, slots=True)
class Tallies:
    """What the table ``frame_tallies`` of one revision counts by."""

    texts: dict[str, int]
    """Columns of text, without null, and their lengths."""

    def create(self) -> None:
        """Make the table, count every frame, and have the database go on counting."""
        op.create_table(
            "frame_tallies",
            sa.Column("key", sa.Text(), nullable=False),
            sa.Column("day", sa.Date(), nullable=True),
            sa.Column("proposal_id", sa.String(length=80), nullable=False),
            sa.Column("data_type", sa.Integer(), nullable=False),
            sa.Column("public_date", UtcDateTime(timezone=True), nullable=True),
            sa.Column("owner_id", sa.Integer(), nullable=True),
            *(
                sa.Column(name, sa.String(length=length), nullable=False)
                for name, length in self.texts.items()
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
                *(*self.texts, "is_current", "n"),
            ],
        )
        dialect = op.get_bind().dialect.name
        for dated in (False, True):
            op.execute(self._count_all(dialect, dated=dated))
        for statement in self._on_postgresql() if dialect == "postgresql" else self._on_sqlite():
            op.execute(statement)

    @property
    def _counted(self) -> tuple[str, ...]:
        return (*_AUDIENCE, *self.texts, "is_current")

    def _key(self, dialect: str, row: str, *, dated: bool) -> str:
        """Return the SQL of the key; texts hold no control characters: the joint is safe."""
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
            *(f"{dot}{name}" for name in self.texts),
            f"CAST({dot}is_current AS TEXT)",
        ]
        return f" || {joint} || ".join(parts)

    def _count_all(self, dialect: str, *, dated: bool) -> str:
        key, day = self._key(dialect, "", dated=dated), "date" if dated else "NULL"
        columns = ", ".join(self._counted)
        where = "WHERE date IS NOT NULL" if dated else ""
        grouped = f"{columns}, date" if dated else columns
        day = day if dated or dialect == "sqlite" else "CAST(NULL AS date)"
        return (
            f"INSERT INTO frame_tallies (key, day, {columns}, n)"  # noqa: S608 (names of ours alone)
            f" SELECT {key}, {day}, {columns}, count(*) FROM frames {where} GROUP BY {grouped}"
        )

    def _add(self, dialect: str) -> str:
        columns = ", ".join(self._counted)
        values = ", ".join(f"NEW.{name}" for name in self._counted)
        return "".join(
            f"INSERT INTO frame_tallies (key, day, {columns}, n)"
            f" SELECT {self._key(dialect, 'NEW', dated=dated)}, {'NEW.date' if dated else 'NULL'},"
            f" {values}, 1 WHERE {'NEW.date IS NOT NULL' if dated else 'true'}"
            " ON CONFLICT (key) DO UPDATE SET n = frame_tallies.n + 1;\n"
            for dated in (False, True)
        )

    def _take(self, dialect: str) -> str:
        keys = ", ".join(self._key(dialect, "OLD", dated=dated) for dated in (False, True))
        return (
            f"UPDATE frame_tallies SET n = n - 1 WHERE key IN ({keys});\n"  # noqa: S608 (as above)
            f"DELETE FROM frame_tallies WHERE key IN ({keys}) AND n <= 0;\n"
        )

    def _differs(self, dialect: str) -> str:
        old, new = (self._key(dialect, row, dated=False) for row in ("OLD", "NEW"))
        unlike = "IS DISTINCT FROM" if dialect == "postgresql" else "IS NOT"
        return f"({old}) <> ({new}) OR OLD.date {unlike} NEW.date"

    def _on_sqlite(self) -> list[str]:
        columns = ", ".join((*self._counted, "date"))
        add, take = self._add("sqlite"), self._take("sqlite")
        return [
            f"CREATE TRIGGER frames_tally_insert AFTER INSERT ON frames BEGIN\n{add}END",
            f"CREATE TRIGGER frames_tally_delete AFTER DELETE ON frames BEGIN\n{take}END",
            (
                f"CREATE TRIGGER frames_tally_update AFTER UPDATE OF {columns} ON frames"
                f" WHEN {self._differs('sqlite')} BEGIN\n{take}{add}END"
            ),
        ]

    def _on_postgresql(self) -> list[str]:
        same = f"NOT ({self._differs('postgresql')})"
        body = (
            f"IF TG_OP = 'UPDATE' THEN\nIF {same} THEN RETURN NULL; END IF;\nEND IF;\n"
            f"IF TG_OP <> 'INSERT' THEN\n{self._take('postgresql')}END IF;\n"
            f"IF TG_OP <> 'DELETE' THEN\n{self._add('postgresql')}END IF;\n"
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


def drop() -> None:
    """Remove the table and its triggers; counts are made from the rows again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER frames_tally ON frames")
        op.execute("DROP FUNCTION goodman_tally()")
    else:
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER frames_tally_{event}")
    op.drop_table("frame_tallies")
