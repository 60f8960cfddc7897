"""Evidence written again from the entries that tell of it: its bundle is verified once more, as of the entry's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate.errors import TidegateError
from tidegate.formats.manifest import Manifest
from tidegate_registry.artifacts.redo import restore_manifest
from tidegate_registry.artifacts.tables import ManifestRow
from tidegate_registry.evidence.events import EvidenceVerified
from tidegate_registry.evidence.service import signature_of, verify_kept, write_evidence
from tidegate_registry.evidence.tables import EvidenceRow

if TYPE_CHECKING:
    from tidegate_registry.audit.redo import Redoing, RedoTable


def _verified(doing: Redoing) -> str | None:
    said, app, tx = doing.event(EvidenceVerified), doing.app, doing.tx
    attached = select(EvidenceRow.signature).where(
        EvidenceRow.repository == said.repository, EvidenceRow.manifest == said.manifest
    )
    if tx.exec(attached).first() is not None:
        return None
    name = f"evidence {said.manifest} about {said.repository}@{said.subject}"
    charter = app.trust.charters().for_agent(said.repository) if app.trust is not None else None
    if app.trust is None or charter is None:
        return f"{name}: there is no charter for {said.repository}"
    subject = tx.get(ManifestRow, (said.repository, said.subject))
    lacking = restore_manifest(
        doing, said.repository, Digest.parse(said.manifest), released=subject is not None and subject.released
    )
    if lacking is not None:
        return lacking
    row = tx.exec(
        select(ManifestRow).where(ManifestRow.repository == said.repository, col(ManifestRow.digest) == said.manifest)
    ).one()
    try:
        found = verify_kept(
            app,
            app.trust.current(),
            charter,
            repository=said.repository,
            subject=Digest.parse(said.subject),
            bundle=Digest.parse(said.bundle),
            now=said.at,
        )
    except TidegateError as error:  # its bundle is gone, or it is not trusted any more: it counts for nothing
        return f"{name}: {error}"
    if tx.get(EvidenceRow, (said.repository, said.subject, signature_of(found))) is None:
        manifest = Manifest.parse(row.raw, algorithm=Digest(row.digest).algorithm)
        write_evidence(tx, said.repository, manifest, found, doing.entry.id)
    return None


REDO: Final[RedoTable] = {EvidenceVerified.type: _verified}
