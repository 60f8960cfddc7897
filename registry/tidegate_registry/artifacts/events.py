"""What the artifacts room writes into the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tidegate_registry.audit.events import Actor, Event
from tidegate_registry.audit.fields import Digests, DigestText, EventId, Line, Repository, Sentence, Tag


@dataclass(frozen=True, kw_only=True)
class BlobStored(Event):
    """A blob was pushed to a repository. `source`: the repository it was mounted from, if it was."""

    type: ClassVar[str] = "blob.stored"

    repository: Repository
    digest: DigestText
    size: int
    source: Repository | None = None


@dataclass(frozen=True, kw_only=True)
class ManifestStored(Event):
    """A manifest was stored. `released`: readable at once, as it refers to something released; else in quarantine."""

    type: ClassVar[str] = "manifest.stored"

    repository: Repository
    digest: DigestText
    media_type: Line
    artifact_type: Line | None
    subject: DigestText | None
    size: int
    released: bool


@dataclass(frozen=True, kw_only=True)
class WorkingTagMoved(Event):
    """A working tag names another manifest now. `previous`: the one it named before."""

    type: ClassVar[str] = "working-tag.moved"

    repository: Repository
    tag: Tag
    digest: DigestText
    previous: DigestText | None


@dataclass(frozen=True, kw_only=True)
class ReleaseAdmitted(Event):
    """A manifest became a version, for ever. `evidence`: digests of the statements that allowed it.

    `tagged`: where the tag came first and waited, the entry that says so; `completed_by`: whose request brought what
    was missing. The actor is the publisher under whose right it was named.

    `facts`: what the decision rested on, as the release remembers it (charter, floor, signers, checked steps); where
    that is more than 16 KiB, `facts_object` names it instead.
    `decision`: the entry `admission.decided` that it follows from.
    """

    type: ClassVar[str] = "release.admitted"

    repository: Repository
    version: Tag
    digest: DigestText
    size: int
    evidence: Digests
    evidence_object: DigestText | None = None
    facts: Mapping[str, object] | None = None
    facts_object: DigestText | None = None
    decision: EventId | None = None
    tagged: EventId | None = None
    completed_by: Actor | None = None


@dataclass(frozen=True, kw_only=True)
class ReleasePending(Event):
    """A version tag came before its signature and waits for it. `previous`: what this publisher's tag named before."""

    type: ClassVar[str] = "release.pending"

    repository: Repository
    version: Tag
    digest: DigestText
    expires_at: datetime
    previous: DigestText | None


@dataclass(frozen=True, kw_only=True)
class PendingTagEnded(Event):
    """A waiting version tag is gone. `reason`: `expired`, or `version-taken` by another manifest.

    `publisher`: whose tag it was.
    """

    type: ClassVar[str] = "release.pending-ended"

    repository: Repository
    version: Tag
    digest: DigestText
    publisher: Actor
    reason: Sentence
