"""What the admission room writes into the audit log. Records of decisions are named by digest: they may be long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import DigestText, Repository, Tag, Words


@dataclass(frozen=True, kw_only=True)
class AdmissionDecided(Event):
    """It was decided whether a manifest becomes a version. `record`: digest of the decision's record.

    `missing`: the codes of what held it up. A refusal has no other entry; a yes is followed by `release.admitted`,
    which names this one.
    """

    type: ClassVar[str] = "admission.decided"

    repository: Repository
    version: Tag
    digest: DigestText
    allowed: bool
    record: DigestText
    policy: DigestText | None
    charter: DigestText | None
    missing: Words
