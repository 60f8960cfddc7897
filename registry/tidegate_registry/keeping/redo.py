"""What was collected stays gone: a database that came back from before must not promise bytes that the store lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, select

from tidegate.digest import Digest
from tidegate_registry.artifacts.tables import (
    BlobLinkRow,
    BlobRow,
    ManifestEdgeRow,
    ManifestRow,
    PendingTagRow,
    ReleaseRow,
    WorkingTagRow,
)
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.keeping.events import BlobRemoved, ManifestRemoved
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from tidegate_registry.audit.redo import Redoing, RedoTable


def _manifest_removed(doing: Redoing) -> str | None:
    said, tx = doing.event(ManifestRemoved), doing.tx
    release = select(ReleaseRow.version).where(
        ReleaseRow.repository == said.repository, ReleaseRow.digest == said.digest
    )
    if (version := tx.exec(release).first()) is not None:
        return f"{said.repository}@{said.digest} was removed in the log, and is version {version} here"
    # when it was removed, no tag named it any more; what they named then is told by other entries
    for table in (PendingTagRow, WorkingTagRow):
        tx.exec(delete(table).where(col(table.repository) == said.repository, col(table.digest) == said.digest))
    tx.exec(
        delete(EvidenceRow).where(
            col(EvidenceRow.repository) == said.repository, col(EvidenceRow.manifest) == said.digest
        )
    )
    tx.exec(
        delete(ManifestEdgeRow).where(
            col(ManifestEdgeRow.repository) == said.repository, col(ManifestEdgeRow.parent) == said.digest
        )
    )
    tx.exec(
        delete(ManifestRow).where(
            col(ManifestRow.repository) == said.repository, col(ManifestRow.digest) == said.digest
        )
    )
    return None


def _blob_removed(doing: Redoing) -> str | None:
    said, tx = doing.event(BlobRemoved), doing.tx
    if doing.app.blobs.stat(BlobKey(said.namespace, Digest.parse(said.digest))) is not None:
        return None  # it was pushed again since
    for table in (BlobLinkRow, BlobRow):
        tx.exec(delete(table).where(col(table.namespace) == said.namespace, col(table.digest) == said.digest))
    return None


REDO: Final[RedoTable] = {ManifestRemoved.type: _manifest_removed, BlobRemoved.type: _blob_removed}
