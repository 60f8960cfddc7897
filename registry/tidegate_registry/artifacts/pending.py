"""Version tags that came before their signature and wait for it, where the charter says `admission: deferred`.

A waiting tag names nothing and reserves nothing: it is a publisher's request, to be decided again when evidence for its
manifest arrives. Each publisher has their own; a later one for the same version replaces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, delete, func, select

from tidegate.digest import Digest
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.artifacts.errors import TooManyPending
from tidegate_registry.artifacts.events import PendingTagEnded, ReleasePending
from tidegate_registry.artifacts.store import insert_manifest
from tidegate_registry.artifacts.tables import PendingTagRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Actor

if TYPE_CHECKING:
    from sqlalchemy import Select

    from tidegate.formats.manifest import Manifest
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_PENDING_OF_A_MANIFEST = 4  # each is decided again whenever evidence for it arrives
MAX_PENDING_OF_AN_AGENT = 200  # a day's pushes of a busy pipeline, and room for a few more
MAX_PUBLISHER_BYTES = 64 << 10  # every claim of a certificate at its longest
SWEEP_BATCH = 500  # so that one turn stays short


@dataclass(frozen=True, slots=True)
class PendingTag:
    """A request to name `digest`, by `publisher`, as their token described them; it says nothing of what they may."""

    repository: str
    version: str
    digest: Digest
    publisher: Principal
    event_id: str
    tagged_at: datetime
    expires_at: datetime


def record_pending(
    tx: Tx, app: Services, *, who: Principal, repository: str, version: str, manifest: Manifest, now: datetime
) -> PendingTag:
    """Store `manifest` in quarantine and let the version tag of `who` wait for its signature.

    The same digest again changes nothing but when it expires. Raises TooManyPending. Call `naming.lock_agent` first.
    """
    expires_at = now + timedelta(seconds=app.settings.limits.pending_tag_seconds)
    insert_manifest(tx, app, repository, manifest, now=now)
    row = tx.get(PendingTagRow, (repository, version, owner_of(who)))
    _check_room(tx, repository, manifest.digest, known=row, now=now)
    event = ReleasePending(
        at=now,
        actor=Actor.of(who),
        repository=repository,
        version=version,
        digest=manifest.digest,
        expires_at=expires_at,
        previous=row.digest if row is not None and row.expires_at > now else None,
    )
    event_id = audit.append(tx, event, entropy=app.entropy)
    if row is None:
        row = PendingTagRow(
            repository=repository,
            version=version,
            owner=owner_of(who),
            digest=manifest.digest,
            publisher=b"",
            event_id=event_id,
            tagged_at=now,
            expires_at=expires_at,
        )
    row.digest, row.publisher, row.event_id = manifest.digest, canonical_bytes(_described(who)), event_id
    row.tagged_at, row.expires_at = now, expires_at
    tx.add(row)
    tx.flush()
    return _tag_of(row)


def find_pending(tx: Tx, repository: str, version: str, *, who: Principal, now: datetime) -> PendingTag | None:
    """Give the waiting tag of `who` under that version, else the one that came first; None if none waits."""
    query = select(PendingTagRow).where(
        PendingTagRow.repository == repository, PendingTagRow.version == version, col(PendingTagRow.expires_at) > now
    )
    rows = tx.exec(query.order_by(col(PendingTagRow.tagged_at), PendingTagRow.owner)).all()
    own = [row for row in rows if row.owner == owner_of(who)]
    return next((_tag_of(row) for row in (*own, *rows)), None)


def waiting_for(tx: Tx, repository: str, digest: Digest, *, now: datetime) -> Sequence[PendingTag]:
    """Give the tags that wait for evidence about `digest`, the first first."""
    query = select(PendingTagRow).where(
        PendingTagRow.repository == repository, PendingTagRow.digest == digest, col(PendingTagRow.expires_at) > now
    )
    ordered = query.order_by(col(PendingTagRow.tagged_at), PendingTagRow.version, PendingTagRow.owner)
    return [_tag_of(row) for row in tx.exec(ordered)]


def still_waits(tx: Tx, tag: PendingTag, *, now: datetime) -> bool:
    """Whether `tag` is as it was read, and may still be named. Call `naming.lock_agent` first."""
    row = tx.get(PendingTagRow, (tag.repository, tag.version, owner_of(tag.publisher)))
    return row is not None and row.event_id == tag.event_id and row.expires_at > now


def drop_named(tx: Tx, repository: str, version: str, digest: Digest) -> None:
    """Take away the tags whose wish has come true; the entry of the release tells what became of them."""
    tx.exec(
        delete(PendingTagRow).where(
            col(PendingTagRow.repository) == repository,
            col(PendingTagRow.version) == version,
            col(PendingTagRow.digest) == digest,
        )
    )


def end_pending(app: Services, tag: PendingTag, *, actor: Actor, reason: str) -> None:
    """Take a waiting tag away that can never be named, and say why."""
    now = app.clock()
    with app.db.begin() as tx:
        row = tx.get(PendingTagRow, (tag.repository, tag.version, owner_of(tag.publisher)))
        if row is not None and row.event_id == tag.event_id:
            _end(tx, app, row, actor=actor, reason=reason, now=now)


def sweep_pending(app: Services) -> int:
    """Take expired tags away; say how many."""
    now = app.clock()
    expired = select(PendingTagRow).where(col(PendingTagRow.expires_at) <= now)
    with app.db.read() as tx:
        if tx.exec(expired.limit(1)).first() is None:
            return 0
    with app.db.begin() as tx:
        rows = tx.exec(expired.limit(SWEEP_BATCH).with_for_update(skip_locked=True)).all()
        for row in rows:
            _end(tx, app, row, actor=SYSTEM, reason="expired", now=now)
    return len(rows)


def owner_of(who: Principal) -> str:
    """Give the name of whose tag it is, of fixed length."""
    return Digest.of(who.key.encode())


def root_query() -> Select[str, str]:
    """Give the retention root of this room: what waits to be named."""
    return select(col(PendingTagRow.repository), col(PendingTagRow.digest))


def _end(tx: Tx, app: Services, row: PendingTagRow, *, actor: Actor, reason: str, now: datetime) -> None:
    event = PendingTagEnded(
        at=now,
        actor=actor,
        repository=row.repository,
        version=row.version,
        digest=row.digest,
        publisher=Actor.of(_tag_of(row).publisher),
        reason=reason,
    )
    audit.append(tx, event, entropy=app.entropy)
    tx.delete(row)


def _check_room(tx: Tx, repository: str, digest: Digest, *, known: PendingTagRow | None, now: datetime) -> None:
    waiting = [col(PendingTagRow.repository) == repository, col(PendingTagRow.expires_at) > now]
    if known is not None:
        waiting.append(col(PendingTagRow.event_id) != known.event_id)
    for most, what, conditions in (
        (MAX_PENDING_OF_A_MANIFEST, "this manifest", [*waiting, col(PendingTagRow.digest) == digest]),
        (MAX_PENDING_OF_AN_AGENT, repository, waiting),
    ):
        found = tx.exec(select(func.count()).select_from(PendingTagRow).where(*conditions)).one()
        if found >= most:
            raise TooManyPending(
                f"too many version tags of {what} wait for their signatures",
                found=found,
                expected=f"at most {most}",
                hint="sign what waits, or wait until it expires",
            )


def _described(who: Principal) -> JsonObject:
    if who.identity is None:
        raise ValueError("nobody's tag")
    attributes: JsonObject = {name: list(values) for name, values in who.attributes.items()}
    return {"kind": str(who.kind), "subject": who.subject, "attributes": attributes, **who.identity.as_json()}


def _tag_of(row: PendingTagRow) -> PendingTag:
    digest = Digest(row.digest)
    publisher = _publisher_of(row)
    return PendingTag(row.repository, row.version, digest, publisher, row.event_id, row.tagged_at, row.expires_at)


def _publisher_of(row: PendingTagRow) -> Principal:
    """Read who tagged. Their token was issued for pushing there, else there were no tag; the charter is asked anew."""
    described = parse_object(row.publisher, limit=MAX_PUBLISHER_BYTES, what="the publisher of a tag")
    claims = described["claims"]
    if not isinstance(claims, dict):
        raise TypeError("claims of a publisher are an object")
    identity = CertificateIdentity(
        str(described["issuer"]),
        str(described["identity"]),
        {ClaimName(name): str(value) for name, value in claims.items()},
    )
    kept = described.get("attributes")  # not in rows of before they were kept
    attributes = {
        name: tuple(map(str, values))
        for name, values in (kept.items() if isinstance(kept, dict) else ())
        if isinstance(values, list)
    }
    grants = (Grant("repository", row.repository, frozenset({"pull", "push"})),)
    return Principal(PrincipalKind(str(described["kind"])), identity, str(described["subject"]), attributes, grants)
