"""Releases: recorded once, for ever. Called by the admission room inside the transaction of its decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from tidegate.bundle.diff.step import greatest_below
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.policy.inputs_json import caller_json
from tidegate_registry.access.callers import caller_from, caller_of
from tidegate_registry.artifacts.blobs import ensure_repository
from tidegate_registry.artifacts.errors import VersionTaken
from tidegate_registry.artifacts.events import ReleaseAdmitted
from tidegate_registry.artifacts.names import sort_key
from tidegate_registry.artifacts.pending import PendingTag, drop_named
from tidegate_registry.artifacts.store import insert_manifest, release_closure
from tidegate_registry.artifacts.tables import ReleaseRow, RepositoryRow, WorkingTagRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.audit.service import LogObject

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select

    from tidegate.formats.manifest import Manifest
    from tidegate.policy.inputs import Caller
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_FACTS_BYTES = 1 << 20  # identities and steps of as many signatures as one decision looks at
MAX_ENTRY_FACTS_BYTES = 16 << 10  # an entry must fit a log tile; larger facts are an object beside the log
AUTHOR = "author"  # among the facts: the claims of the token that published it


@dataclass(frozen=True, slots=True)
class Release:
    """A named manifest. `number`: 1 for the agent's first, and so on. `raw_facts`: as they are stored."""

    repository: str
    version: str
    digest: Digest
    number: int
    raw_facts: bytes
    event_id: str
    admitted_at: datetime

    @property
    def facts(self) -> JsonObject:
        """What admission asked to be remembered, as it gave it."""
        return parse_object(self.raw_facts, limit=MAX_FACTS_BYTES, what="the facts of a release")


@dataclass(frozen=True, slots=True)
class Named:
    """What naming came to. `created` is False when the version named this digest before."""

    release: Release
    created: bool

    @property
    def event_id(self) -> str:
        """The entry that records it."""
        return self.release.event_id


@dataclass(frozen=True, slots=True)
class Completion:
    """A version tag waited, and a request by `by` brought what was missing."""

    tag: PendingTag
    by: Actor


def lock_agent(tx: Tx, repository: str, now: datetime) -> None:
    """Order everything that is decided about one agent: hold this before reading what the decision rests on.

    PostgreSQL locks the row; SQLite has one writer anyway (BEGIN IMMEDIATE).
    """
    query = select(RepositoryRow.name).where(RepositoryRow.name == repository).with_for_update()
    if tx.exec(query).first() is None:
        ensure_repository(tx, repository, now)
        tx.exec(query).one()


def find_release(tx: Tx, repository: str, version: str) -> Release | None:
    """Give the release of that version; None if there is none."""
    row = tx.get(ReleaseRow, (repository, version))
    return None if row is None else release_of(row)


def releases(tx: Tx, repository: str, *, limit: int = 1000) -> Sequence[Release]:
    """Give the releases of an agent, the last admitted first."""
    query = select(ReleaseRow).where(ReleaseRow.repository == repository)
    return [release_of(row) for row in tx.exec(query.order_by(col(ReleaseRow.number).desc()).limit(limit))]


def release_below(tx: Tx, repository: str, version: str) -> Release | None:
    """Give the release that a new `version` is measured by (docs/spec/diff.md); None if there is none."""
    versions = tx.exec(select(ReleaseRow.version).where(ReleaseRow.repository == repository)).all()
    base = greatest_below(version, versions)
    return None if base is None else find_release(tx, repository, base)


def record_release(
    tx: Tx,
    app: Services,
    *,
    who: Principal,
    repository: str,
    version: str,
    manifest: Manifest,
    facts: JsonObject,
    evidence: Sequence[Digest],
    now: datetime,
    completes: Completion | None = None,
    decision: str | None = None,
) -> Named:
    """Name `manifest`: store it if it is not stored, lift its quarantine, write release and entry, all in `tx`.

    `who` is its author, and `facts` remember them: nobody may approve what they published themselves. `decision`: the
    entry of the decision that it follows from.
    Tags that waited for it are gone. The same digest again changes nothing. Raises VersionTaken for another digest.
    Call `lock_agent` first.
    """
    existing = find_release(tx, repository, version)
    if existing is not None:
        check_same_digest(existing, manifest.digest)
        return Named(existing, created=False)
    insert_manifest(tx, app, repository, manifest, now=now, released=True)
    release_closure(tx, repository, manifest.digest)
    drop_named(tx, repository, version, manifest.digest)
    told = LogObject.of(canonical_bytes(facts))
    is_short = told.body is not None and len(told.body) <= MAX_ENTRY_FACTS_BYTES
    named, all_named = audit.listed(evidence)
    event = ReleaseAdmitted(
        at=now,
        actor=Actor.of(who),
        repository=repository,
        version=version,
        digest=manifest.digest,
        size=len(manifest.raw),
        evidence=named,
        evidence_object=all_named.digest if all_named else None,
        facts=facts if is_short else None,
        facts_object=None if is_short else told.digest,
        decision=decision,
        tagged=completes.tag.event_id if completes else None,
        completed_by=completes.by if completes else None,
    )
    objects = [each for each in (all_named, None if is_short else told) if each is not None]
    event_id = audit.append(tx, event, objects=objects, entropy=app.entropy)
    row = ReleaseRow(
        repository=repository,
        version=version,
        sort_key=sort_key(version),
        digest=manifest.digest,
        number=count_releases(tx, repository) + 1,
        facts=canonical_bytes(facts | {AUTHOR: caller_json(caller_of(who))}),
        event_id=event_id,
        admitted_at=now,
    )
    tx.add(row)
    tx.flush()
    return Named(release_of(row), created=True)


def warnings_of(release: Release) -> tuple[str, ...]:
    """Give what its admission warned of, a sentence each."""
    told = release.facts.get("warnings")
    found = [each.get("message") for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    return tuple(message for message in found if isinstance(message, str))


def author_of(release: Release) -> Caller | None:
    """Give who published it; None for a release of before that was kept."""
    author = release.facts.get(AUTHOR)
    return caller_from(author) if isinstance(author, dict) else None


def check_same_digest(existing: Release, digest: Digest) -> None:
    """Raise VersionTaken unless the release is `digest`."""
    if existing.digest != digest:
        raise VersionTaken(
            f"{existing.repository}:{existing.version} names another manifest, for ever",
            found=digest,
            expected=existing.digest,
            hint="publish the change under a new version",
        )


def root_query() -> Select[str, str]:
    """Give the retention root of this room: every release."""
    return select(col(ReleaseRow.repository), col(ReleaseRow.digest))


def working_tag_query() -> Select[str, str]:
    """Give another: whatever a working tag names."""
    return select(col(WorkingTagRow.repository), col(WorkingTagRow.digest))


def count_releases(tx: Tx, repository: str) -> int:
    """Give the number of the agent's last release, 0 if there is none. Releases never go, so it only grows."""
    last = tx.exec(select(func.max(ReleaseRow.number)).where(ReleaseRow.repository == repository)).one()
    return last or 0  # SQL's max of nothing is NULL


def release_of(row: ReleaseRow) -> Release:
    """Read a row."""
    return Release(
        repository=row.repository,
        version=row.version,
        digest=Digest(row.digest),
        number=row.number,
        raw_facts=row.facts,
        event_id=row.event_id,
        admitted_at=row.admitted_at,
    )
