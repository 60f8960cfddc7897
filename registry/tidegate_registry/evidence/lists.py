"""Evidence about a manifest, for those who may see the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import catalogue
from tidegate_registry.artifacts.errors import ManifestUnknown
from tidegate_registry.evidence.service import evidence_page
from tidegate_registry.evidence.tables import EvidenceRow

if TYPE_CHECKING:
    from tidegate_registry.services import Services


def list_evidence(
    app: Services, who: Principal, repository: str, subject: Digest, *, after: str, size: int
) -> tuple[Sequence[EvidenceRow], str | None]:
    """Give a page in the order of arrival. Raises ManifestUnknown for what the caller may not see.

    Who may publish or attest sees evidence about what is in quarantine, or not even pushed yet.
    """
    with app.db.read() as tx:
        hidden = not catalogue.is_released(tx, repository, subject)
        if hidden and not app.access.may(who, Permission.QUARANTINE_READ, repository):
            raise ManifestUnknown("there is no such manifest here", found=subject)
        return evidence_page(tx, repository, subject, after=after, size=size)
