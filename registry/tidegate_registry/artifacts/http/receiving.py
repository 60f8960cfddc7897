"""A request that brings bytes of an upload: where they go, and what becomes of the session if the request breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from starlette.concurrency import run_in_threadpool

from tidegate.errors import TidegateError
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import sessions, uploads
from tidegate_registry.artifacts.errors import SizeDiffers, UploadUnknown
from tidegate_registry.artifacts.http.body import announced_length, pieces_of
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.keeping import claims
from tidegate_registry.logs import get_logger
from tidegate_registry.storage.blobs import BlobKey
from tidegate_registry.storage.parts import STREAM_PART_BYTES
from tidegate_registry.storage.straight import put_straight
from tidegate_registry.storage.uploads import DigestDiffers, StagedUpload, Stores, UploadTooLarge

if TYPE_CHECKING:
    from fastapi import Request

    from tidegate.digest import Digest
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services
    from tidegate_registry.storage.uploads import Position

log = get_logger()

CHECKPOINT_BYTES = 256 << 20  # how much a caller's requests may exceed `staged_bytes` by, each


@dataclass(frozen=True, slots=True)
class Receiving:
    """One request. `bounds`: first and last byte as it says; `resumable`: the client knows the session."""

    request: Request
    app: Services
    who: Principal
    repository: str
    session: str
    bounds: tuple[int, int] | None = None
    resumable: bool = True

    async def take(self) -> uploads.Upload:
        """Take the body as a chunk, and say where the upload stands."""
        held = await run_in_threadpool(self._hold)
        return await self._staged(held, None)

    async def end(self, digest: Digest) -> None:
        """Take the body as the last chunk, or the whole; what has come then is the blob `digest`."""
        held = await run_in_threadpool(self._claim_and_hold, digest)
        length = announced_length(self.request)
        if length is not None and self._goes_straight(held, digest, length):
            await self._straight(held, digest, length)
        else:
            await self._staged(held, digest)

    def _claim_and_hold(self, digest: Digest) -> uploads.Held:
        self.app.access.demand(self.who, Permission.BLOB_PUSH, self.repository)  # strangers write no rows
        claims.claim(self.app, self.repository, [digest])
        return self._hold()

    def _hold(self) -> uploads.Held:
        start = self.bounds[0] if self.bounds else None
        return uploads.hold_upload(self.app, self.who, self.repository, self.session, start=start)

    def _goes_straight(self, held: uploads.Held, digest: Digest, length: int) -> bool:
        """Whether the store checks the bytes while they come; what fits one part is taken whole and checked first."""
        return digest.algorithm == "sha256" and held.position.size == 0 and length > STREAM_PART_BYTES

    async def _straight(self, held: uploads.Held, digest: Digest, length: int) -> None:
        key = BlobKey(namespace_of(self.repository), digest)
        try:
            self._check_length(length)
            held.allow_whole(length)
            body = pieces_of(self.request, limits=self.app.settings.limits)
            await put_straight(self.app.blobs, self.app.staging, key, body, size=length)
            self._count(length)
            await run_in_threadpool(held.finish, digest, length)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._end_broken if self._is_over(error) else held.release, held.position)
            raise

    async def _staged(self, held: uploads.Held, digest: Digest | None) -> uploads.Upload:
        """Write the body where it waits; then end the upload, or let go of it, whatever happens to the request."""
        stores = Stores(self.app.blobs, self.app.staging, self.app.hash_states)
        upload: StagedUpload | None = None
        try:
            upload = await StagedUpload.open(stores, held.position, held)
            received = await self._stream(upload, held)
            self._check_length(received)
            if digest is None:
                return await self._keep(held, upload)
            await upload.commit(BlobKey(namespace_of(self.repository), digest))
            await run_in_threadpool(held.finish, digest, upload.size)
        except BaseException as error:
            # shielded: also when the client is gone or the server stops, the session must not stay held
            with anyio.CancelScope(shield=True):
                await self._let_go(held, upload, error)
            raise
        await self._discard(upload)
        return held.upload

    async def _stream(self, upload: StagedUpload, held: uploads.Held) -> int:
        received, counted = 0, 0
        async for piece in pieces_of(self.request, limits=self.app.settings.limits):
            await upload.write(piece)
            received += len(piece)
            if received - counted >= CHECKPOINT_BYTES:
                counted = received
                await run_in_threadpool(held.checkpoint, upload.size)
        self._count(received)
        return received

    async def _let_go(self, held: uploads.Held, upload: StagedUpload | None, error: BaseException) -> None:
        if upload is None:
            await run_in_threadpool(held.release, held.position)
            return
        if self._is_over(error):
            await self._discard(upload)
            await run_in_threadpool(self._end_broken, held.position)
            return
        try:
            if isinstance(error, SizeDiffers):  # a chunk that is not what it says does not count
                await upload.settle()
                await run_in_threadpool(held.release, upload.unchanged)
            else:  # the connection broke, or the store did not answer: what arrived counts, and the client may go on
                await self._keep(held, upload)
        except TidegateError as again:
            log.warning("upload.not_kept", session=self.session, error=str(again))
            await run_in_threadpool(held.release, upload.unchanged)

    async def _keep(self, held: uploads.Held, upload: StagedUpload) -> uploads.Upload:
        position = await upload.suspend()
        await run_in_threadpool(held.release, position, upload.new_sums)
        await upload.forget_tail()
        return uploads.Upload(self.session, self.repository, position.size)

    async def _discard(self, upload: StagedUpload) -> None:
        try:
            await upload.discard()
        except TidegateError as error:  # the sweep will find it
            log.warning("upload.not_discarded", session=self.session, error=str(error))

    def _is_over(self, error: BaseException) -> bool:
        """Whether nothing can come of the session any more."""
        return not self.resumable or isinstance(error, (DigestDiffers, UploadTooLarge, UploadUnknown))

    def _end_broken(self, _: Position) -> None:
        sessions.forget_session(self.app, self.session)

    def _check_length(self, received: int) -> None:
        if self.bounds is not None and received != self.bounds[1] - self.bounds[0] + 1:
            raise SizeDiffers(
                "the body is not as long as Content-Range says",
                found=f"{received} bytes",
                expected=f"{self.bounds[1] - self.bounds[0] + 1} bytes",
            )

    def _count(self, received: int) -> None:
        self.request.app.state.metrics.uploaded.inc(received)
