"""Uploads wait in the store: what is where, and what a client announced to send there itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table anew: the bytes of uploads under way were in a folder that is not looked at any more."""
    op.drop_table("upload")
    op.create_table(
        "upload",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("repository", _bytewise(255), nullable=False),
        sa.Column("owner", sa.String(1200), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("continued_at", MOMENT, nullable=False, index=True),
        sa.Column("busy_until", MOMENT),
        sa.Column("digest", _bytewise(135)),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("multipart", sa.String(1024)),
        sa.Column("part_bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "upload_part",
        sa.Column("upload", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sha256", _bytewise(135), nullable=False),
    )
