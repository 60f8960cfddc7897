"""Evidence whose referrer or bundle a client names by sha512."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


SHA256, DIGEST = _bytewise(71), _bytewise(135)


def upgrade() -> None:
    """Widen the columns for what clients name."""
    with op.batch_alter_table("evidence") as table:
        for column in ("manifest", "bundle"):
            table.alter_column(column, existing_type=SHA256, type_=DIGEST, existing_nullable=False)
