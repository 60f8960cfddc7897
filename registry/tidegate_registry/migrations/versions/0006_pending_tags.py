"""Version tags that wait for their signatures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pending_tag",
        sa.Column("repository", _bytewise(255), primary_key=True),
        sa.Column("version", _bytewise(128), primary_key=True),
        sa.Column("owner", _bytewise(71), primary_key=True),
        sa.Column("digest", _bytewise(135), nullable=False),
        sa.Column("publisher", sa.LargeBinary, nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("tagged_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        sa.ForeignKeyConstraint(["repository", "digest"], ["manifest.repository", "manifest.digest"]),
        sa.Index("pending_tag_by_digest", "repository", "digest"),
    )
