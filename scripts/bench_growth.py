#!/usr/bin/env python3
"""Measure how the audit log grows: what an entry costs to append and to integrate, memory, verification and proofs.

bench_growth.py                  to 1,000,000 entries, about two minutes
bench_growth.py --most 10000000  to ten million; needs 12 GB of disk
bench_growth.py --out DIR        where growth.json and growth.svg go (default build/bench)

Synthetic entries of about 380 bytes go through the real integrator, from SQLite into a folder that holds the same tree
as the bucket. At each milestone `tidegate log verify` reads that folder as any auditor would, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.bench_cases import Result
from scripts.bench_growth_picture import Milestone, picture
from scripts.bench_stage import Bench
from scripts.demo_stage import BIN, ROOT
from tests.registry.audit.logworld import Happened
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.note import Ed25519Signer, Note
from tidegate.tlog.reader import TileReader
from tidegate_registry.audit import leader, sequence
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, timestamp
from tidegate_registry.audit.integrate import Integrator
from tidegate_registry.db import Db
from tidegate_registry.services import Services
from tidegate_registry.settings import Mode, Settings
from tidegate_registry.settings_log import LogSettings
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from tidegate_registry.services import Access, Gate
    from tidegate_registry.storage.blobs import BlobStore, LogKey
    from tidegate_registry.storage.staging import Staging

MILESTONES = (10_000, 100_000, 1_000_000, 10_000_000)
ORIGIN = "bench.example/log"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK, APPENDS, PROOFS = 20_000, 200, 50


@dataclass
class Folder:
    """A bucket that is a folder. Written once, as the real one; not synced, as that is the disk's matter."""

    path: Path

    def put(self, key: LogKey, body: bytes, *, size: int, sha256: Digest) -> bool:
        del size, sha256
        file = self.path / key.name
        if file.exists():
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        return True

    def read(self, key: LogKey, *, limit: int) -> tuple[bytes, str] | None:
        file = self.path / key.name
        return (file.read_bytes()[:limit], "") if file.exists() else None

    def write(self, key: LogKey, raw: bytes, *, replaces: str | None) -> bool:
        del replaces
        (self.path / key.name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / key.name).write_bytes(raw)
        return True


def main() -> int:
    """Grow, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1_000_000, help="entries to grow to")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench", help="folder for what is written")
    args = parser.parse_args()
    found = []
    for each in milestones(args.most):
        found.append(each)
        sys.stdout.write(f"{each.line()}\n")
        sys.stdout.flush()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "growth.json").write_text(json.dumps([each.as_json() for each in found], indent=1) + "\n")
    (args.out / "growth.svg").write_text(picture(found))
    return 0


def growth(_: Bench, rounds: int) -> Iterator[Result]:
    """Give the case of `scripts/bench.py`: to a million entries."""
    del rounds  # a milestone is passed once
    for each in milestones(1_000_000):
        result = Result(f"log of {each.entries:,} entries", "")
        for name, value in each.as_json().items():
            result.add(name, value)
        yield result


def milestones(most: int) -> Iterator[Milestone]:
    """Grow a log to each milestone up to `most`, and measure there."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-growth-") as name, ThreadPoolExecutor(4) as crew:
        folder, file = Path(name) / "log", Path(name) / "registry.db"
        db = Db(f"sqlite:///{file}")
        db.create_all()
        settings = Settings(mode=Mode.SANDBOX, log=LogSettings(origin=ORIGIN, batch=500))
        app = Services(
            settings=settings,
            db=db,
            blobs=cast("BlobStore", Folder(folder)),
            staging=cast("Staging", None),
            access=cast("Access", None),
            gate=cast("Gate", None),
            store_crew=crew,
        )
        signer = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
        lease = leader.acquire(db, sequence.LOG, "bench")
        if lease is None:
            raise RuntimeError("a new database has a leader")
        integrator, written, spent, since = Integrator(app, signer), 0, 0.0, 0
        for milestone in (each for each in MILESTONES if each <= most):
            while written < milestone:
                count = min(CHUNK, milestone - written)
                _fill(file, written, count)
                written += count
                start = time.perf_counter()
                while integrator.turn(lease) is not Did.NOTHING:
                    pass
                spent += time.perf_counter() - start
            memory = _resident()
            integrate, since, spent = 1e6 * spent / (written - since), written, 0.0
            verify = _verified(folder, signer, Path(name) / f"state-{milestone}")
            appends = _appends(db, written)
            written += APPENDS
            yield Milestone(milestone, appends, integrate, memory, *verify, _proved(folder))
        db.close()


def _fill(file: Path, first: int, count: int) -> None:
    """Insert entries as `append` writes them, many at once: that they are many is what is looked at here."""
    rows = []
    for number in range(first, first + count):
        id_ = str(uuid.UUID(int=(number << 80) | 0x7 << 76 | 0x2 << 62 | number))
        at = timestamp(_at(number))
        digest = str(Digest.of(number.to_bytes(8, "big")))
        actor: JsonObject = {
            "kind": "ci",
            "issuer": "https://issuer.example",
            "name": f"https://ci.example/{number % 97}",
        }
        body = canonical_bytes(
            {
                "id": id_,
                "version": 1,
                "type": "blob.stored",
                "at": at,
                "actor": actor,
                "data": {"repository": f"acme/agent-{number % 300}", "digest": digest, "size": number},
            }
        )
        rows.append((id_, "blob.stored", at[:-1].replace("T", " "), "ci", "acme/agent", body))
    with closing(sqlite3.connect(file)) as database, database:
        database.executemany(
            "INSERT INTO audit_event (id, type, at, actor, subject, body) VALUES (?, ?, ?, ?, ?, ?)", rows
        )


def _at(number: int) -> datetime:
    """Give the time of an entry: a clock that was set back would be looked into, entry by entry."""
    return BEGAN + timedelta(milliseconds=20 * number)


def _appends(db: Db, first: int) -> float:
    """Append some entries as everything else in the registry does; microseconds of processor time for each."""
    times = []
    for number in range(first, first + APPENDS):
        start = time.process_time()
        with db.begin() as tx:
            audit.append(tx, Happened(at=_at(number), actor=SYSTEM, number=number))
        times.append(time.process_time() - start)
    return 1e6 * statistics.median(times)


def _verified(folder: Path, signer: Ed25519Signer, state: Path) -> tuple[float, float]:
    """Verify the whole log by the command; seconds with its start, and seconds of processor time."""
    command = [BIN / "tidegate", "log", "verify", "--from", folder, "--key", str(signer.key), "--state", state]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=1800)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


def _proved(folder: Path) -> float:
    """Prove entries spread over the log, each from cold; milliseconds, the median."""

    def fetch(path: str) -> bytes | None:
        file = folder / path
        return file.read_bytes() if file.exists() else None

    checkpoint = Checkpoint.parse(Note.parse((folder / "checkpoint").read_bytes()).text)
    times = []
    for number in range(PROOFS):
        start = time.perf_counter()
        TileReader(fetch, checkpoint).inclusion(checkpoint.size * number // PROOFS)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    raise SystemExit(main())
