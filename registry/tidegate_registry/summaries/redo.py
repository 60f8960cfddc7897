"""Summaries attached again, as the entries tell that they were: a decision has one, and keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate.digest import Digest
from tidegate_registry.artifacts.redo import restore_manifest
from tidegate_registry.summaries.events import SummaryAttached, SummaryNotMade
from tidegate_registry.summaries.tables import SummaryRow

if TYPE_CHECKING:
    from tidegate_registry.audit.redo import Redoing, RedoTable


def _attached(doing: Redoing) -> str | None:
    said = doing.event(SummaryAttached)
    if doing.tx.get(SummaryRow, said.decision) is not None:
        return None
    lacking = restore_manifest(doing, said.repository, Digest.parse(said.manifest), released=True)
    if lacking is not None:
        return lacking  # another one will be made
    doing.tx.add(_row(said, said.manifest, None))
    return None


def _not_made(doing: Redoing) -> str | None:
    said = doing.event(SummaryNotMade)
    if doing.tx.get(SummaryRow, said.decision) is None:
        doing.tx.add(_row(said, None, said.problem))
    return None


def _row(said: SummaryAttached | SummaryNotMade, manifest: str | None, problem: str | None) -> SummaryRow:
    return SummaryRow(
        entry=said.decision,
        repository=said.repository,
        subject=said.digest,
        manifest=manifest,
        problem=problem,
        made_at=said.at,
    )


REDO: Final[RedoTable] = {SummaryAttached.type: _attached, SummaryNotMade.type: _not_made}
