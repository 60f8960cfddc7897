"""What the trusting room writes into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import Digests, DigestText, Gone


@dataclass(frozen=True, kw_only=True)
class TrustChanged(Event):
    """The registry trusts others than before, or tells the log for the first time whom.

    `digest`: of the description, an object beside the log: roots and charters by name and digest, and the keys of log
    and summaries. `before`: of the one before. `roots`, `charters`: the digests in it that were not in the one before,
    objects too: a trusted root as the operator's file has it, a charter in its canonical form, in which decisions name
    it. `gone`: what is no longer trusted, `root NAME` or `charter AGENT`. What is not listed for its number is in the
    descriptions.
    """

    type: ClassVar[str] = "trust.changed"

    digest: DigestText
    before: DigestText | None
    roots: Digests
    charters: Digests
    gone: Gone
