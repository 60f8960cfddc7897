"""The search index of the log: made by the worker from the entries, so it may begin empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the tables."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE log_search USING "
            "fts5(terms, content='', detail='none', columnsize=0, tokenize='ascii')"
        )
    else:
        op.execute("CREATE TABLE log_search (idx BIGINT PRIMARY KEY, terms TSVECTOR NOT NULL)")
        op.execute(
            "CREATE INDEX log_search_by_terms ON log_search USING gin (terms) WITH (gin_pending_list_limit = 512)"
        )
    op.create_table(
        "log_indexed",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "log_times",
        sa.Column("block", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("earliest", sa.BigInteger, nullable=False),
        sa.Column("latest", sa.BigInteger, nullable=False),
    )
