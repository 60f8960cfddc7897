"""Blobs that arrived in the store become content of a repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import sessions
from tidegate_registry.artifacts.blobs import NewBlob, link_blobs
from tidegate_registry.artifacts.direct.blobs import (
    Announced,
    State,
    check_announced,
    final_key,
    find_available,
    in_parallel,
    is_own,
    mark_of,
)
from tidegate_registry.artifacts.errors import SizeDiffers, UploadUnknown
from tidegate_registry.keeping import claims
from tidegate_registry.storage.blobs import BlobMissing, StagingKey, StoredBlob
from tidegate_registry.storage.parts import part_count, part_size
from tidegate_registry.storage.staging import MultipartGone
from tidegate_registry.storage.uploads import DigestDiffers

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.artifacts.tables import UploadRow
    from tidegate_registry.services import Services


def commit_uploads(
    app: Services, who: Principal, repository: str, blobs: Sequence[Announced]
) -> list[tuple[Announced, State]]:
    """Take in what has arrived, all links in one transaction, and say of each blob whether it is there now.

    May be repeated. A blob that came in parts is read and hashed here, which takes the store its time.
    Raises LoginNeeded, AccessDenied, UploadInvalid, UploadTooLarge, SizeDiffers, UploadBusy,
    BlobBeingRemoved; and DigestDiffers for parts that make other bytes than were announced, which ends their session.
    """
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    check_announced(app, who, repository, blobs)
    claims.claim(app, repository, [blob.digest for blob in blobs])
    here = find_available(app, who, repository, blobs)
    arrivals = _Arrivals(app, who, repository)
    waiting = [blob for blob in blobs if blob.digest not in here]
    for blob, arrived in zip(waiting, in_parallel(app, arrivals.take, waiting), strict=True):
        if arrived:
            here[blob.digest] = None
    link_blobs(
        app,
        who,
        repository,
        [NewBlob(blob.digest, blob.size, here[blob.digest]) for blob in blobs if blob.digest in here],
    )
    for blob in blobs:
        if blob.session is not None and blob.digest in here:
            arrivals.end(blob.session)
    return [(blob, State.PRESENT if blob.digest in here else State.MISSING) for blob in blobs]


@dataclass(frozen=True, slots=True)
class _Arrivals:
    """What a caller has sent."""

    app: Services
    who: Principal
    repository: str

    def take(self, blob: Announced) -> bool:
        """Look for the blob where its plan said it should go; say whether it is whole, and where it stays."""
        if blob.session is not None and (row := self._find(blob.session, blob.digest)) is not None:
            try:
                return self._finish(row, blob)
            except (UploadUnknown, BlobMissing):
                # another request of this caller has just ended the session: another plan tells what became of the blob
                return False
        stored = self.app.blobs.stat(final_key(self.repository, blob.digest))
        # without the mark of this caller it was sent by somebody else, and naming its digest proves nothing
        return stored is not None and is_own(stored, blob, mark_of(self.who, self.repository))

    def end(self, session: str) -> None:
        """Drop a session whose blob is linked; one that ended meanwhile is no error."""
        row = self._find(session, None)
        if row is not None:
            sessions.drop_session(self.app, row)

    def _find(self, session: str, digest: Digest | None) -> UploadRow | None:
        try:
            row = sessions.find_session(self.app, self.who, self.repository, session, direct=True)
        except UploadUnknown:
            return None
        return row if digest is None or row.digest == digest else None

    def _finish(self, row: UploadRow, blob: Announced) -> bool:
        app = self.app
        if row.reserved != blob.size:
            raise SizeDiffers("the plan was for another size", found=blob.size, expected=row.reserved)
        seconds = app.settings.limits.upload_seconds
        row = sessions.hold_session(app, self.who, self.repository, row.id, direct=True, seconds=seconds)
        try:
            staged = self._staged(row)
            if staged is not None:
                staged, sha256 = self._hashed(row, staged)
                if (staged.size, sha256) != (blob.size, blob.digest):
                    sessions.drop_session(app, row)
                    raise DigestDiffers("the bytes have another digest", found=sha256, expected=blob.digest)
                target = final_key(self.repository, blob.digest)
                app.blobs.promote(StagingKey(row.id), target, staged=staged, sha256=blob.digest)
        finally:
            sessions.release_session(app, row.id)
        return staged is not None

    def _staged(self, row: UploadRow) -> StoredBlob | None:
        """Give the whole staged object, after putting its parts together; None while something is missing."""
        key = StagingKey(row.id)
        staged = self.app.blobs.stat(key)
        if staged is not None or row.multipart is None:
            return staged
        try:
            parts = self.app.staging.parts(key, row.multipart)
            numbers = range(1, part_count(row.reserved, row.part_bytes) + 1)
            expected = [(number, part_size(number, row.reserved, row.part_bytes)) for number in numbers]
            if [(part.number, part.size) for part in parts] != expected:
                return None
            sums = sessions.announced_parts(self.app, row.id)
            summed = [replace(part, sha256=sums.get(part.number)) for part in parts]
            self.app.staging.complete(key, row.multipart, summed)
        except MultipartGone:
            return None
        return self.app.blobs.stat(key)

    def _hashed(self, row: UploadRow, staged: StoredBlob) -> tuple[StoredBlob, Digest]:
        """Give the sha256 of a staged object: the store's own for one PUT, ours for what came in parts."""
        if staged.sha256 is not None and row.multipart is None:
            return staged, staged.sha256
        measured, sha256, _ = self.app.blobs.measure(StagingKey(row.id))
        return measured, sha256
