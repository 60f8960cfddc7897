"""The index of each entry in the log, how far the log has come, and who leads which work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column and the tables. Entries that are there have no index yet: they are integrated first."""
    op.add_column("audit_event", sa.Column("idx", sa.BigInteger, nullable=True))
    op.create_index("audit_event_by_index", "audit_event", ["idx"], unique=True)
    no_index = sa.text("idx IS NULL")
    op.create_index(
        "audit_event_without_index", "audit_event", ["position"], postgresql_where=no_index, sqlite_where=no_index
    )
    op.create_table(
        "log_state",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("assigned", sa.BigInteger, nullable=False),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("halted", sa.String(64)),
    )
    op.create_table(
        "leadership",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(128), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
