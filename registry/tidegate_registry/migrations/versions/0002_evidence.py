"""Evidence: what was verified about a manifest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


NAME, DIGEST, EVENT = _bytewise(255), _bytewise(71), _bytewise(36)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "evidence",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("subject", DIGEST, primary_key=True),
        sa.Column("signature", DIGEST, primary_key=True),
        sa.Column("manifest", DIGEST, nullable=False),
        sa.Column("bundle", DIGEST, nullable=False),
        sa.Column("payload", DIGEST, nullable=False),
        sa.Column("predicate_type", sa.String(512), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.Column("issuer", sa.String(2048), nullable=False),
        sa.Column("identity", sa.String(2048), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attestation", sa.LargeBinary, nullable=False),
        sa.Column("event_id", EVENT, nullable=False),
        sa.ForeignKeyConstraint(["repository", "manifest"], ["manifest.repository", "manifest.digest"]),
    )
    op.create_index("evidence_in_order", "evidence", ["repository", "subject", "event_id"])
