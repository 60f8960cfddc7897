"""Which releases cannot be pulled, or not be verified, without something that is missing or altered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate_registry.artifacts.tables import ManifestEdgeRow, ManifestRow, ReleaseRow, RepositoryRow
from tidegate_registry.keeping.fsck.findings import Finding

if TYPE_CHECKING:
    from tidegate_registry.db import Tx


def broken_releases(tx: Tx, finding: Finding) -> tuple[str, ...]:
    """Give the releases that reach `finding.digest`, or whose evidence does, as `agent:version`."""
    if not finding.digest:
        return ()
    agents = [finding.where] if "/" in finding.where else agents_of(tx, finding.where)
    found = {name for agent in agents for name in _in_agent(tx, agent, finding.digest)}
    return tuple(sorted(found | set(finding.breaks)))


def agents_of(tx: Tx, namespace: str) -> list[str]:
    """Give the agents of a namespace."""
    return list(tx.exec(select(RepositoryRow.name).where(*in_namespace(RepositoryRow.name, namespace))).all())


def in_namespace(column: str, namespace: str) -> tuple[bool, bool]:
    """Give the conditions under which `column`, an agent's name, is in `namespace`: an index finds them."""
    return column > f"{namespace}/", column < f"{namespace}0"  # "0" follows "/"


def _in_agent(tx: Tx, agent: str, digest: str) -> set[str]:
    seen: set[str] = set()
    frontier = {digest}
    while frontier:
        seen |= frontier
        parents = select(ManifestEdgeRow.parent).where(
            ManifestEdgeRow.repository == agent, col(ManifestEdgeRow.child).in_(frontier)
        )
        subjects = select(ManifestRow.subject).where(
            ManifestRow.repository == agent, col(ManifestRow.digest).in_(frontier)
        )
        frontier = ({*tx.exec(parents).all()} | {each for each in tx.exec(subjects).all() if each}) - seen
    versions = select(ReleaseRow.version).where(ReleaseRow.repository == agent, col(ReleaseRow.digest).in_(seen))
    return {f"{agent}:{version}" for version in tx.exec(versions).all()}
