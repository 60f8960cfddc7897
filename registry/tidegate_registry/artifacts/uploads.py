"""Uploads of OCI clients: begun, continued, ended. What came of one is a blob of its repository.

The bytes are in `storage/uploads`; the session's row says how many count. What a broken request left beyond that is
overwritten by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import sessions
from tidegate_registry.artifacts.blobs import NewBlob, record_blobs
from tidegate_registry.artifacts.errors import ChunkOutOfOrder
from tidegate_registry.storage.parts import MAX_PARTS, STREAM_PART_BYTES
from tidegate_registry.storage.uploads import Position, UploadTooLarge

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services


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


@dataclass(slots=True)
class Held:
    """A session that this request works on. `most`: bytes of one blob; `room`: bytes it may have in the store."""

    app: Services
    who: Principal
    upload: Upload
    position: Position
    most: int
    room: int

    def allow_whole(self, size: int) -> None:
        """Raise UploadTooLarge where `size` bytes are too many for a blob."""
        if size > self.most:
            raise UploadTooLarge("that is more than one blob may have", expected=f"at most {self.most} bytes")

    def allow(self, size: int) -> None:
        """Raise UploadTooLarge or TooMuchStaged where `size` bytes in all are too many to wait in the store."""
        self.allow_whole(size)
        if size > self.room:
            raise sessions.too_much_staged(size, self.room)

    def checkpoint(self, size: int) -> None:
        """Count the bytes of a long request while it lasts, against the caller's other uploads."""
        sessions.touch_session(self.app, self.upload.id, reserved=size)
        self.room = sessions.room_for(self.app, self.who, self.upload.id)

    def sums(self) -> Mapping[int, Digest]:
        """Give what the parts that are stored hash to."""
        return sessions.announced_parts(self.app, self.upload.id)

    def release(self, position: Position, sums: Mapping[int, Digest] | None = None) -> None:
        """Let go of the session; `position` counts now, with new parts that hash to `sums`.

        Raises UploadUnknown where it was cancelled meanwhile.
        """
        if sums:
            sessions.announce_parts(self.app, self.upload.id, sums)
        if not sessions.release_session(
            self.app, self.upload.id, size=position.size, reserved=position.size, multipart=position.multipart
        ):
            raise sessions.unknown_session(self.upload.id)

    def finish(self, digest: Digest, size: int) -> None:
        """Record the blob and end the session, in one transaction."""
        with self.app.db.begin() as tx:
            record_blobs(tx, self.app, self.who, self.upload.repository, [NewBlob(digest, size)])
            sessions.end_session(tx, self.upload.id)


def begin_upload(app: Services, who: Principal, repository: str) -> Upload:
    """Open a session. Raises LoginNeeded, AccessDenied, TooManyUploads, TooMuchStaged."""
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    row = sessions.open_session(app, who, repository, part_bytes=STREAM_PART_BYTES)
    return Upload(row.id, repository, 0)


def find_upload(app: Services, who: Principal, repository: str, session: str) -> Upload:
    """Find a session of `who`. Raises LoginNeeded, AccessDenied, UploadUnknown."""
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    row = sessions.find_session(app, who, repository, session, direct=False)
    return Upload(session, repository, row.size)


def hold_upload(app: Services, who: Principal, repository: str, session: str, *, start: int | None) -> Held:
    """Take the session for one request. `start`: where the caller says that the bytes begin.

    Whoever holds it calls `release` or `finish`.
    Raises LoginNeeded, AccessDenied, UploadUnknown, UploadBusy, ChunkOutOfOrder, TooMuchStaged.
    """
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    seconds = app.settings.limits.upload_seconds
    row, room = sessions.hold_with_room(app, who, repository, session, seconds=seconds)
    upload = Upload(session, repository, row.size)
    position = Position(session, row.size, row.part_bytes, row.multipart)
    most = min(sessions.most_bytes(app, who, repository), MAX_PARTS * row.part_bytes)
    held = Held(app, who, upload, position, most, room)
    if start is not None and start != row.size:
        held.release(position)
        raise _out_of_order(upload, start)
    return held


def cancel_upload(app: Services, who: Principal, repository: str, session: str) -> None:
    """End the session and drop its bytes, also while a request writes them. Raises UploadUnknown."""
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    sessions.drop_session(app, sessions.find_session(app, who, repository, session, direct=False))


def _out_of_order(upload: Upload, start: int) -> ChunkOutOfOrder:
    return ChunkOutOfOrder(
        "the chunk does not start where the last one ended",
        found=f"first byte {start}",
        expected=f"first byte {upload.size}",
        headers={"Range": upload.range, "Location": upload.path},
    )
