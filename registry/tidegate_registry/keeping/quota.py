"""How much a namespace keeps, and may keep.

A namespace is charged for every blob that was pushed to it, once, and for its manifests, when a manifest is written:
under the lock of the namespace's row, so that two pushes at once cannot both take what is left. Nothing is counted
ahead, so nothing is counted wrong: each charge adds up the rows of the namespace, and only where there is a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy
from sqlmodel import col, func, select

from tidegate.errors import LimitExceeded, NotFound
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import BlobRow, ManifestEdgeRow, ManifestRow
from tidegate_registry.db import insert_once
from tidegate_registry.keeping.fsck.breaks import agents_of, in_namespace
from tidegate_registry.keeping.tables import NamespaceRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services
    from tidegate_registry.settings import Keeping

MOST_NAMED = 5  # manifests that a refusal names


class QuotaExceeded(LimitExceeded):
    """A namespace would keep more than it may."""

    code = "quota-exceeded"


class NamespaceUnknown(NotFound):
    """There is no such namespace, or none with an agent whose quarantine the caller may see."""

    code = "namespace-unknown"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a namespace keeps, in numbers and bytes. `limit` None: as much as there is room for."""

    namespace: str
    blobs: int
    blob_bytes: int
    manifests: int
    manifest_bytes: int
    limit: int | None

    @property
    def used(self) -> int:
        """Bytes that count."""
        return self.blob_bytes + self.manifest_bytes


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A manifest that no release needs. `size`: bytes, with the blobs it names, which others may name as well."""

    digest: str
    size: int
    since: datetime


def limit_of(keeping: Keeping, namespace: str) -> int | None:
    """Give the quota of a namespace in bytes: its own, else the default, else none."""
    return keeping.quotas.get(namespace, keeping.quota_bytes)


def charge(tx: Tx, app: Services, repository: str, size: int) -> None:
    """Make sure that a manifest of `size` bytes has room, until `tx` ends. Raises QuotaExceeded."""
    namespace = namespace_of(repository)
    limit = limit_of(app.settings.keeping, namespace)
    if limit is None:
        return
    insert_once(tx, NamespaceRow(name=namespace))
    tx.exec(select(NamespaceRow.name).where(NamespaceRow.name == namespace).with_for_update()).one()
    usage = _usage(tx, namespace, limit)
    if usage.used + size <= limit:
        return
    raise QuotaExceeded(
        f"namespace {namespace} has no room for this",
        found=f"{usage.used} bytes are used, with the blobs that were sent for it; the manifest adds {size}",
        expected=f"at most {limit} bytes",
        hint=_what_may_go(quarantined(tx, repository), repository, _unnamed_bytes(tx, namespace)),
    )


def read_usage(app: Services, who: Principal, namespace: str) -> Usage:
    """Say what a namespace keeps, to who may see the quarantine of any of its agents. Raises NamespaceUnknown."""
    with app.db.read() as tx:
        agents = agents_of(tx, namespace)
        usage = _usage(tx, namespace, limit_of(app.settings.keeping, namespace))
    if not any(app.access.may(who, Permission.QUARANTINE_READ, agent) for agent in agents):
        raise NamespaceUnknown("there is no such namespace, or none of yours", found=namespace[:300])
    return usage


def quarantined(tx: Tx, repository: str) -> Sequence[Quarantined]:
    """Give the oldest manifests of an agent that are in quarantine and about nothing else, a few of them."""
    size = func.length(ManifestRow.raw) + func.coalesce(func.sum(BlobRow.size), 0)
    query = (
        sqlalchemy.select(col(ManifestRow.digest), size, col(ManifestRow.created_at))
        .outerjoin(
            ManifestEdgeRow,
            (col(ManifestEdgeRow.repository) == ManifestRow.repository)
            & (col(ManifestEdgeRow.parent) == ManifestRow.digest),
        )
        .outerjoin(
            BlobRow,
            (col(BlobRow.namespace) == namespace_of(repository)) & (col(BlobRow.digest) == ManifestEdgeRow.child),
        )
        .where(
            col(ManifestRow.repository) == repository,
            col(ManifestRow.released).is_(False),
            col(ManifestRow.subject).is_(None),
        )
        .group_by(col(ManifestRow.repository), col(ManifestRow.digest))
        .order_by(col(ManifestRow.created_at), col(ManifestRow.digest))
        .limit(MOST_NAMED)
    )
    return [Quarantined(digest, int(size), since) for digest, size, since in tx.connection().execute(query)]


def _usage(tx: Tx, namespace: str, limit: int | None) -> Usage:
    blobs = select(func.count(), func.coalesce(func.sum(BlobRow.size), 0)).where(BlobRow.namespace == namespace)
    manifests = select(func.count(), func.coalesce(func.sum(func.length(ManifestRow.raw)), 0)).where(
        *in_namespace(ManifestRow.repository, namespace)
    )
    (blob_count, blob_bytes), (count, size) = tx.exec(blobs).one(), tx.exec(manifests).one()
    return Usage(namespace, blob_count, int(blob_bytes), count, int(size), limit)


def _unnamed_bytes(tx: Tx, namespace: str) -> int:
    """Add up the blobs that no manifest names."""
    named = select(ManifestEdgeRow.child).where(
        *in_namespace(ManifestEdgeRow.repository, namespace), ManifestEdgeRow.child == BlobRow.digest
    )
    query = select(func.coalesce(func.sum(BlobRow.size), 0)).where(BlobRow.namespace == namespace, ~named.exists())
    return int(tx.exec(query).one())


def _what_may_go(found: Sequence[Quarantined], repository: str, unnamed: int) -> str:
    ways = []
    if unnamed:
        ways.append(
            f"{unnamed} bytes are blobs that no manifest names, those of this push among them: "
            "the operator's `tidegate-registry gc --apply` removes the old ones"
        )
    if found:
        named = ", ".join(f"{repository}@{each.digest} ({each.size} bytes, {each.since:%Y-%m-%d})" for each in found)
        ways.append(
            "the operator can remove what is in quarantine with `tidegate-registry gc --apply --forget …`; "
            f"the oldest: {named}"
        )
    else:
        ways.append("nothing of this agent is in quarantine; ask the operator for a larger quota (keeping.quotas)")
    return "; ".join(ways)
