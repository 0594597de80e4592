"""Lists that staff edit get ids and their first entries; letters gather and are chosen."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARTNERS = ("NOIRLab", "Chile", "Brazil", "MSU", "UNC", "OTHER")
SEMESTERS = tuple(
    (f"{year}{half}", first, last)
    for year in (2025, 2026, 2027)
    for half, first, last in (
        ("A", date(year, 2, 1), date(year, 7, 31)),
        ("B", date(year, 8, 1), date(year + 1, 1, 31)),
    )
)


def upgrade() -> None:
    """Make the change."""
    partners = _with_ids("partners", sa.Column("name", sa.String(length=80), nullable=False))
    semesters = _with_ids(
        "semesters",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("first_night", sa.Date(), nullable=False),
        sa.Column("last_night", sa.Date(), nullable=False),
    )
    connection = op.get_bind()
    known = set(connection.scalars(sa.text("SELECT DISTINCT partner FROM users")))
    known |= set(connection.scalars(sa.select(partners.c.name)))
    names = [*PARTNERS, *sorted(known - {"", *PARTNERS})]
    there = set(connection.scalars(sa.select(partners.c.name)))
    op.bulk_insert(partners, [{"name": name} for name in names if name not in there])
    there = set(connection.scalars(sa.select(semesters.c.name)))
    rows = [
        {"name": name, "first_night": first, "last_night": last}
        for name, first, last in SEMESTERS
        if name not in there
    ]
    op.bulk_insert(semesters, rows)

    # Never by making the table anew: on SQLite that deletes what refers to its rows.
    empty = sa.text("'{}'")
    op.add_column(
        "users", sa.Column("notifications", sa.JSON(), nullable=False, server_default=empty)
    )
    _move_choices(connection)
    op.add_column(
        "outgoing_mail",
        sa.Column("about", sa.String(length=120), nullable=False, server_default=""),
    )
    op.create_table(
        "mail_marks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _move_choices(connection: sa.Connection) -> None:
    """Letters were chosen in ``options["mail"]``, a list, before."""
    users = sa.table(
        "users",
        sa.column("id", sa.Integer()),
        sa.column("options", sa.JSON()),
        sa.column("notifications", sa.JSON()),
    )
    names = {"added": "added_to_proposal", "failed": "failed_job", "product": "new_product"}
    for user_id, options in connection.execute(sa.select(users.c.id, users.c.options)).all():
        chosen = (options or {}).get("mail")
        if isinstance(chosen, list):
            rest = {key: value for key, value in options.items() if key != "mail"}
            choice = {name: old in chosen for old, name in names.items()}
            change = users.update().where(users.c.id == user_id)
            connection.execute(change.values(options=rest, notifications=choice))


def downgrade() -> None:
    """Go back to the tables of before; what was chosen is forgotten."""
    op.drop_table("mail_marks")
    op.drop_column("outgoing_mail", "about")
    op.drop_column("users", "notifications")
    _without_ids("partners", sa.Column("name", sa.String(length=80), nullable=False))
    _without_ids(
        "semesters",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("first_night", sa.Date(), nullable=False),
        sa.Column("last_night", sa.Date(), nullable=False),
    )


def _with_ids(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """Make a table anew with a number as its key; return it with the rows it had."""
    key = sa.Column("id", sa.Integer(), nullable=False)
    return _made_anew(
        name, *columns, key, sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("name")
    )


def _without_ids(name: str, *columns: sa.Column[Any]) -> None:
    """Make a table anew with its name as its key."""
    _made_anew(name, *columns, sa.PrimaryKeyConstraint("name"))


def _made_anew(name: str, *columns: Any) -> sa.Table:
    named = [column for column in columns if isinstance(column, sa.Column) and column.name != "id"]
    old = sa.table(name, *(sa.column(column.name, column.type) for column in named))
    kept = [dict(row) for row in op.get_bind().execute(sa.select(old)).mappings()]
    op.drop_table(name)
    table = op.create_table(name, *columns)
    op.bulk_insert(table, kept)
    return table
