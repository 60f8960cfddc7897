"""Asks the log's witnesses to cosign a checkpoint before it is published: C2SP tlog-witness, `add-checkpoint`.

All are asked at the same time, and none is waited for long. What a witness answers counts only where its key verifies
it. How far each has seen the log it tells itself: with a size, once, when what we remember is not it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING

from tidegate.errors import LogRefused, TidegateError, Unreachable
from tidegate.tlog.note import Note, Signature, VerifierKey
from tidegate.tlog.reader import TileReader
from tidegate.tlog.witness import (
    ADD_CHECKPOINT,
    MAX_ANSWER_BYTES,
    AddCheckpoint,
    parse_cosignatures,
    parse_size,
    with_cosignatures,
)
from tidegate_registry.logs import get_logger
from tidegate_registry.settings_log import LogSettings, WitnessFailure

if TYPE_CHECKING:
    import httpx2

    from tidegate.tlog.checkpoint import Checkpoint
    from tidegate.tlog.tiles import Fetch

log = get_logger()

ANSWER_SECONDS = 2.0  # for one answer, with all its bytes
WAIT_SECONDS = 3.0  # for all; the lease of the log is renewed meanwhile
GRACE_SECONDS = 0.2  # for the others once the quorum is there
SAW_ANOTHER = frozenset({"witness-ahead", "witness-disagrees"})  # what a fork looks like to whoever is to cosign it
HEADERS = {"Content-Type": "text/plain", "Accept-Encoding": "identity"}


class LogUnwitnessed(Unreachable):
    """Too few witnesses cosigned the checkpoint, so it is not published; the next turn asks again."""

    code = "log-unwitnessed"


class WitnessFailed(Unreachable):
    """A witness did not cosign a checkpoint."""

    code = "witness-failed"


@dataclass(slots=True)
class _Witness:
    """`seen`: the size that it has cosigned, as far as we know. `asking`: a request that is not over yet."""

    url: str
    key: VerifierKey
    seen: int = 0
    asking: Future[tuple[Signature, ...]] | None = None


class Witnesses:
    """The witnesses of one log. `quorum`: how many must cosign. For one thread."""

    def __init__(
        self,
        witnesses: Sequence[tuple[str, VerifierKey]],
        quorum: int,
        failure: WitnessFailure,
        *,
        client: httpx2.Client,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._witnesses = [_Witness(url.rstrip("/"), key) for url, key in witnesses]
        self._quorum, self._failure = quorum, failure
        self._client, self._monotonic = client, monotonic
        self._crew = ThreadPoolExecutor(len(self._witnesses), thread_name_prefix="witness")

    @classmethod
    def configured(cls, settings: LogSettings) -> Witnesses | None:
        """Give those of the settings; None where there are none."""
        import httpx2

        if not settings.witnesses:
            return None
        known = [(each.url, VerifierKey.parse(each.key)) for each in settings.witnesses]
        # nothing closes what would be kept open between checkpoints
        limits = httpx2.Limits(max_keepalive_connections=0)
        client = httpx2.Client(timeout=ANSWER_SECONDS, limits=limits, follow_redirects=False)
        return cls(known, settings.witness_quorum or len(known), settings.witness_failure, client=client)

    def cosign(self, checkpoint: Checkpoint, note: bytes, fetch: Fetch) -> bytes:
        """Give `note`, the signed `checkpoint`, with the cosignatures that were had. `fetch`: the files of its tree.

        Raises LogUnwitnessed where there are fewer than the quorum and the failure is closed.
        """
        signed, prover = Note.parse(note), _Prover(fetch, checkpoint)
        had, failed = self._ask_all(signed, prover)
        for witness, error in failed:
            code = error.reasons[0].code
            disagrees = code in SAW_ANOTHER  # whatever the setting: two logs under one name, or one cut back
            tell, what = (log.error, "witness.disagrees") if disagrees else (log.warning, "witness.failed")
            tell(what, witness=witness.key.name, error=str(error), code=code)
        if len(had) < self._quorum:
            if self._failure is WitnessFailure.CLOSED:
                raise LogUnwitnessed(
                    "too few witnesses cosigned the checkpoint, so it is not published",
                    found=f"{len(had)}; " + "; ".join(f"{each.key.name}: {error}" for each, error in failed),
                    expected=f"{self._quorum} of {len(self._witnesses)}",
                    hint="see that the witnesses answer; log.witness_failure = open publishes without them",
                )
            log.error("log.unwitnessed", size=checkpoint.size, had=len(had), quorum=self._quorum)
        return with_cosignatures(signed, (line for lines in had for line in lines)).raw

    def _ask_all(
        self, note: Note, prover: _Prover
    ) -> tuple[list[tuple[Signature, ...]], list[tuple[_Witness, TidegateError]]]:
        """Give what was had in time, and whom nothing was had from, with why."""
        had: list[tuple[Signature, ...]] = []
        failed: list[tuple[_Witness, TidegateError]] = []
        pending: dict[Future[tuple[Signature, ...]], _Witness] = {}
        for witness in self._witnesses:
            if witness.asking is not None and not witness.asking.done():
                failed.append((witness, WitnessFailed("it has not answered the last question yet")))
                continue
            witness.asking = self._crew.submit(self._ask, witness, note, prover)
            pending[witness.asking] = witness
        end = self._monotonic() + WAIT_SECONDS
        while pending and (left := end - self._monotonic()) > 0:
            for future in wait(pending, timeout=left, return_when=FIRST_COMPLETED).done:
                witness = pending.pop(future)
                try:
                    had.append(future.result())
                except TidegateError as error:
                    failed.append((witness, error))
            if len(had) >= self._quorum:
                end = min(end, self._monotonic() + GRACE_SECONDS)
        failed += [(witness, WitnessFailed("it did not answer in time")) for witness in pending.values()]
        return had, failed

    def _ask(self, witness: _Witness, note: Note, prover: _Prover) -> tuple[Signature, ...]:
        """Ask one witness, again if it has seen another size than we thought. Raises WitnessFailed, LogRefused."""
        size = prover.checkpoint.size
        status, answer = self._post(witness, AddCheckpoint(witness.seen, prover.prove(witness.seen), note.raw))
        seen = parse_size(answer) if status == HTTPStatus.CONFLICT else None
        if seen is not None and seen != witness.seen:
            if seen > size:
                raise WitnessFailed(
                    "it has seen a larger log than this: one that was rolled back, or another with our key",
                    code="witness-ahead",
                    found=f"{seen} entries",
                    expected=f"at most {size}",
                    hint="compare the database with what was published: it may be an old copy",
                )
            witness.seen = seen
            status, answer = self._post(witness, AddCheckpoint(seen, prover.prove(seen), note.raw))
        if status != HTTPStatus.OK:
            refused = status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
            raise WitnessFailed(
                "it has seen another log under our name" if refused else "it did not cosign",
                code="witness-disagrees" if refused else None,
                found=f"HTTP {status}",
            )
        lines = parse_cosignatures(answer, note, witness.key)
        witness.seen = size
        return lines

    def _post(self, witness: _Witness, request: AddCheckpoint) -> tuple[int, bytes]:
        import httpx2

        end, body = self._monotonic() + ANSWER_SECONDS, bytearray()
        try:
            with self._client.stream(
                "POST", f"{witness.url}/{ADD_CHECKPOINT}", content=request.raw, headers=HEADERS
            ) as response:
                for chunk in response.iter_raw():  # nothing is inflated before it is measured
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES or self._monotonic() > end:
                        raise WitnessFailed("its answer is too long, in bytes or in time")
                return response.status_code, bytes(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise WitnessFailed("it did not answer", found=type(error).__name__) from error


class _Prover:
    """Makes proofs of consistency up to one checkpoint, for several threads; each size is proven once."""

    def __init__(self, fetch: Fetch, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._reader = TileReader(fetch, checkpoint)
        self._made: dict[int, tuple[bytes, ...]] = {}
        self._lock = Lock()

    def prove(self, old: int) -> tuple[bytes, ...]:
        """Prove that the tree begins with that of `old` entries. Raises WitnessFailed, TileInvalid, Unreachable."""
        with self._lock:
            if old not in self._made:
                try:
                    self._made[old] = tuple(self._reader.consistency(old))
                except LogRefused as error:
                    raise WitnessFailed("we could not prove to it that the log grew", found=error) from error
            return self._made[old]
