"""What the keeping room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event


@dataclass(frozen=True, kw_only=True)
class ManifestRemoved(Event):
    """A manifest that was never released was removed. `why`: a sentence."""

    type: ClassVar[str] = "manifest.removed"

    repository: str
    digest: str
    subject: str | None
    size: int
    why: str


@dataclass(frozen=True, kw_only=True)
class BlobRemoved(Event):
    """A blob that no manifest names was removed from the namespace. `why`: a sentence."""

    type: ClassVar[str] = "blob.removed"

    namespace: str
    digest: str
    size: int
    why: str


@dataclass(frozen=True, kw_only=True)
class RecordRepaired(Event):
    """What was missing or wrong in the registry's records was put right from what it can prove. `what`: a sentence."""

    type: ClassVar[str] = "record.repaired"

    repository: str | None = None
    namespace: str | None = None
    digest: str
    problem: str
    what: str


@dataclass(frozen=True, kw_only=True)
class ObjectRestored(Event):
    """The bytes of a digest were put back where they were missing or altered. `was`: what was there."""

    type: ClassVar[str] = "object.restored"

    namespace: str
    digest: str
    size: int
    was: str
    source: str


@dataclass(frozen=True, kw_only=True)
class LossAccepted(Event):
    """An operator said that this database goes on although the bucket has seen more. `reason`: theirs.

    `marked_position` and `marked_entry`: what the high-water mark said; `position`: of the last entry here.
    """

    type: ClassVar[str] = "loss.accepted"

    marked_position: int
    marked_entry: str
    position: int
    reason: str
