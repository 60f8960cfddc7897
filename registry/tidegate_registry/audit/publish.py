"""Files of the log in the bucket: tiles and entry bundles are never replaced, and the checkpoint only grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import CheckpointInvalid, NoteInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.note import MAX_NOTE_BYTES, Note, NoteSigner, sign_note, verify_note
from tidegate.tlog.tiles import CHECKPOINT_PATH, MAX_BUNDLE_BYTES, Fetch
from tidegate_registry.audit.leader import LeadershipLost
from tidegate_registry.audit.problems import RESTORE, LogBehind, LogForked
from tidegate_registry.storage.blobs import LogKey, StoredBytesDiffer

if TYPE_CHECKING:
    from tidegate.tlog.note import VerifierKey
    from tidegate_registry.services import Services

CHECKPOINT = LogKey(CHECKPOINT_PATH)


def fetch_file(app: Services, path: str) -> bytes | None:
    """Read a file of the log by its path below it; None if it is not there. Unverified."""
    found = app.blobs.read(LogKey(path), limit=MAX_BUNDLE_BYTES)
    return None if found is None else found[0]


def fetch_checkpoint(app: Services, key: VerifierKey | None) -> Checkpoint | None:
    """Read the published checkpoint; None if there is none. Raises LogForked for one that `key` did not sign.

    `key`: None for who does not know it, and does not rely on more than the size.
    """
    found = app.blobs.read(CHECKPOINT, limit=MAX_NOTE_BYTES)
    return None if found is None else _parse(found[0], key)


def upload(app: Services, files: Sequence[tuple[str, bytes]]) -> None:
    """Store `files`, by their paths below the log, all at once; those that are there stay as they are.

    Raises LogForked where one is there with other bytes, StoreUnavailable.
    """
    futures = [app.store_crew.submit(_store, app, path, raw) for path, raw in files]
    failed = [error for error in (future.exception() for future in futures) if error is not None]
    if failed:
        raise next((error for error in failed if isinstance(error, LogForked)), failed[0])


def publish(
    app: Services,
    checkpoint: Checkpoint,
    signer: NoteSigner,
    *,
    last: Checkpoint,
    cosign: Callable[[Checkpoint, bytes, Fetch], bytes] | None = None,
) -> None:
    """Sign `checkpoint`, have it cosigned, and put it where `last` is, whose tree it continues.

    `cosign`: gives the note with what witnesses add; whatever it raises, nothing is published.

    Raises LeadershipLost where somebody else published since, LogBehind where the one in the bucket is older than
    `last`, LogForked where it is another one of the same size.
    """
    found = app.blobs.read(CHECKPOINT, limit=MAX_NOTE_BYTES)
    raw, etag = (None, None) if found is None else found
    _demand_last(None if raw is None else _parse(raw, signer.key), last)
    note = sign_note(checkpoint.text, (signer,))
    if cosign is not None:
        note = cosign(checkpoint, note, partial(fetch_file, app))
    if not app.blobs.write(CHECKPOINT, note, replaces=etag):
        raise LeadershipLost("another replica published at the same moment")


def _demand_last(stored: Checkpoint | None, last: Checkpoint) -> None:
    if stored is None and last.size == 0:
        return
    size = 0 if stored is None else stored.size
    if size > last.size:
        raise LeadershipLost("another replica published", found=f"{size} entries", expected=str(last.size))
    if stored is None or size < last.size:
        raise LogBehind.by(size, last.size)
    if stored.root != last.root:
        raise LogForked(
            "the published checkpoint is not the one that was published",
            found=f"root {stored.root.hex()}",
            expected=f"root {last.root.hex()} of {last.size} entries",
            hint=RESTORE,
        )


def _parse(raw: bytes, key: VerifierKey | None) -> Checkpoint:
    try:
        note = Note.parse(raw) if key is None else verify_note(raw, (key,)).note
        checkpoint = Checkpoint.parse(note.text)
    except (NoteInvalid, CheckpointInvalid) as error:
        raise _foreign(str(error), key) from error
    if key is not None and checkpoint.origin != key.name:
        raise _foreign(f"a checkpoint of {checkpoint.origin}", key)
    return checkpoint


def _store(app: Services, path: str, raw: bytes) -> None:
    try:
        app.blobs.put(LogKey(path), raw, size=len(raw), sha256=Digest.of(raw))
    except StoredBytesDiffer as error:
        raise LogForked(
            "a file of the log has other bytes than the entries give",
            found=f"{path}: {error.reasons[0].found}",
            expected=error.reasons[0].expected,
            hint="somebody wrote to the bucket, or changed entries in the database; keep both as evidence",
        ) from error


def _foreign(found: str, key: VerifierKey | None) -> LogForked:
    return LogForked(
        "the published checkpoint is not ours",
        found=found,
        expected="a checkpoint" if key is None else f"one that {key.name}+{key.key_id.hex()} signed",
        hint="compare log.origin and log.key with those that it was published with; else somebody wrote to the bucket",
    )
