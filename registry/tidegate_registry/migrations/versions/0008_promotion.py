"""Promotion requests, channels and their history, decisions, holds, revocations, broken glass."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


MOMENT = sa.DateTime(timezone=True)
NAME, TAG, DIGEST, SHA256, ID, WORD = map(_bytewise, (255, 128, 135, 71, 36, 32))
RELEASE = (["repository", "version"], ["release.repository", "release.version"])


def upgrade() -> None:
    """Make the tables. No release was promoted before, so all of them begin empty."""
    op.create_table(
        "channel",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("name", TAG, primary_key=True),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("version", TAG, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("promotion", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.ForeignKeyConstraint(*RELEASE),
    )
    op.create_table(
        "tenure",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("channel", TAG, primary_key=True),
        sa.Column("counter", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("version", TAG, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("how", WORD, nullable=False),
        sa.Column("ended_how", WORD),
        sa.Column("promotion", ID, nullable=False),
        sa.Index("tenure_by_digest", "repository", "digest"),
    )
    _requests()
    _what_holds_up()


def _requests() -> None:
    op.create_table(
        "promotion",
        sa.Column("id", ID, primary_key=True),
        sa.Column("repository", NAME, nullable=False),
        sa.Column("channel", TAG, nullable=False),
        sa.Column("source", TAG),
        sa.Column("version", TAG, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("rule_digest", SHA256),
        sa.Column("requester", sa.LargeBinary, nullable=False),
        sa.Column("owner", SHA256, nullable=False),
        sa.Column("request_key", SHA256, unique=True),
        sa.Column("reason", sa.String(4000)),
        sa.Column("outcome", sa.String(4000)),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("decision", ID),
        sa.ForeignKeyConstraint(*RELEASE),
        sa.UniqueConstraint("repository", "channel", "sequence"),
        sa.Index("promotion_by_digest", "repository", "digest"),
        sa.Index("promotion_by_state", "state", "id"),
    )
    op.create_table(
        "promotion_filing",
        sa.Column("promotion", ID, primary_key=True),
        sa.Column("payload", DIGEST, primary_key=True),
        sa.Column("manifest", DIGEST, nullable=False),
        sa.Column("predicate_type", sa.String(2048), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("filer", sa.LargeBinary, nullable=False),
        sa.Column("filed_at", MOMENT, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["promotion"], ["promotion.id"]),
    )
    op.create_table(
        "caller_claims",
        sa.Column("owner", SHA256, primary_key=True),
        sa.Column("caller", sa.LargeBinary, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
    )
    op.create_table(
        "decision",
        sa.Column("id", ID, primary_key=True),
        sa.Column("promotion", ID),
        sa.Column("repository", NAME, nullable=False),
        sa.Column("channel", TAG, nullable=False),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.Column("digest", SHA256, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("findings", sa.LargeBinary, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Index("decision_by_promotion", "promotion", "id"),
        sa.Index("decision_by_channel", "repository", "channel", "id"),
    )


def _what_holds_up() -> None:
    op.create_table(
        "channel_hold",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("channel", TAG, primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("version", TAG, nullable=False),
        sa.Column("reason", sa.String(4000), nullable=False),
        sa.Column("actor", sa.String(1200), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("promotion", ID, nullable=False),
    )
    op.create_table(
        "revocation",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("version", TAG, nullable=False),
        sa.Column("reason", sa.String(4000), nullable=False),
        sa.Column("actor", sa.String(1200), nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=False),
        sa.Column("event_id", ID, nullable=False, unique=True),
    )
    op.create_table(
        "broken_glass",
        sa.Column("id", ID, primary_key=True),
        sa.Column("repository", NAME, nullable=False),
        sa.Column("channel", TAG, nullable=False),
        sa.Column("version", TAG, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("reason", sa.String(4000), nullable=False),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("user", sa.LargeBinary, nullable=False),
        sa.Column("used_at", MOMENT, nullable=False),
        sa.Column("review_by", MOMENT, nullable=False),
        sa.Column("reviewed_at", MOMENT),
        sa.Column("reviewer", sa.LargeBinary),
        sa.Column("finding", WORD),
        sa.Column("review", sa.String(4000)),
        sa.Column("event_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["id"], ["promotion.id"]),
        sa.Index("broken_glass_open", "repository", "reviewed_at"),
    )
