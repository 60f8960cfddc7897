"""Whom the registry trusts, as its log was last told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table; the first start tells the log."""
    op.create_table(
        "trust_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("description", sa.LargeBinary, nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
    )
