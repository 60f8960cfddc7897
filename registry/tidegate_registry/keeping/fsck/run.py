"""A whole check: look, name the releases that break, and, where asked, put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import func, select

from tidegate_registry.artifacts.tables import BlobRow, ManifestRow, ReleaseRow
from tidegate_registry.audit.compare import demand_same_log
from tidegate_registry.audit.problems import LogHalted
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.keeping.fsck.breaks import broken_releases
from tidegate_registry.keeping.fsck.findings import Finding, Problem
from tidegate_registry.keeping.fsck.objects import check_objects
from tidegate_registry.keeping.fsck.published import check_published
from tidegate_registry.keeping.fsck.records import check_records

if TYPE_CHECKING:
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check looked at and found. `counts`: rows by kind. `rehashed`: every object was read."""

    findings: Sequence[Finding]
    counts: dict[str, int]
    rehashed: bool

    @property
    def problems(self) -> list[Finding]:
        """What is wrong and was not put right."""
        return [finding for finding in self.findings if not finding.is_note and finding.done is None]


def check(app: Services, *, rehash: bool = False, advance: Callable[[int], None] = lambda _: None) -> Checked:
    """Check everything; changes nothing. Raises StoreUnavailable, DatabaseUnavailable."""
    findings = [
        *_check_log(app),
        *check_published(app),
        *check_records(app),
        *check_objects(app, rehash=rehash, advance=advance),
    ]
    with app.db.read() as tx:
        counts = {
            name: tx.exec(select(func.count()).select_from(row)).one()
            for name, row in (
                ("blobs", BlobRow),
                ("manifests", ManifestRow),
                ("releases", ReleaseRow),
                ("entries", AuditEventRow),
            )
        }
        for finding in findings:
            if not finding.is_note:
                finding.breaks = broken_releases(tx, finding)
    return Checked(findings, counts, rehash)


def _check_log(app: Services) -> Iterator[Finding]:
    try:
        demand_same_log(app, None)
    except LogHalted as error:
        (reason,) = error.reasons
        yield Finding(Problem(error.code), "registry", "", reason.found or "", reason.expected or "")
