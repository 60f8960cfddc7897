"""What the summaries room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import DigestText, EventId, Repository, Tag, Word, Words


@dataclass(frozen=True, kw_only=True)
class SummaryAttached(Event):
    """The signed summary of a decision was attached to the manifest. `decision`: the decision's entry.

    `manifest`: the referrer; `bundle`: what it attaches; `payload`: digest of the statement that was signed.
    """

    type: ClassVar[str] = "vsa.attached"

    repository: Repository
    digest: DigestText
    version: Tag
    channel: Tag | None
    decision: EventId
    manifest: DigestText
    bundle: DigestText
    payload: DigestText
    levels: Words


@dataclass(frozen=True, kw_only=True)
class SummaryNotMade(Event):
    """A decision will have no summary. `problem`: the error's code."""

    type: ClassVar[str] = "vsa.not-made"

    repository: Repository
    digest: DigestText
    decision: EventId
    problem: Word
