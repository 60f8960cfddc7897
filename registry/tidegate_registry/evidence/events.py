"""What the evidence room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event


@dataclass(frozen=True, kw_only=True)
class EvidenceVerified(Event):
    """A Sigstore bundle about `subject` passed every step. The actor attached it; `issuer` and `identity` signed it."""

    type: ClassVar[str] = "evidence.verified"

    repository: str
    subject: str
    manifest: str
    bundle: str
    payload: str
    predicate_type: str
    role: str
    signers: tuple[str, ...]
    root: str
    root_digest: str
    issuer: str
    identity: str
    signed_at: str
    charter: str
    charter_version: int
