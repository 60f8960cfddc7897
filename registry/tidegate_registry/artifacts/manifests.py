"""Manifests in and out: by digest (quarantine), by version (admission), by working tag."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, BundleRefused
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import MAX_REFERRER_BYTES, Manifest
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.content import check_content, check_references
from tidegate_registry.artifacts.errors import ManifestUnknown, ReferrerTooLarge, ReleaseRevoked, TooManyReferrers
from tidegate_registry.artifacts.events import ManifestStored, WorkingTagMoved
from tidegate_registry.artifacts.members import check_complete
from tidegate_registry.artifacts.names import (
    Channel,
    Name,
    Target,
    Version,
    WorkingTag,
    refuse_channel,
    sort_key,
)
from tidegate_registry.artifacts.pending import PendingTag, find_pending
from tidegate_registry.artifacts.store import as_referrer, count_referrers, insert_manifest
from tidegate_registry.artifacts.tables import ManifestRow, ReleaseRow, WorkingTagRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor, timestamp
from tidegate_registry.evidence.referrer import claims_evidence, refuse_legacy_tag
from tidegate_registry.keeping import claims
from tidegate_registry.promotion.revoked import why_revoked
from tidegate_registry.storage.uploads import DigestDiffers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidegate.formats.config import AgentConfig
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import PendingEvidence, Services


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest that the caller may see, byte for byte.

    `lasting`: whoever may pull from `repository` gets this very manifest for this reference, for ever unless it is
    revoked. `revoked`: why it was; then it is there by its digest alone, for auditors.
    """

    repository: str
    digest: Digest
    media_type: str
    raw: bytes
    lasting: bool
    revoked: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a PUT came to. `event_id`: the entry that records it; None when nothing changed.

    `warnings`: what its author should know although nothing was refused, a sentence each. `pending`: a version tag
    that waits for its signature, and names nothing yet.
    """

    digest: Digest
    subject: Digest | None
    event_id: str | None
    warnings: tuple[str, ...] = ()
    pending: bool = False


def read_manifest(app: Services, who: Principal, repository: str, target: Target) -> StoredManifest:
    """Find a manifest. What the caller may not see is answered like what does not exist.

    Raises LoginNeeded, AccessDenied, ManifestUnknown, ReleaseRevoked for a version that was withdrawn.
    """
    app.access.demand(who, Permission.ARTIFACT_PULL, repository)
    quarantined_too = app.access.may(who, Permission.QUARANTINE_READ, repository)
    with app.db.read() as tx:
        digest = _resolve(app, tx, who, repository, target)
        never_moves = digest is not None and not isinstance(target, WorkingTag)
        if digest is None and isinstance(target, Version) and quarantined_too:
            waiting = find_pending(tx, repository, target.text, who=who, now=app.clock())
            digest = waiting.digest if waiting is not None else None
        row = None if digest is None else tx.get(ManifestRow, (repository, digest))
        revoked = None if row is None else why_revoked(tx, repository, row.digest)
    if row is None or not (row.released or quarantined_too):
        raise _unknown(target)
    if revoked is not None and isinstance(target, Version):
        raise ReleaseRevoked(
            f"{repository}:{target.text} was revoked: {revoked}",
            found=row.digest,
            expected="a release that is not revoked",
            hint="pull another version; auditors get this one by its digest",
        )
    lasting = row.released and never_moves and revoked is None
    return StoredManifest(repository, Digest(row.digest), row.media_type, row.raw, lasting, revoked)


def demand_put(app: Services, who: Principal, repository: str, target: Target) -> None:
    """Refuse a PUT that cannot succeed before its body is read. Raises LoginNeeded, AccessDenied, ChannelNotMovable."""
    match target:
        case Digest():
            app.access.demand(who, Permission.EVIDENCE_PUSH, repository)
        case Version():
            app.access.demand(who, Permission.RELEASE_PUBLISH, repository)
        case WorkingTag():
            app.access.demand(who, Permission.WORKING_TAG_WRITE, repository)
            refuse_legacy_tag(target.text)
        case Channel():
            app.access.demand(who, Permission.EVIDENCE_PUSH, repository)
            raise refuse_channel(target, repository)


def put_manifest(
    app: Services,
    who: Principal,
    repository: str,
    target: Target,
    *,
    raw: bytes,
    content_type: str | None,
    tags: Sequence[Name] = (),
    strict: bool = False,
) -> Accepted:
    """Store, tag or name a manifest. `content_type`: the header, must agree with the manifest.

    `tags`: further names of a manifest that is PUT by digest. A version is named first, so that nothing is tagged if
    it is refused. `strict`: a version is refused rather than left to wait for its signature.

    Raises ManifestInvalid, DigestDiffers, ManifestBlobUnknown, BundleRefused, EvidenceRefused, AdmissionRefused,
    VersionTaken, TooManyPending, TooManyMembers, QuotaExceeded, LoginNeeded, AccessDenied.
    """
    for each in (target, *tags):
        demand_put(app, who, repository, each)
    algorithm = target.algorithm if isinstance(target, Digest) else "sha256"
    manifest = Manifest.parse(raw, content_type=content_type, algorithm=algorithm)
    if isinstance(target, Digest) and manifest.digest != target:
        raise DigestDiffers("the manifest has another digest", found=manifest.digest, expected=target)
    is_evidence = claims_evidence(manifest)
    if not is_evidence:
        app.access.demand(who, Permission.ARTIFACT_PUSH, repository)
        _check_listable(manifest)
    about = () if manifest.subject is None else (manifest.subject,)
    reached = {item.digest for item in (*manifest.blobs, *manifest.manifests, *about)}
    claims.claim(app, repository, {manifest.digest, *reached})
    put = _Put(app, who, repository, manifest)
    working = [name for name in (target, *tags) if isinstance(name, WorkingTag)]
    version = next((name for name in (target, *tags) if isinstance(name, Version)), None)
    if version is not None:
        if is_evidence:  # naming stores it without a look at the bundle, and it would be listed among what was verified
            raise AdmissionRefused(
                "evidence is about a release and never is one",
                code="evidence-not-a-release",
                found=manifest.effective_artifact_type,
                hint=f"put the referrer by its digest, and give {version.text} to the manifest that it is about",
            )
        named = _name(put, version, strict=strict)
        if working:
            _store(put, working, None)
        return named
    if _changes_nothing(put, working):
        accepted = _accepted(manifest, None)
    else:
        check_references(app, who, repository, manifest)
        check_content(app, repository, manifest)
        evidence = app.gate.verify_referrer(app, who, repository=repository, manifest=manifest) if is_evidence else None
        accepted = _store(put, working, evidence)
    if is_evidence and manifest.subject is not None:  # also where it was there before: a crash may have come in between
        app.gate.complete(app, who, repository=repository, subject=manifest.subject.digest)
    return accepted


@dataclass(frozen=True, slots=True)
class _Put:
    app: Services
    who: Principal
    repository: str
    manifest: Manifest


def _name(put: _Put, version: Version, *, strict: bool) -> Accepted:
    app, repository, manifest = put.app, put.repository, put.manifest
    with app.db.read() as tx:
        existing = naming.find_release(tx, repository, version.text)
    if existing is not None:
        naming.check_same_digest(existing, manifest.digest)
        return _accepted(manifest, existing.event_id)
    check_complete(app, put.who, repository, manifest)
    bundle = _checked(put)
    named = app.gate.admit(
        app, put.who, repository=repository, version=version.text, manifest=manifest, bundle=bundle, strict=strict
    )
    if isinstance(named, PendingTag):
        return replace(_accepted(manifest, named.event_id), warnings=(_waits(named),), pending=True)
    warnings = naming.warnings_of(named.release) if named.created else ()
    return replace(_accepted(manifest, named.event_id), warnings=warnings)


def _waits(tag: PendingTag) -> str:
    return (
        f"{tag.repository}:{tag.version} is no release yet: it waits for its signature and provenance "
        f"until {timestamp(tag.expires_at)}; sign {tag.digest}"
    )


def _checked(put: _Put) -> AgentConfig | BundleRefused | None:
    """Check the content, and hand a refusal on: the answer to naming lists it with whatever else is missing."""
    try:
        return check_content(put.app, put.repository, put.manifest)
    except BundleRefused as error:
        return error


def _store(put: _Put, tags: Sequence[WorkingTag], evidence: PendingEvidence | None) -> Accepted:
    now = put.app.clock()
    event_id = None
    with put.app.db.begin() as tx:
        naming.lock_agent(tx, put.repository, now)
        if tx.get(ManifestRow, (put.repository, put.manifest.digest)) is None:
            _check_room(put, tx)
            event_id = _insert(put, tx, now, verified=evidence is not None)
            if evidence is not None:
                evidence.record(tx, now=now)
        for tag in tags:
            event_id = _move(put, tx, tag, now) or event_id
    return _accepted(put.manifest, event_id)


def _insert(put: _Put, tx: Tx, now: datetime, *, verified: bool) -> str:
    manifest = put.manifest
    insert_manifest(tx, put.app, put.repository, manifest, now=now, verified=verified)
    event = ManifestStored(
        at=now,
        actor=Actor.of(put.who),
        repository=put.repository,
        digest=manifest.digest,
        media_type=manifest.media_type,
        artifact_type=manifest.effective_artifact_type,
        subject=manifest.subject.digest if manifest.subject else None,
        size=len(manifest.raw),
        released=tx.get_one(ManifestRow, (put.repository, manifest.digest)).released,
    )
    return audit.append(tx, event, entropy=put.app.entropy)


def _move(put: _Put, tx: Tx, tag: WorkingTag, now: datetime) -> str | None:
    repository, digest = put.repository, put.manifest.digest
    row = tx.get(WorkingTagRow, (repository, tag.text))
    previous = row.digest if row else None
    if previous == digest:
        return None
    if row is None:
        row = WorkingTagRow(
            repository=repository, tag=tag.text, sort_key=sort_key(tag.text), digest=digest, moved_at=now
        )
    row.digest, row.moved_at = digest, now
    tx.add(row)
    event = WorkingTagMoved(
        at=now, actor=Actor.of(put.who), repository=repository, tag=tag.text, digest=digest, previous=previous
    )
    return audit.append(tx, event, entropy=put.app.entropy)


def _changes_nothing(put: _Put, tags: Sequence[WorkingTag]) -> bool:
    """Whether all of it is there already, so that its content need not be looked at again."""
    with put.app.db.read() as tx:
        if tx.get(ManifestRow, (put.repository, put.manifest.digest)) is None:
            return False
        tagged = [tx.get(WorkingTagRow, (put.repository, tag.text)) for tag in tags]
        return all(row is not None and row.digest == put.manifest.digest for row in tagged)


def _check_listable(manifest: Manifest) -> None:
    """Bound what a referrers list repeats: whoever attaches must not make the list too long for those who read it."""
    size = len(canonical_bytes(as_referrer(manifest).as_json())) if manifest.subject else 0
    if size > MAX_REFERRER_BYTES:
        raise ReferrerTooLarge(
            "the annotations of a manifest with a subject are too large",
            found=f"{size} bytes as a descriptor",
            expected=f"at most {MAX_REFERRER_BYTES} bytes",
            hint="put what is long into a layer",
        )


def _check_room(put: _Put, tx: Tx) -> None:
    subject = put.manifest.subject
    if subject is None:
        return
    most = put.app.settings.limits.referrers_per_subject
    if count_referrers(tx, put.repository, subject.digest) >= most:
        raise TooManyReferrers(
            "that subject has as many referrers as it may have", found=subject.digest, expected=f"at most {most}"
        )


def _resolve(app: Services, tx: Tx, who: Principal, repository: str, target: Target) -> str | None:
    match target:
        case Digest():
            return target
        case Version(text):
            release = tx.get(ReleaseRow, (repository, text))
            return release.digest if release else None
        case WorkingTag(text):
            if not app.access.may(who, Permission.WORKING_TAG_READ, repository):
                return None
            tag = tx.get(WorkingTagRow, (repository, text))
            return tag.digest if tag else None
        case Channel():
            return None  # a channel read as a tag would be the registry's word alone


def _unknown(target: Target) -> ManifestUnknown:
    shown = target if isinstance(target, Digest) else target.text
    if isinstance(target, Channel):
        return ManifestUnknown(
            "channels are not served as tags",
            found=shown,
            expected="a version, or a digest",
            hint="pull one by its version: `tidegate pull NAMESPACE/AGENT:VERSION --to DIR`; `tags/list` names them",
        )
    return ManifestUnknown("there is no such manifest here", found=shown)


def _accepted(manifest: Manifest, event_id: str | None) -> Accepted:
    return Accepted(manifest.digest, manifest.subject.digest if manifest.subject else None, event_id)
