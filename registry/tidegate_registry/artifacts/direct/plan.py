"""Where a caller is to send which blobs: straight to where they stay, to a staging key, or in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import sessions
from tidegate_registry.artifacts.blobs import shared_digests
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
from tidegate_registry.artifacts.errors import DirectUploadsOff, UploadInvalid
from tidegate_registry.keeping import claims
from tidegate_registry.settings import Downloads
from tidegate_registry.storage.blobs import ObjectKey, PresignedPut, StagingKey, StoredBlob
from tidegate_registry.storage.parts import DIRECT_PART_BYTES, direct_part_bytes, part_count, part_size
from tidegate_registry.storage.staging import MultipartGone, Part

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.artifacts.tables import UploadRow
    from tidegate_registry.services import Services

# A blob that nobody has claimed is hardly in the store; where it is after all, its link answers 412, and another plan
# looks. Sending so much in vain, once, costs less than a question about each blob of each push.
UNASKED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Multipart:
    """How a blob is cut: parts of `part_bytes`, the last one shorter."""

    part_bytes: int
    parts: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What to do with a blob: nothing (neither is set), one PUT, or parts."""

    blob: Announced
    put: PresignedPut | None = None
    multipart: Multipart | None = None
    session: str | None = None

    @property
    def state(self) -> State:
        """Whether it must be sent."""
        return State.PRESENT if self.put is None and self.multipart is None else State.MISSING


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session has come. `stored`: parts that need not be sent again."""

    blob: Announced
    multipart: Multipart | None
    stored: Sequence[Part]


def plan_uploads(
    app: Services, who: Principal, repository: str, blobs: Sequence[Announced], *, host: str
) -> list[Planned]:
    """Say of each blob whether it must be sent, and how. `host`: the registry's name as the client wrote it.

    Raises LoginNeeded, AccessDenied, UploadInvalid, UploadTooLarge, SizeDiffers, TooManyUploads, TooMuchStaged,
    BlobBeingRemoved, DirectUploadsOff.
    """
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    if app.settings.downloads is Downloads.STREAM:
        raise DirectUploadsOff(
            "clients of this registry do not reach its store",
            expected="blobs pushed as OCI says",
            hint="the registry's operator can change it with the setting `downloads`",
        )
    check_announced(app, who, repository, blobs)
    claimed = claims.claim(app, repository, [blob.digest for blob in blobs])
    here = find_available(app, who, repository, blobs)
    plan = _Plan(app, who, repository, host)
    missing = [blob for blob in blobs if blob.digest not in here]
    perhaps = claimed | shared_digests(app, repository, {blob.digest for blob in missing})
    looked_at = [blob for blob in missing if blob.digest in perhaps or blob.size > UNASKED_BYTES]
    found = dict(zip(looked_at, in_parallel(app, plan.look, looked_at), strict=True))
    return [Planned(blob) if blob.digest in here else plan.of(blob, found.get(blob)) for blob in blobs]


def sign_parts(
    app: Services, who: Principal, repository: str, session: str, parts: Sequence[tuple[int, Digest]], *, host: str
) -> list[tuple[int, PresignedPut]]:
    """Give a link for each of `parts`: its number (from 1), and the sha256 of its bytes.

    Raises LoginNeeded, AccessDenied, UploadUnknown, UploadInvalid.
    """
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    row = sessions.find_session(app, who, repository, session, direct=True)
    if row.multipart is None:
        raise UploadInvalid("this upload is one PUT", hint="use the link of its plan")
    if len({number for number, _ in parts}) != len(parts):
        raise UploadInvalid("a part is listed twice", expected="each part once")
    try:
        sizes = [part_size(number, row.reserved, row.part_bytes) for number, _ in parts]
    except ValueError as error:
        raise UploadInvalid(str(error), expected=f"1 to {part_count(row.reserved, row.part_bytes)}") from error
    sessions.announce_parts(app, session, dict(parts))
    key = StagingKey(session)
    return [
        (number, app.staging.presign_part(key, row.multipart, number, size=size, sha256=sha256, host=host))
        for (number, sha256), size in zip(parts, sizes, strict=True)
    ]


def find_progress(app: Services, who: Principal, repository: str, session: str) -> Progress:
    """Say which parts are stored. Raises LoginNeeded, AccessDenied, UploadUnknown."""
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    row = sessions.find_session(app, who, repository, session, direct=True)
    blob = Announced(Digest(row.digest or ""), row.reserved, session)
    if row.multipart is None:
        return Progress(blob, None, ())
    cut = Multipart(row.part_bytes, part_count(row.reserved, row.part_bytes))
    return Progress(blob, cut, _stored_parts(app, row))


def _stored_parts(app: Services, row: UploadRow) -> Sequence[Part]:
    try:
        return app.staging.parts(StagingKey(row.id), row.multipart or "")
    except MultipartGone:  # put together already, by a commit that did not come to its end
        if app.blobs.stat(StagingKey(row.id)) is None:
            raise sessions.unknown_session(row.id) from None
        numbers = range(1, part_count(row.reserved, row.part_bytes) + 1)
        return [Part(number, part_size(number, row.reserved, row.part_bytes), "") for number in numbers]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a caller's blobs go."""

    app: Services
    who: Principal
    repository: str
    host: str

    def look(self, blob: Announced) -> StoredBlob | None:
        """Ask the store for what is at the blob's final key; large ones go to a staging key whatever is there."""
        return None if self._is_large(blob) else self.app.blobs.stat(final_key(self.repository, blob.digest))

    def of(self, blob: Announced, stored: StoredBlob | None) -> Planned:
        """Decide, given what is stored."""
        mark = mark_of(self.who, self.repository)
        if stored is not None and is_own(stored, blob, mark):
            return Planned(blob)  # sent before, and not committed yet
        if self._is_large(blob):
            least = min(DIRECT_PART_BYTES, self.app.settings.s3.single_put_bytes)
            row = self._session(blob, direct_part_bytes(blob.size, least))
            cut = Multipart(row.part_bytes, part_count(blob.size, row.part_bytes))
            return Planned(blob, multipart=cut, session=row.id)
        if stored is None:
            return Planned(blob, put=self._presign(final_key(self.repository, blob.digest), blob, mark))
        row = self._session(blob, 0)
        return Planned(blob, put=self._presign(StagingKey(row.id), blob, ""), session=row.id)

    def _is_large(self, blob: Announced) -> bool:
        return blob.size > self.app.settings.s3.single_put_bytes

    def _presign(self, key: ObjectKey, blob: Announced, mark: str) -> PresignedPut:
        return self.app.blobs.presign_put(key, size=blob.size, sha256=blob.digest, host=self.host, mark=mark)

    def _session(self, blob: Announced, part_bytes: int) -> UploadRow:
        """Go on with the session of an earlier plan, or begin one."""
        app, who, repository = self.app, self.who, self.repository
        row = sessions.find_announced(app, who, repository, blob.digest, part_bytes) or sessions.open_session(
            app, who, repository, digest=blob.digest, reserved=blob.size, part_bytes=part_bytes
        )
        if part_bytes and row.multipart is None:
            row.multipart = app.staging.begin(StagingKey(row.id))
        sessions.touch_session(app, row.id, multipart=row.multipart)
        return row
