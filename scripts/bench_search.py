#!/usr/bin/env python3
"""Measure search in the audit log: fill a database with synthetic entries, then time pages of each filter.

bench_search.py                              1,000,000 entries, on SQLite
bench_search.py --entries 100000             fewer
bench_search.py --database postgresql        on a PostgreSQL server of its own (Debian's package)

Prints a line for each filter: median and 95th percentile of a page of 50, in milliseconds, the processor time that this
process took for it (on SQLite that is all of it, whatever else the machine does), and what the last page had. Ends
with status 1 where a filter takes longer than 50 ms at the 95th percentile. Entries are made up, but not even: few
agents and actors do most, a policy's digest is in a third of all, and some words are in most reasons.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from tests.postgres import empty_database, find_binaries, running_postgres
from tidegate.digest import Digest
from tidegate.formats.entry import parse_entry
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate_registry import migrations
from tidegate_registry.audit import search, searchdb, terms
from tidegate_registry.audit.search import Wanted
from tidegate_registry.db import Db
from tidegate_registry.services import Services

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BATCH, PAGE, LIMIT_MS = 5000, 50, 50.0
WEIGHTS = {
    "release.admitted": 8,
    "evidence.verified": 16,
    "promotion.opened": 8,
    "promotion.decided": 12,
    "promotion.closed": 8,
    "channel.moved": 6,
    "request.refused": 10,
    "blob.stored": 20,
    "manifest.stored": 11,
    "policy.applied": 1,
}
OTHERS_UNDER_POLICY = 0.1
POLICY = str(Digest.of(b"the policy in force"))
AGENTS, ACTORS, VOCABULARY, REASON_WORDS = 300, 3000, 8000, 14


def main() -> int:
    """Fill and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    with _database(asked.database) as url:
        db = Db(url)
        migrations.upgrade(db)
        began = time.perf_counter()
        _fill(db, asked.entries)
        took = time.perf_counter() - began
        print(f"{asked.database}: {asked.entries} entries in {took:.0f} s ({asked.entries / took:.0f}/s)")
        slow = _measure(db, asked.entries, asked.rounds)
        db.close()
    if slow:
        print(f"slower than {LIMIT_MS:.0f} ms: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


@contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/log.db"
        return
    binaries = find_binaries()
    if binaries is None:
        sys.exit("PostgreSQL's programs are not installed")
    with running_postgres(binaries) as server, empty_database(server.url) as url:
        yield url


def _fill(db: Db, count: int) -> None:
    """Write entries and their index, past the integrator and the worker: only reading is measured here."""
    dice = random.Random(7)  # noqa: S311 # no secret
    for start in range(0, count, BATCH):
        entries = [parse_entry(_make(dice, index), index=index) for index in range(start, min(count, start + BATCH))]
        rows = [
            {
                "id": each.id,
                "type": each.type,
                "at": each.at,
                "actor": each.actor.name,
                "body": each.raw,
                "idx": each.index,
            }
            for each in entries
        ]
        for row in rows if db.is_sqlite else ():
            row["at"] = str(row["at"]).removesuffix("+00:00")
        with db.connect() as connection:
            connection.execute(
                text(
                    "INSERT INTO audit_event (id, type, at, actor, body, idx) "
                    "VALUES (:id, :type, :at, :actor, :body, :idx)"
                ),
                rows,
            )
        with db.bookkeeping(durable=False) as tx:
            searchdb.add(tx, [(each.index or 0, terms.terms_of(each)) for each in entries])
            searchdb.note_times(tx, [(each.index or 0, each.at) for each in entries])
    with db.connect() as connection:
        values = {"size": count, "version": terms.INDEX_VERSION}
        connection.execute(
            text("INSERT INTO log_state (name, assigned, published, epoch) VALUES ('log', :size, :size, 1)"), values
        )
        connection.execute(
            text("INSERT INTO log_indexed (name, version, size) VALUES ('log', :version, :size)"), values
        )


def _make(dice: random.Random, index: int) -> bytes:
    type_ = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    data: JsonObject = {
        "repository": f"team-{_skewed(dice, 20)}/agent-{_skewed(dice, AGENTS)}",
        "digest": str(Digest.of(index.to_bytes(8))),
    }
    if type_.startswith("promotion") or dice.random() < OTHERS_UNDER_POLICY:
        data |= {"policy": POLICY, "decision": str(uuid.UUID(int=index, version=4))}
    if type_ in ("promotion.decided", "request.refused", "promotion.closed"):
        data["reasons"] = [{"code": "evidence-missing", "message": _sentence(dice)}]
    at = BEGAN + timedelta(seconds=index * 7 + dice.randrange(-20, 20))
    return canonical_bytes(
        {
            "id": str(uuid.UUID(int=(int(at.timestamp() * 1000) << 80) | 0x7 << 76 | 0x2 << 62 | dice.getrandbits(60))),
            "version": 1,
            "type": type_,
            "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "actor": {"kind": "human", "issuer": "https://idp.example", "name": f"actor-{_skewed(dice, ACTORS)}"},
            "data": data,
        }
    )


def _sentence(dice: random.Random) -> str:
    return "no evaluation by " + " ".join(f"word{_skewed(dice, VOCABULARY)}" for _ in range(REASON_WORDS))


def _skewed(dice: random.Random, count: int) -> int:
    return int(count * dice.random() ** 3)


def _measure(db: Db, count: int, rounds: int) -> list[str]:
    app = cast("Services", SimpleNamespace(db=db))
    long_ago = BEGAN + timedelta(seconds=7 * count // 2)
    one, old = str(Digest.of((count // 3).to_bytes(8))), str(uuid.UUID(int=count // 100, version=4))
    cases: dict[str, dict[str, Any]] = {
        "nothing": {},
        "agent, busy": {"agent": "team-0/agent-0"},
        "agent, quiet": {"agent": f"team-19/agent-{AGENTS - 2}"},
        "namespace": {"agent": "team-3/*"},
        "actor, busy": {"actor": "actor-0"},
        "actor, quiet": {"actor": f"actor-{ACTORS - 2}"},
        "type, common": {"types": ("blob.stored",)},
        "type, rare": {"types": ("policy.applied",)},
        "types by prefix": {"types": ("promotion.*",)},
        "two types": {"types": ("channel.moved", "policy.applied")},
        "since": {"since": BEGAN + timedelta(seconds=7 * count - 5000)},
        "until": {"until": BEGAN + timedelta(seconds=900)},
        "a day, long ago": {"since": long_ago, "until": long_ago + timedelta(days=1)},
        "digest, one": {"digest": one},
        "digest, in a third": {"digest": POLICY},
        "decision": {"decision": old},
        "nobody's digest": {"digest": str(Digest.of(b"x"))},
        "word, common": {"words": "evaluation"},
        "word, rare": {"words": f"word{VOCABULARY - 2}"},
        "words": {"words": "evaluation word3 word900"},
        "no such word": {"words": "nonesuch"},
        "agent and type": {"agent": "team-0/agent-0", "types": ("promotion.*",)},
        "agent and actor": {"agent": "team-1/*", "actor": "actor-4"},
        "two common that never meet": {"types": ("blob.stored",), "words": "evaluation"},
        "agent, type and word": {"agent": "team-0/*", "types": ("request.refused",), "words": "word0 word1"},
        "digest, type, long ago": {"digest": POLICY, "types": ("promotion.decided",), "until": long_ago},
        "all": {
            "agent": "team-0/*",
            "actor": "actor-1",
            "types": ("promotion.*", "request.refused"),
            "until": long_ago,
            "words": "evaluation word0",
        },
    }
    slow = []
    for name, case in cases.items():
        times, spent, page = [], [], None
        for turn in range(rounds):
            began, busy = time.perf_counter(), time.process_time()
            page = search.search(
                app, Wanted(**case), after=page.next if page and page.next and turn % 4 else "", size=PAGE
            )
            times.append((time.perf_counter() - began) * 1000)
            spent.append((time.process_time() - busy) * 1000)
        middle, late = statistics.median(times), sorted(times)[int(len(times) * 0.95) - 1]
        found, own = len(page.items) if page is not None else 0, statistics.median(spent)
        print(f"{name:28} p50 {middle:7.1f} ms   p95 {late:7.1f} ms   own {own:5.1f} ms   {found} found", flush=True)
        if late > LIMIT_MS:
            slow.append(name)
    return slow


if __name__ == "__main__":
    sys.exit(main())
