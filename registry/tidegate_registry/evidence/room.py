"""How much evidence one manifest may have: never more than a host reads, and half of it is kept for publishers.

A host refuses a release with too much attached, whatever it is (docs/spec/verification.md, V2), so the registry's
limits are the host's. Step E10 of docs/spec/evidence.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from tidegate.formats.charter import Role
from tidegate.verify.release import MAX_EVIDENCE_BYTES
from tidegate_registry.artifacts.errors import TooManyReferrers, TooMuchEvidence
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import BlobRow
from tidegate_registry.evidence.tables import EvidenceRow

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate_registry.db import Tx

ATTESTERS_SHARE = 2  # attesters together have one part in two: the publisher signs last, and must find room


@dataclass(frozen=True, slots=True)
class Attached:
    """How many signatures are attached, and the bytes of their bundles."""

    count: int
    size: int


def check_room(tx: Tx, repository: str, subject: Digest, *, role: Role, size: int, most: int) -> None:
    """Check that one more bundle of `size` bytes, signed in `role`, may be attached to `subject`.

    `most`: referrers of one subject, of which attesters have a share; all of them are counted where they are stored.
    Raises TooManyReferrers, TooMuchEvidence.
    """
    attached = _attached(tx, repository, subject)
    everyone = sum(each.size for each in attached.values())
    _check_bytes(everyone + size, MAX_EVIDENCE_BYTES, subject, "all together")
    if role == Role.PUBLISHER:
        return
    others = [each for each_role, each in attached.items() if each_role != Role.PUBLISHER]
    if sum(each.count for each in others) >= most // ATTESTERS_SHARE:
        raise TooManyReferrers(
            "that subject has as much evidence by attesters as it may have",
            found=subject,
            expected=f"at most {most // ATTESTERS_SHARE}: the rest is kept for publishers",
        )
    _check_bytes(
        sum(each.size for each in others) + size, MAX_EVIDENCE_BYTES // ATTESTERS_SHARE, subject, "by attesters"
    )


def _check_bytes(size: int, most: int, subject: Digest, whose: str) -> None:
    if size > most:
        raise TooMuchEvidence(
            f"that subject would have more evidence, {whose}, than it may have",
            found=f"{size} bytes about {subject}",
            expected=f"at most {most} bytes",
        )


def _attached(tx: Tx, repository: str, subject: Digest) -> dict[str, Attached]:
    query = (
        select(EvidenceRow.role, func.count(), func.sum(BlobRow.size))
        .join(BlobRow, col(BlobRow.digest) == EvidenceRow.bundle)
        .where(
            BlobRow.namespace == namespace_of(repository),
            EvidenceRow.repository == repository,
            EvidenceRow.subject == subject,
        )
        .group_by(EvidenceRow.role)
    )
    return {role: Attached(count, int(size)) for role, count, size in tx.exec(query)}
