"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _bytewise(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


NAME, DIGEST, TAG, SORT_KEY = _bytewise(255), _bytewise(135), _bytewise(128), _bytewise(257)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make all tables."""
    _audit()
    _blobs()
    _manifests()
    _names()


def _audit() -> None:
    op.create_table(
        "audit_event",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("type", sa.String(64), nullable=False, index=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(600), nullable=False),
        sa.Column("subject", sa.String(300), index=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _blobs() -> None:
    op.create_table(
        "repository",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "blob",
        sa.Column("namespace", NAME, primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "blob_link",
        sa.Column("repository", NAME, sa.ForeignKey("repository.name"), primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("namespace", NAME, nullable=False),
        sa.ForeignKeyConstraint(["namespace", "digest"], ["blob.namespace", "blob.digest"]),
    )
    op.create_index("blob_link_by_digest", "blob_link", ["namespace", "digest"])
    op.create_table(
        "upload",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("repository", NAME, nullable=False),
        sa.Column("owner", sa.String(1200), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("continued_at", MOMENT, nullable=False, index=True),
        sa.Column("busy_until", MOMENT),
    )


def _manifests() -> None:
    op.create_table(
        "manifest",
        sa.Column("repository", NAME, sa.ForeignKey("repository.name"), primary_key=True),
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("media_type", sa.String(255), nullable=False),
        sa.Column("artifact_type", sa.String(255)),
        sa.Column("subject", DIGEST),
        sa.Column("descriptor", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index("manifest_by_subject", "manifest", ["repository", "subject", "digest"])
    op.create_table(
        "manifest_edge",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("parent", DIGEST, primary_key=True),
        sa.Column("child", DIGEST, primary_key=True),
        _to_manifest("parent"),
    )
    op.create_index("manifest_edge_by_child", "manifest_edge", ["repository", "child"])


def _names() -> None:
    op.create_table(
        "release",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("version", TAG, primary_key=True),
        sa.Column("sort_key", SORT_KEY, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("admitted_at", MOMENT, nullable=False),
        sa.UniqueConstraint("repository", "number"),
        _to_manifest("digest"),
    )
    op.create_index("release_in_order", "release", ["repository", "sort_key"])
    op.create_table(
        "working_tag",
        sa.Column("repository", NAME, primary_key=True),
        sa.Column("tag", TAG, primary_key=True),
        sa.Column("sort_key", SORT_KEY, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        _to_manifest("digest"),
    )
    op.create_index("working_tag_in_order", "working_tag", ["repository", "sort_key"])


def _to_manifest(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["repository", column], ["manifest.repository", "manifest.digest"])
