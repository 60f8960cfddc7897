"""What entries name by digest, until it is beside the log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table. Entries from before named nothing that is kept beside the log."""
    op.create_table(
        "log_object",
        sa.Column("entry", sa.String(36), primary_key=True),
        sa.Column("digest", sa.String(135), primary_key=True, index=True),
        sa.Column("body", sa.LargeBinary),
        sa.Column("namespace", sa.String(255)),
        sa.Column("stored_at", sa.DateTime(timezone=True)),
        sa.Column("missing_at", sa.DateTime(timezone=True)),
    )
    pending = sa.text("stored_at IS NULL")
    op.create_index(
        "log_object_pending", "log_object", ["entry", "digest"], sqlite_where=pending, postgresql_where=pending
    )
