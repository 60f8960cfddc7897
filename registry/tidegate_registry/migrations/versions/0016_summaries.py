"""Which decisions have their summary, and how far the log was looked through for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tidegate_registry.columns import bytewise_text

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the tables. Decisions from before have no record beside the log, and get no summary."""
    op.create_table(
        "summary",
        sa.Column("entry", sa.String(36), primary_key=True),
        sa.Column("repository", bytewise_text(255), nullable=False),
        sa.Column("subject", bytewise_text(135), nullable=False),
        sa.Column("manifest", bytewise_text(135)),
        sa.Column("problem", sa.String(64)),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "summary_cursor",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("next", sa.BigInteger, nullable=False),
    )
