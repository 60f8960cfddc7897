"""Edges are looked up by what they name first: of one agent, or of a whole namespace."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Turn the index around."""
    op.drop_index("manifest_edge_by_child", "manifest_edge")
    op.create_index("manifest_edge_by_child", "manifest_edge", ["child", "repository"])
