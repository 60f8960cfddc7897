"""What the keeping room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import DigestText, Line, Namespace, Repository, Sentence, Word


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
class LogRestored(Event):
    """An operator brought the database up to the published log, of `size` entries, from the log's own files.

    `imported`: entries that the database lacked; `placed`, `displaced`: that had another index; `corrected`: whose
    bytes had been changed here. `lacking`: how many of the things that entries tell of are still lost. `files`: of the
    log that were written again from the database.
    """

    type: ClassVar[str] = "log.restored"

    size: int
    imported: int
    placed: int
    displaced: int
    corrected: int
    lacking: int
    files: int
