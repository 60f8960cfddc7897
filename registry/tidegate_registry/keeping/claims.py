"""The lock between those who write blobs and the sweep that removes them.

An object in the store and a row in the database cannot change together. So a blob that is about to be relied on, or
removed, has a row of its own, the claim:

1. Whoever will link or name a blob calls `claim` first, before looking at what the store holds. A claim is good for
   CLAIM_HOLDS. Only then does "it is there already" (a row, a HEAD, a 412) mean anything.
2. The transaction that writes the link or the manifest calls `confirm`: under a shared lock of the claims it checks
   that each is there, young enough, and not on its way out. `link_blobs` and `insert_manifest` are the only two
   places that write links, and both call it: a writer that forgot to claim, or took too long, is refused, and nothing
   is linked.
3. The sweep calls `begin_removal`, one transaction under the exclusive lock of the claims: those younger than the
   grace period, or whose blob a manifest names by then, stay. The rest is marked as on its way out. Then the objects
   are deleted, then `end_removal` removes rows, links and claims.

Manifests in quarantine are claimed in the same way: by who puts them again, names them, refers to them or lists them.
They are removed under the lock of their agent, and `claim` waits for whoever holds that; and under the lock of their
claims (`lock_claims`), which agents of a namespace share: what a request sees after its claim stays for as long as the
claim holds, whoever wrote it.

So: while a link or manifest row is there and its claim is not on its way out, the object is there. A writer that comes
between mark and end waits a moment, or is told to try again; afterwards it finds nothing, and sends the bytes.
The grace period is longer than CLAIM_HOLDS by MARGIN at least, which is what clocks of replicas may differ by.

A sweep that dies between mark and end leaves blobs that nobody can link until a registry that runs, or another sweep,
ends it: both do for marks older than ABANDONED. A sweep deletes no object whose mark it set longer than REMOVAL_LASTS
ago, so two never work on the same one, and it removes the rows of those alone that bear its own mark still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, delete, select, update

from tidegate.errors import Unreachable
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import RepositoryRow
from tidegate_registry.keeping.tables import BlobClaimRow

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

CLAIM_HOLDS = timedelta(hours=2)  # twice the longest request that brings bytes, by default
FRESH = timedelta(minutes=20)  # a claim this young is not written again: a push names the same blobs several times
MARGIN = timedelta(hours=1)
MIN_GRACE = CLAIM_HOLDS + FRESH + MARGIN
REMOVAL_LASTS = timedelta(minutes=10)
ABANDONED = MARGIN + 2 * REMOVAL_LASTS  # by whatever clock: its sweep has stopped deleting
WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds; removing a batch takes the store about as long


@dataclass(frozen=True, slots=True)
class Marked:
    """What a sweep has marked as on its way out. `at`: the mark, by which it knows its own."""

    namespace: str
    digests: frozenset[str]
    at: datetime


class BlobBeingRemoved(Unreachable):
    """A blob is on its way out at this very moment; a moment later it can be sent again."""

    code = "blob-being-removed"


class ClaimLapsed(Unreachable):
    """What was there when the request began may have been removed since: it took too long."""

    code = "claim-lapsed"


def claim(
    app: Services, repository: str, digests: Iterable[str], *, sleep: Callable[[float], None] = time.sleep
) -> set[str]:
    """Say that a request for `repository` relies on these blobs and manifests, there or not, so that they stay.

    Gives those that had a claim before: of the others nobody has begun to write an object for long, so there is hardly
    one without a row.
    Blocks for a second or two where one is on its way out. Raises BlobBeingRemoved.
    """
    wanted = set(digests)
    known, going = _claim(app, repository, wanted)
    for wait in WAITS:
        if not going:
            break
        sleep(wait)
        _, going = _claim(app, repository, wanted)
    if going:
        raise BlobBeingRemoved("a blob is being removed", found=min(going), hint="try again in a moment")
    return known


def _claim(app: Services, repository: str, wanted: set[str]) -> tuple[set[str], set[str]]:
    """Claim what can be claimed; give what had a claim, and what is on its way out."""
    now, namespace = app.clock(), namespace_of(repository)
    with app.db.read() as tx:
        rows = _rows(tx, namespace, wanted)
    fresh = {row.digest for row in rows if row.deleting_at is None and row.claimed_at > now - FRESH}
    known = {row.digest for row in rows}
    stale = sorted(wanted - fresh)  # in one order everywhere, so that no two wait for each other
    if not stale:
        return known, set()
    with app.db.scratch(durable=False) as tx:  # one that is lost is missed by `confirm`
        agent = select(RepositoryRow.name).where(RepositoryRow.name == repository)
        tx.exec(agent.with_for_update(read=True)).all()  # a sweep of its manifests ends first
        dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
        insert = dialect.insert(BlobClaimRow).values(
            [{"namespace": namespace, "digest": digest, "claimed_at": now} for digest in stale]
        )
        upsert = insert.on_conflict_do_update(
            index_elements=["namespace", "digest"],
            set_={"claimed_at": now},
            where=col(BlobClaimRow.deleting_at).is_(None),
        )
        claimed = tx.connection().execute(upsert.returning(col(BlobClaimRow.digest))).scalars().all()
    return known, set(stale) - set(claimed)


def confirm(tx: Tx, repository: str, digests: Collection[str], *, now: datetime) -> None:
    """Check, and lock until `tx` ends, that the claims on these blobs hold. Raises BlobBeingRemoved, ClaimLapsed."""
    if not digests:
        return
    rows = {row.digest: row for row in _rows(tx, namespace_of(repository), digests, lock="share")}
    for digest in sorted(digests):
        row = rows.get(digest)
        if row is not None and row.deleting_at is not None:
            raise BlobBeingRemoved("a blob is being removed", found=digest, hint="try again in a moment")
        if row is None or row.claimed_at < now - CLAIM_HOLDS:
            raise ClaimLapsed(
                "a blob may have been removed while this request lasted",
                found=digest,
                expected=f"at most {CLAIM_HOLDS.seconds // 3600} hours between its first look and its end",
                hint="try again: what is still there need not be sent again",
            )


def lock_claims(tx: Tx, namespace: str, digests: Collection[str], *, since: datetime) -> set[str]:
    """Hold all claims on these manifests until `tx` ends, and give those that were claimed `since` then."""
    _insert_missing(tx, namespace, dict.fromkeys(digests, since - MARGIN))
    rows = _rows(tx, namespace, digests, lock="update")
    return {row.digest for row in rows if row.claimed_at >= since}


def begin_removal(
    app: Services, namespace: str, blobs: Mapping[str, datetime], *, grace: timedelta, needed: Callable[[Tx], set[str]]
) -> Marked:
    """Mark those of `blobs` as on their way out that nobody relies on, and give them.

    `blobs`: digests, each with the moment since which it has been there. `needed`: which of them something names, as
    the transaction sees it after the claims are locked.
    """
    now = app.clock()
    before = now - max(grace, MIN_GRACE)
    with app.db.scratch() as tx:
        _insert_missing(tx, namespace, blobs)
        rows = _rows(tx, namespace, blobs.keys(), lock="update")
        named = needed(tx)
        going = {
            row.digest
            for row in rows
            if row.digest not in named and row.deleting_at is None and row.claimed_at < before
        }
        tx.connection().execute(_mark(namespace, going, now))
    return Marked(namespace, frozenset(going), now)


def abandoned(app: Services, limit: int) -> Sequence[Marked]:
    """Take over what an earlier sweep marked and did not end."""
    now = app.clock()
    found: dict[str, set[str]] = {}
    with app.db.scratch() as tx:
        query = select(BlobClaimRow).where(col(BlobClaimRow.deleting_at) < now - ABANDONED)
        for row in tx.exec(query.limit(limit).with_for_update(skip_locked=True)).all():
            found.setdefault(row.namespace, set()).add(row.digest)
        for namespace, digests in found.items():
            tx.connection().execute(_mark(namespace, digests, now))
    return [Marked(namespace, frozenset(digests), now) for namespace, digests in found.items()]


def end_removal(tx: Tx, marked: Marked, gone: Collection[str]) -> set[str]:
    """Remove the claims of what has been removed, and give it: whoever comes now may put it back.

    What bears another mark by now is another sweep's, or has been put back already, and is not given.
    """
    rows = _rows(tx, marked.namespace, gone, lock="update")
    ended = {row.digest for row in rows if row.deleting_at == marked.at}
    own = (col(BlobClaimRow.namespace) == marked.namespace, col(BlobClaimRow.deleting_at) == marked.at)
    tx.exec(delete(BlobClaimRow).where(*own, col(BlobClaimRow.digest).in_(ended)))
    return ended


def call_off(app: Services, marked: Marked, digests: Collection[str]) -> None:
    """Let what was marked stay, as nobody asked the store to remove it."""
    with app.db.scratch() as tx:
        own = _mark(marked.namespace, digests, None).where(col(BlobClaimRow.deleting_at) == marked.at)
        tx.connection().execute(own)


def forget_old(app: Services, *, before: datetime) -> None:
    """Drop claims that nobody asks for any more: a missing one says the same as one that old."""
    with app.db.scratch() as tx:
        tx.exec(
            delete(BlobClaimRow).where(col(BlobClaimRow.deleting_at).is_(None), col(BlobClaimRow.claimed_at) < before)
        )


def _insert_missing(tx: Tx, namespace: str, blobs: Mapping[str, datetime]) -> None:
    """Make a claim as old as that for each that has none."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(BlobClaimRow).values(
        [{"namespace": namespace, "digest": digest, "claimed_at": blobs[digest]} for digest in sorted(blobs)]
    )
    tx.connection().execute(insert.on_conflict_do_nothing())


def _mark(namespace: str, digests: Collection[str], at: datetime | None) -> Update:
    return (
        update(BlobClaimRow)
        .where(col(BlobClaimRow.namespace) == namespace, col(BlobClaimRow.digest).in_(digests))
        .values(deleting_at=at)
    )


class _Claim(NamedTuple):
    digest: str
    claimed_at: datetime
    deleting_at: datetime | None


def _rows(tx: Tx, namespace: str, digests: Collection[str], *, lock: str = "") -> list[_Claim]:
    query = (
        select(BlobClaimRow.digest, BlobClaimRow.claimed_at, BlobClaimRow.deleting_at)
        .where(BlobClaimRow.namespace == namespace, col(BlobClaimRow.digest).in_(digests))
        .order_by(BlobClaimRow.digest)
    )
    if lock:
        query = query.with_for_update(read=lock == "share")
    return [_Claim(*row) for row in tx.exec(query)]
