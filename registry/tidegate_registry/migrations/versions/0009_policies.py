"""Policies: versions, proposals and who agreed to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables. None is in force until an operator installs one."""
    op.create_table(
        "policy_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("event_id", _bytewise(36), nullable=False),
    )
    op.create_table(
        "policy_version",
        sa.Column("name", _bytewise(255), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("digest", _bytewise(71), nullable=False),
        sa.Column("author", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("proposal", _bytewise(36)),
        sa.Column("reverts", sa.Integer),
        sa.Column("event_id", _bytewise(36), nullable=False),
        sa.Column("applied_at", MOMENT, nullable=False),
    )
    op.create_table(
        "policy_proposal",
        sa.Column("id", _bytewise(36), primary_key=True),
        sa.Column("name", _bytewise(255), nullable=False),
        sa.Column("base", sa.Integer, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("digest", _bytewise(71), nullable=False),
        sa.Column("author", sa.LargeBinary, nullable=False),
        sa.Column("person", _bytewise(255)),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("reverts", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("applied", sa.Integer),
        sa.Column("event_id", _bytewise(36), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.Index("policy_proposal_by_name", "name", "id"),
    )
    op.create_table(
        "policy_approval",
        sa.Column("proposal", _bytewise(36), sa.ForeignKey("policy_proposal.id"), primary_key=True),
        sa.Column("key", _bytewise(71), primary_key=True),
        sa.Column("approver", sa.LargeBinary, nullable=False),
        sa.Column("event_id", _bytewise(36), nullable=False),
        sa.Column("approved_at", MOMENT, nullable=False),
    )
