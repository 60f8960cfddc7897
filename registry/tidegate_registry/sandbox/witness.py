"""The sandbox's witness: cosigns what continues the log it saw, and nothing else. Source: C2SP tlog-witness.

What it has cosigned is durable before it answers; comparing and keeping are one step, under a lock. It stands in the
same trust domain as the log, so it shows how a witness works and protects from nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate.errors import LogRefused, NoteInvalid, ProofInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.cosigner import Ed25519Cosigner
from tidegate.tlog.merkle import EMPTY_ROOT, verify_consistency
from tidegate.tlog.note import Note, Signature, VerifierKey, verify_note
from tidegate.tlog.witness import ADD_CHECKPOINT, MAX_REQUEST_BYTES, SIZE_TYPE, AddCheckpoint, format_size
from tidegate_registry.sandbox.files import make_folder, replace_file, sync_folder
from tidegate_registry.sandbox.http import read_body
from tidegate_registry.sandbox.keys import KeyStore

NAME = "witness.sandbox.internal"
KEY = "witness"
PATH = "/witness"  # its submission prefix, where Sigstore answers


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request to cosign comes to."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain"


class Witness:
    """Cosigns checkpoints of `logs`, origin to key. `folder`: where it keeps what it saw. Safe from several threads."""

    def __init__(
        self, keys: KeyStore, folder: Path, logs: Mapping[str, VerifierKey], clock: Callable[[], datetime]
    ) -> None:
        self._cosigner = Ed25519Cosigner(NAME, keys.ed25519_key(KEY), clock)
        self._folder = make_folder(folder)
        self._logs = dict(logs)
        self._lock = threading.Lock()

    @property
    def key(self) -> VerifierKey:
        """The key that verifies what it cosigns."""
        return self._cosigner.key

    def add(self, raw: bytes) -> Answer:
        """Answer a request to cosign."""
        try:
            request = AddCheckpoint.parse(raw)
            checkpoint = Checkpoint.parse(Note.parse(request.checkpoint).text)
        except LogRefused:
            return Answer(HTTPStatus.BAD_REQUEST)
        key = self._logs.get(checkpoint.origin)
        if key is None:
            return Answer(HTTPStatus.NOT_FOUND)
        try:
            verify_note(request.checkpoint, [key])
        except NoteInvalid:
            return Answer(HTTPStatus.FORBIDDEN)
        if request.old > checkpoint.size:
            return Answer(HTTPStatus.BAD_REQUEST)
        with self._lock:
            return self._compare_and_keep(request, checkpoint)

    def routes(self) -> list[Route]:
        """Give what it answers at."""
        return [Route(f"{PATH}/{ADD_CHECKPOINT}", self._post, methods=["POST"])]

    def _compare_and_keep(self, request: AddCheckpoint, checkpoint: Checkpoint) -> Answer:
        last = self._last(checkpoint.origin)
        if request.old != last.size or (checkpoint.size == last.size and checkpoint.root != last.root):
            return Answer(HTTPStatus.CONFLICT, format_size(last.size), SIZE_TYPE)
        try:
            verify_consistency(last.size, checkpoint.size, last.root, checkpoint.root, request.hashes)
        except ProofInvalid:
            return Answer(HTTPStatus.UNPROCESSABLE_ENTITY)
        replace_file(self._file(checkpoint.origin), checkpoint.text)
        sync_folder(self._folder)
        signature = Signature(NAME, self.key.key_id, self._cosigner.sign(checkpoint.text))
        return Answer(HTTPStatus.OK, f"{signature}\n".encode())

    def _last(self, origin: str) -> Checkpoint:
        file = self._file(origin)
        return Checkpoint.parse(file.read_bytes()) if file.exists() else Checkpoint(origin, 0, EMPTY_ROOT)

    def _file(self, origin: str) -> Path:
        return self._folder / hashlib.sha256(origin.encode()).hexdigest()

    async def _post(self, request: Request) -> Response:
        answer = await run_in_threadpool(self.add, await read_body(request, MAX_REQUEST_BYTES))
        return Response(answer.body, answer.status, media_type=answer.media_type)
