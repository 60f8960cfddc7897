"""`restore`: bring a database that fell behind the published log up to it again, from the log's own files.

The log is what was signed and what auditors have seen, so it wins: entries that the database lacks come back under
their index, with what they say done again; rows that say otherwise than the log are put right, and told. Where the
bucket is the older one, its files are written again from the database. Spec: docs/guides/restore-the-registry.md.

1. Nobody else integrates meanwhile: the lease is held.
2. The checkpoint is ours, and every entry bundle hashes to its root. Nothing is written before that is known.
3. Each entry gets its row and index; a missing one is inserted and done again, in one transaction each.
4. Files that no checkpoint covers go: they hold entries that only the lost database knew.
5. How far the log has come is noted, and an entry says what was restored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tidegate.digest import Digest
from tidegate.errors import Conflict, TidegateError, TileInvalid
from tidegate.formats.entry import Entry, parse_entry
from tidegate.tlog.edge import Edge
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate.tlog.tiles import TILE_WIDTH, TilePath, leaf_hashes, parse_tile_path, read_bundle
from tidegate_registry.artifacts import redo as artifacts
from tidegate_registry.audit import leader, sequence
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.problems import LogForked, LogMissing
from tidegate_registry.audit.publish import fetch_checkpoint, fetch_file, upload
from tidegate_registry.audit.redo import Redoing, RedoTable
from tidegate_registry.enrolment import redo as enrolment
from tidegate_registry.evidence import redo as evidence
from tidegate_registry.keeping import redo as removals
from tidegate_registry.keeping.events import LogRestored
from tidegate_registry.logs import get_logger
from tidegate_registry.policies import redo as policies
from tidegate_registry.promotion import redo as promotion
from tidegate_registry.storage.blobs import LOG, LogKey
from tidegate_registry.summaries import redo as summaries

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate.formats.jcs import JsonObject
    from tidegate.tlog.checkpoint import Checkpoint
    from tidegate.tlog.note import VerifierKey
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

log = get_logger()

REDO: Final[RedoTable] = {
    **artifacts.REDO,
    **evidence.REDO,
    **policies.REDO,
    **promotion.REDO,
    **enrolment.REDO,
    **summaries.REDO,
    **removals.REDO,
}
MAX_LACKING: Final = 500  # sentences that are kept; the count goes on


class RegistryRunning(Conflict):
    """Somebody integrates the log now."""

    code = "registry-running"


@dataclass(slots=True)
class Restored:
    """What a restore came to.

    `size`: of the log. `imported`: entries that the database did not have. `placed`: that it had under another index,
    or none. `corrected`: ids of those that it had with other bytes. `displaced`: rows that stood where the log has
    another entry; they come later in the log. `lacking`: what could not be done again, in sentences. `written`: files
    of the log that were written again. `unfinished`: a restore before this one died and left the rest to it.
    """

    size: int = 0
    imported: int = 0
    placed: int = 0
    displaced: int = 0
    written: int = 0
    unfinished: bool = False
    corrected: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    lacking_count: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything was restored."""
        return bool(self.imported or self.placed or self.displaced or self.written or self.corrected or self.unfinished)

    def as_json(self) -> JsonObject:
        """Give what `--json` shows."""
        return {
            "size": self.size,
            "imported": self.imported,
            "placed": self.placed,
            "displaced": self.displaced,
            "files": self.written,
            "corrected": list(self.corrected),
            "lacking": list(self.lacking),
            "lackingCount": self.lacking_count,
        }


def published_size(app: Services) -> int:
    """Give how many entries the published log has, as its checkpoint says; nobody has verified it."""
    checkpoint = fetch_checkpoint(app, None)
    return 0 if checkpoint is None else checkpoint.size


def restore(
    app: Services, actor: Actor, key: VerifierKey, *, advance: Callable[[int], None] = lambda _: None
) -> Restored:
    """Bring database and published log together. `key`: the log's. `advance`: told how many entries were looked at.

    Raises RegistryRunning, LogMissing, LogForked where the published log contradicts itself.
    """
    held = _Held.take(app)
    try:
        return _restore(app, actor, key, held, advance)
    finally:
        leader.release(app.db, held.lease)


@dataclass(slots=True)
class _Held:
    """The integrator's lease, renewed as the work goes on."""

    app: Services
    lease: leader.Lease
    renewed: float

    @classmethod
    def take(cls, app: Services) -> _Held:
        lease = leader.acquire(app.db, sequence.LOG, leader.make_holder(app.entropy))
        if lease is None:
            raise RegistryRunning(
                "a registry or worker integrates the log now",
                expected="none that runs on this database",
                hint="stop all of them; if one was killed, wait five seconds; then try again",
            )
        return cls(app, lease, time.monotonic())

    def keep(self) -> None:
        if time.monotonic() - self.renewed < leader.RENEW_SECONDS:
            return
        if not leader.renew(self.app.db, self.lease):
            raise leader.LeadershipLost("another replica took the log over", hint="stop all of them, and try again")
        self.renewed = time.monotonic()


def _restore(app: Services, actor: Actor, key: VerifierKey, held: _Held, advance: Callable[[int], None]) -> Restored:
    checkpoint = fetch_checkpoint(app, key)
    with app.db.read() as tx:
        state = sequence.load_state(tx)
    if checkpoint is None and state.published == 0:
        raise LogMissing(
            "there is no published log to restore from", expected="log/checkpoint", hint="start the registry"
        )
    done = Restored(size=0 if checkpoint is None else checkpoint.size)
    uncovered: list[TilePath] = []
    assigned, root = None, EMPTY_ROOT if checkpoint is None else checkpoint.root
    if checkpoint is None or checkpoint.size < state.published:
        _put_back_files(app, checkpoint, done, held, advance)
    else:
        _take_in(app, checkpoint, done, held, advance)
        uncovered, assigned = _uncovered(app, checkpoint.size), checkpoint.size
        done.unfinished = state.assigned < assigned
    with app.db.begin() if done.changed else app.db.bookkeeping() as tx:
        leader.fence(tx, held.lease)  # until all of this is done, nobody publishes what covers these files
        if fetch_checkpoint(app, key) != checkpoint:
            raise leader.LeadershipLost("another replica published meanwhile", hint="stop all of them, and try again")
        for path in uncovered:
            log.warning("restore.removed", path=str(path))
            app.blobs.delete(LogKey(str(path)))
        sequence.note_restored(tx, held.lease, published=done.size, root=root, assigned=assigned)
        if done.changed:
            audit.append(tx, _told(done, app.clock(), actor), entropy=app.entropy)
    return done


def _told(done: Restored, now: datetime, actor: Actor) -> LogRestored:
    return LogRestored(
        at=now,
        actor=actor,
        size=done.size,
        imported=done.imported,
        placed=done.placed,
        displaced=done.displaced,
        files=done.written,
        corrected=len(done.corrected),
        lacking=done.lacking_count,
    )


def _take_in(
    app: Services, checkpoint: Checkpoint, done: Restored, held: _Held, advance: Callable[[int], None]
) -> None:
    prints = _demand_whole(app, checkpoint, held, advance)
    for number, (expected, entries) in enumerate(zip(prints, _bundles(app, checkpoint.size), strict=True)):
        held.keep()
        if _print_of(entries) != expected:
            raise _forked(f"bundle {number} changed while it was read")
        parsed = [parse_entry(raw, index=number * TILE_WIDTH + place) for place, raw in enumerate(entries)]
        for entry in _settle(app, parsed, done, held):
            held.keep()
            _import(app, entry, done, held)
        advance(len(entries))


def _demand_whole(app: Services, checkpoint: Checkpoint, held: _Held, advance: Callable[[int], None]) -> list[bytes]:
    """Check every entry against the checkpoint; give what tells each bundle from another. Raises LogForked."""
    edge, prints = Edge(), []
    for entries in _bundles(app, checkpoint.size):
        held.keep()
        edge.grow(entries)
        prints.append(_print_of(entries))
        advance(len(entries))
    if edge.root != checkpoint.root:
        raise _forked(f"entries with root {edge.root.hex()}, not {checkpoint.root.hex()}")
    return prints


def _bundles(app: Services, size: int) -> Iterator[Sequence[bytes]]:
    for index in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        try:
            yield read_bundle(partial(fetch_file, app), TilePath(None, index, width))
        except TileInvalid as error:
            raise _forked(str(error)) from error


def _print_of(entries: Sequence[bytes]) -> bytes:
    return Digest.of(leaf_hashes(entries)).hex.encode()


def _settle(app: Services, entries: Sequence[Entry], done: Restored, held: _Held) -> list[Entry]:
    """Give the rows that are there the index and the bytes that the log has; give the entries that have no row."""
    first, places = entries[0].index or 0, {entry.id: entry for entry in entries}
    with app.db.read() as tx:
        found = tx.connection().execute(
            text("SELECT id, idx, body FROM audit_event WHERE idx >= :first AND idx < :stop"),
            {"first": first, "stop": first + len(entries)},
        )
        rows = {row.id: (row.idx, sequence.bytes_of(row.body)) for row in found}
        for id_ in places.keys() - rows.keys():
            one = tx.connection().execute(text("SELECT idx, body FROM audit_event WHERE id = :id"), {"id": id_})
            if (row := one.one_or_none()) is not None:
                rows[id_] = (row.idx, sequence.bytes_of(row.body))
    strange = [id_ for id_ in rows if id_ not in places]
    moved = [entry for entry in entries if entry.id in rows and rows[entry.id][0] != entry.index]
    altered = [entry for entry in entries if entry.id in rows and rows[entry.id][1] != entry.raw]
    if strange or moved or altered:
        with app.db.bookkeeping(corrects=True) as tx:
            leader.fence(tx, held.lease)
            for id_ in (*strange, *(entry.id for entry in moved)):
                _place(tx, "UPDATE audit_event SET idx = NULL WHERE id = :id", id=id_)
            for entry in moved:
                _place(tx, "UPDATE audit_event SET idx = :idx WHERE id = :id", idx=entry.index, id=entry.id)
            for entry in altered:
                _place(tx, "UPDATE audit_event SET body = :body WHERE id = :id", body=entry.raw, id=entry.id)
    done.displaced += len(strange)
    done.placed += len(moved)
    done.corrected += [entry.id for entry in altered]
    return [entry for entry in entries if entry.id not in rows]


def _place(tx: Tx, statement: str, **values: object) -> None:
    tx.connection().execute(text(statement), values)


def _import(app: Services, entry: Entry, done: Restored, held: _Held) -> None:
    """Write an entry that is missing and do again what it says; where that fails, the entry alone."""
    again = REDO.get(entry.type)
    lacking = None
    with app.db.begin() as tx:
        leader.fence(tx, held.lease)
        audit.import_entry(tx, entry)
        if again is not None:
            try:
                with tx.begin_nested():
                    lacking = again(Redoing(app, tx, entry, partial(_fetch_object, app)))
            except TidegateError as error:
                lacking = f"{entry.type} {entry.id}: {error}"
            except IntegrityError as error:  # rows that it rests on were lost or altered
                lacking = f"{entry.type} {entry.id}: {error.orig}"
    done.imported += 1
    if lacking is not None:
        log.warning("restore.lacking", entry=entry.id, type=entry.type, problem=lacking)
        done.lacking_count += 1
        if len(done.lacking) < MAX_LACKING:
            done.lacking.append(lacking)


def _fetch_object(app: Services, digest: Digest, limit: int) -> bytes | None:
    found = app.blobs.read(LogKey.of_object(digest), limit=limit)
    return found[0] if found is not None and digest.matches(found[0]) else None


def _uncovered(app: Services, size: int) -> list[TilePath]:
    """Give the tiles of a tree larger than `size`: nobody was ever shown a checkpoint over them."""
    found: list[TilePath] = []
    for stored in app.blobs.list(f"{LOG}tile/"):
        try:
            path = parse_tile_path(stored.path.removeprefix(LOG))
        except TileInvalid:  # in nobody's way
            log.warning("restore.not_ours", path=stored.path)
            continue
        if path.entries_needed > size:
            found.append(path)
    return found


def _put_back_files(
    app: Services, checkpoint: Checkpoint | None, done: Restored, held: _Held, advance: Callable[[int], None]
) -> None:
    """Write the files under an older checkpoint again from the database; the integrator goes on from there."""
    edge, size = Edge(), 0 if checkpoint is None else checkpoint.size
    while edge.size < size:
        held.keep()
        entries = sequence.load_entries(app.db, range(edge.size, min(size, edge.size + sequence.READ_ROWS)))
        files = edge.grow(entries)
        upload(app, files)
        done.written += len(files)
        advance(len(entries))
    if checkpoint is not None and edge.root != checkpoint.root:
        raise _forked(f"the database has root {edge.root.hex()} at {size} entries")


def _forked(found: str) -> LogForked:
    return LogForked(
        "the published log contradicts itself or the database; nothing is restored from it",
        found=found,
        expected="entries that hash to the root of the checkpoint",
        hint="put the log's files back from a copy of the bucket; keep both as evidence",
    )
