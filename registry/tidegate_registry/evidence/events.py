"""What the evidence room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import DigestText, Long, Repository, Word, Words


@dataclass(frozen=True, kw_only=True)
class EvidenceVerified(Event):
    """A Sigstore bundle about `subject` passed every step. The actor attached it; `issuer` and `identity` signed it."""

    type: ClassVar[str] = "evidence.verified"

    repository: Repository
    subject: DigestText
    manifest: DigestText
    bundle: DigestText
    payload: DigestText
    predicate_type: Long
    role: Word
    signers: Words
    root: Word
    root_digest: DigestText
    issuer: Long
    identity: Long
    signed_at: Word
    charter: DigestText
    charter_version: int
