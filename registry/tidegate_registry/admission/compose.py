"""Makes the gate that the composition root hands to the rooms: evidence and admission behind one protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.config import AgentConfig
from tidegate.formats.manifest import Manifest
from tidegate.verify.trust import Trust
from tidegate_registry.access.principal import Principal
from tidegate_registry.admission.deferred import complete_pending
from tidegate_registry.admission.service import Request, admit
from tidegate_registry.artifacts.naming import Named
from tidegate_registry.artifacts.pending import PendingTag
from tidegate_registry.evidence.service import PendingEvidence, verify_referrer
from tidegate_registry.promotion.settling import evidence_arrived

if TYPE_CHECKING:
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class SigstoreGate:
    """Decides with Sigstore evidence and charters. `trust` gives what is in force; it is asked for each decision."""

    trust: Callable[[], Trust]
    clock: Callable[[], datetime]

    def verify_referrer(self, app: Services, who: Principal, *, repository: str, manifest: Manifest) -> PendingEvidence:
        """See `services.Gate`."""
        return verify_referrer(app, self.trust(), who, repository=repository, manifest=manifest, now=self.clock())

    def admit(
        self,
        app: Services,
        who: Principal,
        *,
        repository: str,
        version: str,
        manifest: Manifest,
        bundle: AgentConfig | BundleRefused | None,
        strict: bool,
    ) -> Named | PendingTag:
        """See `services.Gate`."""
        return admit(app, self.trust, Request(who, repository, version, manifest, bundle, strict))

    def complete(self, app: Services, who: Principal, *, repository: str, subject: Digest) -> None:
        """See `services.Gate`."""
        complete_pending(app, self.trust, who, repository=repository, subject=subject)
        evidence_arrived(app, who, repository=repository, subject=subject)


def open_gate(*, trust: Callable[[], Trust], clock: Callable[[], datetime]) -> SigstoreGate:
    """Make the gate."""
    return SigstoreGate(trust, clock)
