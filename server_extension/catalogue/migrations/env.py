"""How alembic runs our chain: on the connection that `migrate` hands over."""

from __future__ import annotations

from alembic import context

from goodman_live.server_extension.catalogue.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    user_module_prefix="accounts.",
)
with context.begin_transaction():
    context.run_migrations()
