"""What garbage collection would remove, and why: read, decided, and nothing changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy
from sqlmodel import col, func, select

from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import BlobRow, ManifestEdgeRow, ManifestRow, RepositoryRow
from tidegate_registry.keeping.claims import MIN_GRACE
from tidegate_registry.keeping.closure import Node, Terms, decide_removals, parents_first
from tidegate_registry.keeping.fsck.breaks import in_namespace
from tidegate_registry.keeping.fsck.objects import BLOBS, parse_path
from tidegate_registry.keeping.tables import BlobClaimRow

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

T = TypeVar("T")

PAGE = 1000  # blobs looked at in one query
NOBODY = "no manifest names it"
LEFT = "an upload that was not ended left it"


@dataclass(frozen=True, slots=True)
class Named:
    """A manifest by agent and digest, as `agent@digest`."""

    repository: str
    digest: str


@dataclass(frozen=True, slots=True)
class DoomedManifest:
    """A manifest that may go. `size` in bytes."""

    repository: str
    digest: str
    subject: str | None
    size: int
    why: str

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.repository}@{self.digest}"

    def as_json(self) -> dict[str, object]:
        """Give what `--json` says of it."""
        return {"manifest": self.digest, "agent": self.repository, "size": self.size, "why": self.why}


@dataclass(frozen=True, slots=True)
class DoomedBlob:
    """A blob that may go, or an object without a row. `since`: when it came."""

    namespace: str
    digest: str
    size: int
    since: datetime
    why: str

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.namespace} {self.digest}"

    def as_json(self) -> dict[str, object]:
        """Give what `--json` says of it."""
        return {"blob": self.digest, "namespace": self.namespace, "size": self.size, "why": self.why}


def terms_of(app: Services) -> Terms:
    """Read the settings."""
    keeping = app.settings.keeping
    return Terms(timedelta(hours=keeping.quarantine_hours), timedelta(hours=keeping.orphan_hours))


def grace_of(app: Services) -> timedelta:
    """Give how long a blob stays that nobody names: never less than the bucket keeps it anyway."""
    locked = timedelta(days=app.settings.s3.object_lock_days)
    return max(timedelta(hours=app.settings.keeping.grace_hours), MIN_GRACE, locked)


def plan_manifests(app: Services, forget: Collection[Named] = ()) -> Iterator[DoomedManifest]:
    """Give the manifests that may go, agent by agent, each before what it names."""
    with app.db.read() as tx:
        agents = tx.exec(select(RepositoryRow.name).order_by(col(RepositoryRow.name))).all()
    for agent in agents:
        with app.db.read() as tx:
            doomed = plan_agent(app, tx, agent, forget)
        yield from doomed


def plan_agent(app: Services, tx: Tx, agent: str, forget: Collection[Named]) -> list[DoomedManifest]:
    """Give the manifests of one agent that may go, as `tx` sees them, each before what it names.

    Holds what the agent's manifests say of each other in memory. Raises RuntimeError if releases are no roots.
    """
    if "releases" not in app.roots.names:
        raise RuntimeError("nobody registered what must be kept")
    nodes = _nodes(tx, agent)
    reasons = decide_removals(
        nodes,
        app.roots.of(tx, agent),
        in_use=_in_use(app, tx, agent),
        terms=terms_of(app),
        forget={each.digest for each in forget if each.repository == agent},
        now=app.clock(),
    )
    return [
        DoomedManifest(agent, digest, nodes[digest].subject, nodes[digest].size, reasons[digest])
        for digest in parents_first(nodes, reasons)
    ]


def _nodes(tx: Tx, agent: str) -> dict[str, Node]:
    query = sqlalchemy.select(
        col(ManifestRow.digest),
        col(ManifestRow.subject),
        col(ManifestRow.released),
        func.length(ManifestRow.raw),
        col(ManifestRow.created_at),
    ).where(col(ManifestRow.repository) == agent)
    nodes = {row[0]: Node(*row) for row in tx.connection().execute(query)}
    edges = (
        select(ManifestEdgeRow.parent, ManifestEdgeRow.child)
        .join(
            ManifestRow,
            (col(ManifestRow.repository) == ManifestEdgeRow.repository)
            & (col(ManifestRow.digest) == ManifestEdgeRow.child),
        )
        .where(ManifestEdgeRow.repository == agent)
    )
    for parent, child in tx.exec(edges):
        nodes[parent].members.add(child)
    return nodes


def _in_use(app: Services, tx: Tx, agent: str) -> set[str]:
    """Give the manifests that a request relies on, or did a moment ago; with what refers to one that is only coming."""
    found: set[str] = set()
    for named in (ManifestRow.digest, ManifestRow.subject):
        query = (
            select(ManifestRow.digest)
            .join(BlobClaimRow, col(BlobClaimRow.digest) == named)
            .where(
                ManifestRow.repository == agent,
                BlobClaimRow.namespace == namespace_of(agent),
                col(BlobClaimRow.claimed_at) >= app.clock() - MIN_GRACE,
            )
        )
        found.update(tx.exec(query).all())
    return found


def plan_blobs(app: Services, doomed: Collection[DoomedManifest] = ()) -> Iterator[DoomedBlob]:
    """Give the blobs and objects that may go once `doomed` are gone. Looks at PAGE of them at once."""
    before = app.clock() - grace_of(app)
    with app.db.read() as tx:
        namespaces = tx.exec(select(BlobRow.namespace).distinct().order_by(BlobRow.namespace)).all()
    gone = {(each.repository, each.digest) for each in doomed}
    for namespace in namespaces:
        yield from _unnamed_rows(app, namespace, gone, before)
    for found in in_batches(app.blobs.list(BLOBS), PAGE):
        old = [(key, each) for each in found if each.modified < before and (key := parse_path(each.path))]
        for namespace in sorted({key.namespace for key, _ in old}):
            objects = {str(key.digest): each for key, each in old if key.namespace == namespace}
            with app.db.read() as tx:
                known = _rows_of(tx, namespace, objects) | named_in(tx, namespace, objects)
                known |= _claimed(tx, namespace, objects, before)
            for digest in sorted(objects.keys() - known):
                yield DoomedBlob(namespace, digest, objects[digest].size, objects[digest].modified, LEFT)


def _unnamed_rows(app: Services, namespace: str, gone: set[tuple[str, str]], before: datetime) -> Iterator[DoomedBlob]:
    after = ""
    while True:
        query = (
            select(BlobRow)
            .where(BlobRow.namespace == namespace, BlobRow.digest > after)
            .order_by(col(BlobRow.digest))
            .limit(PAGE)
        )
        with app.db.read() as tx:
            rows = tx.exec(query).all()
            old = {row.digest for row in rows if row.created_at < before}
            stay = _claimed(tx, namespace, old, before) | named_in(tx, namespace, old, besides=gone)
        for row in rows:
            if row.digest in old - stay:
                yield DoomedBlob(namespace, row.digest, row.size, row.created_at, NOBODY)
        if len(rows) < PAGE:
            return
        after = rows[-1].digest


def named_in(
    tx: Tx, namespace: str, digests: Collection[str], *, besides: Collection[tuple[str, str]] = ()
) -> set[str]:
    """Give those of `digests` that a manifest of the namespace names. `besides`: agent and digest of some left out."""
    here = in_namespace(ManifestEdgeRow.repository, namespace)
    query = select(ManifestEdgeRow.child).where(*here, col(ManifestEdgeRow.child).in_(digests)).distinct()
    named = set(tx.exec(query).all())
    return {digest for digest in named if not besides or _is_named(tx, namespace, digest, besides)}


def _is_named(tx: Tx, namespace: str, digest: str, besides: Collection[tuple[str, str]]) -> bool:
    query = select(ManifestEdgeRow.repository, ManifestEdgeRow.parent).where(
        *in_namespace(ManifestEdgeRow.repository, namespace), ManifestEdgeRow.child == digest
    )
    return any((repository, parent) not in besides for repository, parent in tx.exec(query))


def _rows_of(tx: Tx, namespace: str, digests: Collection[str]) -> set[str]:
    query = select(BlobRow.digest).where(BlobRow.namespace == namespace, col(BlobRow.digest).in_(digests))
    return set(tx.exec(query).all())


def _claimed(tx: Tx, namespace: str, digests: Collection[str], before: datetime) -> set[str]:
    query = select(BlobClaimRow.digest).where(
        BlobClaimRow.namespace == namespace,
        col(BlobClaimRow.digest).in_(digests),
        col(BlobClaimRow.claimed_at) >= before,
    )
    return set(tx.exec(query).all())


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Give `items` in lists of up to `size`."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def check_named(doomed: Collection[DoomedManifest], forget: Collection[Named]) -> list[Named]:
    """Give those of `forget` that do not go: they are not there, or something needs them."""
    going = {(each.repository, each.digest) for each in doomed}
    return [each for each in forget if (each.repository, each.digest) not in going]
