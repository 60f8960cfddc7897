"""What the keeping room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import DigestText, EventId, Line, Namespace, Repository, Sentence, Word


@dataclass(frozen=True, kw_only=True)
class ManifestRemoved(Event):
    """A manifest that was never released was removed. `why`: a sentence."""

    type: ClassVar[str] = "manifest.removed"

    repository: Repository
    digest: DigestText
    subject: DigestText | None
    size: int
    why: Sentence


@dataclass(frozen=True, kw_only=True)
class BlobRemoved(Event):
    """A blob that no manifest names was removed from the namespace. `why`: a sentence."""

    type: ClassVar[str] = "blob.removed"

    namespace: Namespace
    digest: DigestText
    size: int
    why: Sentence


@dataclass(frozen=True, kw_only=True)
class RecordRepaired(Event):
    """What was missing or wrong in the registry's records was put right from what it can prove. `what`: a sentence."""

    type: ClassVar[str] = "record.repaired"

    repository: Repository | None = None
    namespace: Namespace | None = None
    digest: DigestText
    problem: Word
    what: Sentence


@dataclass(frozen=True, kw_only=True)
class ObjectRestored(Event):
    """The bytes of a digest were put back where they were missing or altered. `was`: what was there."""

    type: ClassVar[str] = "object.restored"

    namespace: Namespace
    digest: DigestText
    size: int
    was: Sentence
    source: Line


@dataclass(frozen=True, kw_only=True)
class LossAccepted(Event):
    """An operator said that this database goes on although the bucket has seen more. `reason`: theirs.

    `marked_position` and `marked_entry`: what the high-water mark said; `position`: of the last entry here.
    """

    type: ClassVar[str] = "loss.accepted"

    marked_position: int
    marked_entry: EventId
    position: int
    reason: Sentence
