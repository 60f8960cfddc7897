"""What alembic runs for each command: our tables, on the connection that `migrations.upgrade` opened."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from tidegate_registry import tables

tables.load()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
