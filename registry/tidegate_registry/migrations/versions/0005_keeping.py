"""Claims on blobs, and the row under which a namespace's bytes are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables. Blobs from before have no claim: the grace period counts from when they came."""
    op.create_table(
        "blob_claim",
        sa.Column("namespace", _bytewise(255), primary_key=True),
        sa.Column("digest", _bytewise(135), primary_key=True),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("deleting_at", MOMENT, index=True),
    )
    op.create_table("namespace", sa.Column("name", _bytewise(255), primary_key=True))
