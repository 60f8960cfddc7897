"""Statements that were filed, by the referrer that attaches them: two persons may sign the same sentence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


COLUMNS = ("promotion", "payload", "manifest", "predicate_type", "person", "filer", "filed_at", "event_id")


def upgrade() -> None:
    """Make the table anew and keep what it holds."""
    op.rename_table("promotion_filing", "promotion_filing_by_payload")
    op.create_table(
        "promotion_filing",
        sa.Column("promotion", _bytewise(36), primary_key=True),
        sa.Column("payload", _bytewise(135), nullable=False),
        sa.Column("manifest", _bytewise(135), primary_key=True),
        sa.Column("predicate_type", sa.String(2048), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("filer", sa.LargeBinary, nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", _bytewise(36), nullable=False),
        sa.ForeignKeyConstraint(["promotion"], ["promotion.id"]),
    )
    old, new = (
        sa.table(name, *map(sa.column, COLUMNS)) for name in ("promotion_filing_by_payload", "promotion_filing")
    )
    op.execute(new.insert().from_select(COLUMNS, sa.select(old)))
    op.drop_table("promotion_filing_by_payload")
