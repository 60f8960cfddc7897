"""Whether a manifest was withdrawn: for the rooms that serve manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from tidegate.digest import Digest
from tidegate_registry.promotion.tables import RevocationRow

if TYPE_CHECKING:
    from tidegate_registry.db import Tx


def why_revoked(tx: Tx, repository: str, digest: str) -> str | None:
    """Say why the manifest was revoked; None if it was not."""
    row = tx.get(RevocationRow, (repository, digest))
    return None if row is None else row.reason


def revocations_of(tx: Tx, repository: str) -> dict[Digest, str]:
    """Give every manifest of a repository that was revoked, and why."""
    query = select(RevocationRow.digest, RevocationRow.reason).where(RevocationRow.repository == repository)
    return {Digest(digest): reason for digest, reason in tx.exec(query)}
