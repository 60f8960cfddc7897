"""Garbage collection: removes what `plan` says may go, with an entry for each, under the locks of those who write.

Manifests go agent by agent under the agent's lock, where the plan is made once more. Blobs go as claims.py says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from sqlmodel import col, delete, select

from tidegate.digest import Digest
from tidegate.errors import Conflict
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestEdgeRow, ManifestRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.compare import demand_own_log
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.keeping import claims
from tidegate_registry.keeping.events import BlobRemoved, ManifestRemoved
from tidegate_registry.keeping.fsck.findings import Problem
from tidegate_registry.keeping.fsck.records import check_records
from tidegate_registry.keeping.plan import (
    DoomedBlob,
    DoomedManifest,
    Named,
    grace_of,
    in_batches,
    named_in,
    plan_agent,
    plan_blobs,
    plan_manifests,
)
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

BATCH = 100  # of one transaction
ENDED = "an earlier collection began to remove it"
BLINDING = frozenset({Problem.MANIFEST_BYTES, Problem.MANIFEST_ROW, Problem.EDGE_MISSING})

Doomed = DoomedManifest | DoomedBlob


class RecordsDamaged(Conflict):
    """What manifests name is not what the database says they name, so nobody knows what is needed."""

    code = "records-damaged"


def check_may_collect(app: Services) -> None:
    """Check that the database is the bucket's, and says what its manifests name.

    Raises RecordsDamaged, LogMissing, LogHalted, Unreachable.
    """
    demand_own_log(app)
    damaged = next((each for each in check_records(app) if each.problem in BLINDING), None)
    if damaged is not None:
        raise RecordsDamaged(
            "nothing is removed while the database does not say what its manifests name",
            found=f"{damaged.problem} {damaged.where} {damaged.digest}",
            hint="run `tidegate-registry fsck`, which lists all of it and says what to do",
        )


class Sweep:
    """One collection by `actor`. `tell` hears of each thing that was removed, after that was committed."""

    def __init__(
        self,
        app: Services,
        actor: Actor,
        *,
        forget: Collection[Named] = (),
        tell: Callable[[Doomed], None] = lambda _: None,
    ) -> None:
        self._app, self._actor, self._forget, self._tell = app, actor, forget, tell

    def run(self) -> None:
        """Remove everything that may go. Raises RecordsDamaged, LogMissing, LogHalted, Unreachable."""
        check_may_collect(self._app)
        self.tidy_claims()
        for agent in [
            agent for agent, _ in groupby(plan_manifests(self._app, self._forget), lambda each: each.repository)
        ]:
            while self._remove_manifests(agent):
                pass
        for namespace, found in groupby(plan_blobs(self._app), lambda each: each.namespace):
            for batch in in_batches(found, BATCH):
                self._remove_blobs(namespace, {each.digest: each for each in batch})

    def _remove_manifests(self, agent: str) -> bool:
        """Remove some, those that name others first; say whether there may be more."""
        app, now = self._app, self._app.clock()
        with app.db.begin() as tx:
            naming.lock_agent(tx, agent, now)
            going = plan_agent(app, tx, agent, self._forget)[:BATCH]
            if not going:
                return False
            planned = {each.digest for each in going}
            if claims.lock_claims(tx, namespace_of(agent), planned, since=now - claims.MIN_GRACE):
                return True  # claimed through another agent since the plan was made, so there must be a new one
            digests = [each.digest for each in going]
            tx.exec(
                delete(EvidenceRow).where(col(EvidenceRow.repository) == agent, col(EvidenceRow.manifest).in_(digests))
            )
            tx.exec(
                delete(ManifestEdgeRow).where(
                    col(ManifestEdgeRow.repository) == agent, col(ManifestEdgeRow.parent).in_(digests)
                )
            )
            tx.exec(
                delete(ManifestRow).where(col(ManifestRow.repository) == agent, col(ManifestRow.digest).in_(digests))
            )
            for each in going:
                event = ManifestRemoved(
                    at=now,
                    actor=self._actor,
                    repository=agent,
                    digest=each.digest,
                    subject=each.subject,
                    size=each.size,
                    why=each.why,
                )
                audit.append(tx, event, entropy=app.entropy)
        self._removed(going)
        return True

    def _remove_blobs(self, namespace: str, blobs: Mapping[str, DoomedBlob]) -> None:
        marked = claims.begin_removal(
            self._app,
            namespace,
            {digest: each.since for digest, each in blobs.items()},
            grace=grace_of(self._app),
            needed=lambda tx: named_in(tx, namespace, blobs.keys()),
        )
        self._end(marked, blobs, untouched=True)

    def tidy_claims(self) -> None:
        """End what a collection that died left half-done, and drop old claims. A registry that runs does so as well."""
        now = self._app.clock()
        claims.forget_old(self._app, before=now - grace_of(self._app))
        while found := claims.abandoned(self._app, BATCH):
            for marked in found:
                query = select(BlobRow.digest, BlobRow.size).where(
                    BlobRow.namespace == marked.namespace, col(BlobRow.digest).in_(marked.digests)
                )
                with self._app.db.read() as tx:
                    sizes = dict(tx.exec(query).all())
                self._end(
                    marked,
                    {
                        digest: DoomedBlob(marked.namespace, digest, sizes.get(digest, 0), now, ENDED)
                        for digest in marked.digests
                    },
                    untouched=False,
                )

    def _end(self, marked: claims.Marked, blobs: Mapping[str, DoomedBlob], *, untouched: bool) -> None:
        """Delete the objects of what is marked, then rows, links and claims, with an entry for each.

        What was not reached, as it took too long or the store failed, stays if it is `untouched`. What may be gone
        remains marked, and is deleted again when the mark is old.
        """
        left, gone = sorted(marked.digests), list[str]()
        try:
            while left and self._app.clock() - marked.at <= claims.REMOVAL_LASTS:
                digest = left.pop(0)
                self._app.blobs.delete(BlobKey(marked.namespace, Digest(digest)))
                gone.append(digest)
        finally:
            if gone:
                self._forget_blobs(marked, [blobs[digest] for digest in gone])
            if left and untouched:
                claims.call_off(self._app, marked, left)

    def _forget_blobs(self, marked: claims.Marked, gone: list[DoomedBlob]) -> None:
        now, namespace = self._app.clock(), marked.namespace
        with self._app.db.begin() as tx:
            digests = claims.end_removal(tx, marked, {each.digest for each in gone})
            gone = [each for each in gone if each.digest in digests]
            if not gone:
                return
            tx.exec(
                delete(BlobLinkRow).where(col(BlobLinkRow.namespace) == namespace, col(BlobLinkRow.digest).in_(digests))
            )
            tx.exec(delete(BlobRow).where(col(BlobRow.namespace) == namespace, col(BlobRow.digest).in_(digests)))
            for each in gone:
                self._note(tx, each, now)
        self._removed(gone)

    def _note(self, tx: Tx, blob: DoomedBlob, now: datetime) -> None:
        event = BlobRemoved(
            at=now, actor=self._actor, namespace=blob.namespace, digest=blob.digest, size=blob.size, why=blob.why
        )
        audit.append(tx, event, entropy=self._app.entropy)

    def _removed(self, gone: Collection[Doomed]) -> None:
        for each in gone:
            self._tell(each)
