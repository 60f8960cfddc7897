"""A log that is written to memory, over a real database: to stop it at any line, and to look at all that it wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, text

from tests.registry.world import T0, Clock
from tidegate.digest import Digest
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Ed25519Signer, VerifierKey, verify_note
from tidegate.tlog.tiles import TILE_WIDTH, decode_bundle, entries_path, width_of
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Event
from tidegate_registry.audit.integrate import Integrator
from tidegate_registry.audit.leader import Lease, acquire
from tidegate_registry.audit.sequence import LOG
from tidegate_registry.db import Db, Tx
from tidegate_registry.services import Services
from tidegate_registry.settings import Mode, Settings
from tidegate_registry.settings_log import LogSettings
from tidegate_registry.storage.blobs import StoredBytesDiffer, StoredObject, StoreUnavailable
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from tidegate_registry.services import Access, Gate
    from tidegate_registry.storage.blobs import BlobStore, LogKey
    from tidegate_registry.storage.staging import Staging

ORIGIN = "registry.acme.example/log"
BATCH = 40


class Killed(BaseException):
    """The process is gone: nothing after this line is done."""


@dataclass
class Bucket:
    """A store that remembers every byte it ever had under a path. `asked`, `answered`: called around each request.

    `forgets`: it keeps the checkpoint, and nothing else; for figures of long logs.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ever: dict[str, set[bytes]] = field(default_factory=dict)
    last: dict[str, bytes] = field(default_factory=dict)
    asked: Callable[[], None] = lambda: None
    answered: Callable[[], None] = lambda: None
    forgets: bool = False

    def put(self, key: LogKey, body: bytes, *, size: int, sha256: Digest) -> bool:
        self.asked()
        assert (size, sha256) == (len(body), Digest.of(body))
        if (there := self.files.get(key.name, body)) != body:
            raise StoredBytesDiffer("other bytes", found=Digest.of(there), expected=sha256)
        new = key.name not in self.files
        self._keep(key, body)
        return new

    def read(self, key: LogKey, *, limit: int) -> tuple[bytes, str] | None:
        self.asked()
        raw = self.files.get(key.name)
        assert raw is None or len(raw) <= limit
        self.answered()
        return None if raw is None else (raw, hashlib.md5(raw, usedforsecurity=False).hexdigest())

    def write(self, key: LogKey, raw: bytes, *, replaces: str | None) -> bool:
        self.asked()
        there = self.files.get(key.name)
        if (None if there is None else hashlib.md5(there, usedforsecurity=False).hexdigest()) != replaces:
            return False
        self._keep(key, raw)
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        self.asked()
        for name in sorted(self.files):
            if f"log/{name}".startswith(prefix):
                yield StoredObject(f"log/{name}", len(self.files[name]), T0)

    def delete(self, key: LogKey) -> None:
        self.asked()
        self.files.pop(key.name, None)
        self.ever.pop(key.name, None)  # nobody was shown it: another may come in its place

    def _keep(self, key: LogKey, raw: bytes) -> None:
        if self.forgets and key.name != "checkpoint":
            return
        self.files[key.name] = self.last[key.name] = raw
        if self.forgets:
            return
        self.ever.setdefault(key.name, set()).add(raw)
        self.answered()


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    """Something, with a number."""

    type: ClassVar[str] = "test.happened"

    number: int


@dataclass
class LogWorld:
    """A database, a bucket and a key; integrators are made as a test needs them."""

    db: Db
    bucket: Bucket
    app: Services
    signer: Ed25519Signer
    clock: Clock
    ticks: float = 0.0
    written: int = 0

    def append(self, count: int) -> None:
        """Write entries, in one transaction."""
        with self.db.begin() as tx:
            self.append_in(tx, count)

    def append_in(self, tx: Tx, count: int) -> None:
        for _ in range(count):
            audit.append(tx, Happened(at=self.clock(), actor=SYSTEM, number=self.written))
            self.written += 1

    def lead(self, holder: str = "replica") -> Lease:
        """Take the lease from whoever holds it, as when that one died some seconds ago."""
        with self.db.connect() as connection:
            connection.execute(text("UPDATE leadership SET expires_at = 0"))
        lease = acquire(self.db, LOG, holder)
        assert lease is not None
        return lease

    def integrator(self) -> Integrator:
        return Integrator(self.app, self.signer, ticks=lambda: self.ticks)

    def finish(self, integrator: Integrator | None = None, lease: Lease | None = None) -> int:
        """Take turns until there is nothing to do; give how many did something."""
        integrator, lease = integrator or self.integrator(), lease or self.lead()
        turns = 0
        while integrator.turn(lease) is not Did.NOTHING:
            turns += 1
        return turns

    @property
    def published(self) -> bytes:
        """The last checkpoint that the integrator wrote, whatever is in its place now."""
        return self.bucket.last["checkpoint"]

    def bodies(self) -> list[bytes]:
        with self.db.read() as tx:
            return [bytes(body) for body in tx.connection().scalars(text("SELECT body FROM audit_event ORDER BY idx"))]

    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse(verify_note(self.bucket.files["checkpoint"], (self.signer.key,)).note.text)

    def verify(self) -> int:
        """Check the files, and that none was ever rewritten; give the log's size."""
        rewritten = {path for path, versions in self.bucket.ever.items() if len(versions) > 1}
        assert rewritten <= {"checkpoint"}
        return verify_log(self.bucket.files, self.signer.key, self.db)

    def everything_is_in(self) -> bool:
        """Whether all that was ever written is in the published log, once."""
        return self.verify() == self.written


def verify_log(files: Mapping[str, bytes], key: VerifierKey, db: Db) -> int:
    """Check from the files alone that they are one log, and that it is what the database has; give its size."""
    checkpoint = Checkpoint.parse(verify_note(files["checkpoint"], (key,)).note.text)
    entries = list[bytes]()
    for index in range(-(-checkpoint.size // TILE_WIDTH)):
        width = width_of(checkpoint.size, 0, index)
        entries += decode_bundle(files[entries_path(index, width)], width)
    edge = Edge()
    made = dict(edge.grow(entries))
    assert (edge.size, edge.root) == (checkpoint.size, checkpoint.root)
    assert made.items() <= files.items()
    with db.read() as tx:
        rows = tx.connection().execute(text("SELECT idx, body FROM audit_event WHERE idx IS NOT NULL ORDER BY idx"))
        indexed = [(int(index), bytes(body)) for index, body in rows]
    assert [index for index, _ in indexed] == list(range(len(indexed))), "no gap, no duplicate"
    assert [body for _, body in indexed[: len(entries)]] == entries
    assert len({*entries}) == len(entries), "no entry twice"
    return checkpoint.size


@contextmanager
def log_world(database_url: str, *, batch: int = BATCH) -> Iterator[LogWorld]:
    """Make a world over an empty database."""
    db, bucket, clock = Db(database_url), Bucket(), Clock()
    db.create_all()
    with ThreadPoolExecutor(2) as crew:
        app = Services(
            settings=Settings(mode=Mode.SANDBOX, log=LogSettings(origin=ORIGIN, batch=batch)),
            db=db,
            blobs=cast("BlobStore", bucket),
            staging=cast("Staging", None),
            access=cast("Access", None),
            gate=cast("Gate", None),
            clock=clock,
            store_crew=crew,
        )
        yield LogWorld(db, bucket, app, Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate()), clock)
    db.close()


@contextmanager
def dying_at(world: LogWorld, number: int) -> Iterator[list[int]]:
    """Raise Killed at request `number` of whoever uses database or bucket; gives how many there were."""
    seen = [0]

    def tick(*_: object) -> None:
        seen[0] += 1
        if seen[0] == number:
            raise Killed

    world.bucket.asked = tick
    event.listen(world.db.engine, "before_cursor_execute", tick)
    event.listen(world.db.engine, "commit", tick)
    try:
        yield seen
    finally:
        world.bucket.asked = lambda: None
        event.remove(world.db.engine, "before_cursor_execute", tick)
        event.remove(world.db.engine, "commit", tick)
        world.db.close()  # a process that is gone has no connections


@contextmanager
def answers_lost_at(world: LogWorld, number: int) -> Iterator[list[int]]:
    """Let the bucket do what request `number` asks, and fail to say so; gives how many requests there were."""
    seen = [0]

    def tick() -> None:
        seen[0] += 1
        if seen[0] == number:
            raise StoreUnavailable("the object store did not answer")

    world.bucket.answered = tick
    try:
        yield seen
    finally:
        world.bucket.answered = lambda: None
