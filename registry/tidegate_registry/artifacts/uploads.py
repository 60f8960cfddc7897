"""Upload sessions: begun, written to, ended. A session belongs to whoever began it and is no state of the registry.

The bytes are in `storage/uploads`; the row says how many count. A request that writes holds the session (`busy_until`),
so that two never interleave; what a broken request left beyond the row's size is overwritten by the next one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, func, select, update

from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.blobs import NewBlob, link_blobs
from tidegate_registry.artifacts.errors import ChunkOutOfOrder, TooManyUploads, UploadBusy, UploadUnknown
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import UploadRow

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services
    from tidegate_registry.storage.uploads import UploadSink

BUSY_SLACK = timedelta(seconds=60)  # beyond the longest request: the hold of a process that died ends by itself
SWEEP_BATCH = 500


@dataclass(frozen=True, slots=True)
class Upload:
    """Where a session stands: `size` bytes have been received and are kept."""

    id: str
    repository: str
    size: int

    @property
    def path(self) -> str:
        """The path under which it goes on."""
        return f"/v2/{self.repository}/blobs/uploads/{self.id}"

    @property
    def range(self) -> str:
        """The Range header: `0-<last byte received>`; `0-0` for none, as the spec has no way to say so."""
        return f"0-{max(self.size - 1, 0)}"


def begin_upload(app: Services, who: Principal, repository: str) -> Upload:
    """Open a session. Raises LoginNeeded, AccessDenied, TooManyUploads."""
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    now, limits = app.clock(), app.settings.limits
    session = str(uuid.UUID(bytes=app.entropy(16), version=4))
    alive = now - timedelta(seconds=limits.upload_session_seconds)
    with app.db.scratch() as tx:
        unfinished = tx.exec(
            select(func.count()).where(UploadRow.owner == who.key, col(UploadRow.continued_at) > alive)
        ).one()
        if unfinished >= limits.uploads_in_flight:
            raise TooManyUploads(
                "this caller has too many unfinished uploads",
                found=unfinished,
                expected=f"at most {limits.uploads_in_flight}",
                hint="finish them, or cancel them with DELETE",
            )
        tx.add(UploadRow(id=session, repository=repository, owner=who.key, continued_at=now))
    return Upload(session, repository, 0)


def find_upload(app: Services, who: Principal, repository: str, session: str) -> Upload:
    """Find a session of `who`. Raises LoginNeeded, AccessDenied, UploadUnknown."""
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    with app.db.read() as tx:
        row = tx.get(UploadRow, session)
    if row is None or (row.repository, row.owner) != (repository, who.key) or row.digest is not None:
        raise _unknown(session)
    return Upload(session, repository, row.size)


def hold_upload(app: Services, who: Principal, repository: str, session: str, *, start: int | None) -> UploadSink:
    """Take the session for one request and open its bytes. `start`: where the caller says that the bytes begin.

    Raises UploadUnknown, UploadBusy, ChunkOutOfOrder. Whoever holds it calls `release_upload` or `finish_upload`.
    """
    upload = find_upload(app, who, repository, session)
    now, limits = app.clock(), app.settings.limits
    with app.db.scratch() as tx:
        free = (col(UploadRow.busy_until).is_(None)) | (col(UploadRow.busy_until) < now)
        held = tx.exec(
            update(UploadRow)
            .where(col(UploadRow.id) == session, free)
            .values(busy_until=now + timedelta(seconds=limits.upload_seconds) + BUSY_SLACK, continued_at=now)
        )
        row = tx.get(UploadRow, session)
    if row is None:
        raise _unknown(session)
    if held.rowcount != 1:
        raise UploadBusy("another request is writing to this upload", hint="wait for it, or begin another upload")
    if start is not None and start != row.size:
        release_upload(app, session, row.size)
        raise ChunkOutOfOrder(
            "the chunk does not start where the last one ended",
            found=f"first byte {start}",
            expected=f"first byte {row.size}",
            headers={"Range": upload.range, "Location": upload.path},
        )
    most = limits.blob_bytes
    if not app.access.may(who, Permission.ARTIFACT_PUSH, repository):
        most = min(most, limits.evidence_bytes)  # an attester sends Sigstore bundles, nothing larger
    return app.stage.open(session, size=row.size, limit=most)


def release_upload(app: Services, session: str, size: int) -> None:
    """Let go of the session; `size` bytes count now."""
    with app.db.scratch() as tx:
        tx.exec(
            update(UploadRow)
            .where(col(UploadRow.id) == session)
            .values(busy_until=None, size=size, continued_at=app.clock())
        )


def finish_upload(app: Services, who: Principal, upload: Upload, sink: UploadSink, digest: Digest) -> None:
    """Make the bytes in `sink` the blob `digest`, and end the session. Raises DigestDiffers, StoredBytesDiffer."""
    size = sink.size
    sink.commit(namespace_of(upload.repository), digest, app.blobs)
    link_blobs(app, who, upload.repository, [NewBlob(digest, size)])
    _forget(app, upload.id)


def cancel_upload(app: Services, who: Principal, repository: str, session: str) -> None:
    """End the session and drop its bytes. Raises UploadUnknown."""
    find_upload(app, who, repository, session)
    drop_upload(app, session)


def drop_upload(app: Services, session: str) -> None:
    """Drop bytes and row, whoever it belongs to."""
    app.stage.discard(session)
    _forget(app, session)


def sweep_uploads(app: Services) -> int:
    """Drop the sessions that nobody continued in time; say how many. At most SWEEP_BATCH, so that it stays short."""
    now = app.clock()
    stale = now - timedelta(seconds=app.settings.limits.upload_session_seconds)
    with app.db.read() as tx:
        query = select(UploadRow.id).where(
            col(UploadRow.continued_at) < stale,
            (col(UploadRow.busy_until).is_(None)) | (col(UploadRow.busy_until) < now),
        )
        sessions = tx.exec(query.limit(SWEEP_BATCH)).all()
    for session in sessions:
        drop_upload(app, session)
    app.stage.sweep(stale)  # what another replica dropped the row of, and a crash left behind
    return len(sessions)


def _forget(app: Services, session: str) -> None:
    with app.db.scratch() as tx:
        row = tx.get(UploadRow, session)
        if row is not None:
            tx.delete(row)


def _unknown(session: str) -> UploadUnknown:
    return UploadUnknown(
        "there is no such upload of this caller",
        found=session[:100],
        hint="it ended, expired or was begun by someone else; begin another",
    )
