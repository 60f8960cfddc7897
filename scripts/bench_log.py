#!/usr/bin/env python3
"""Measure how the audit log is written: durable appends, and the lag until they are published.

bench_log.py                  durable appends in processes of their own, `tidegate-registry worker` over SeaweedFS
bench_log.py --rate 1500      appends/s that the lag is measured at (default 1500; what comes without a limit is shown)
bench_log.py --sqlite         SQLite instead of PostgreSQL
bench_log.py --out FILE       where the figures go, as JSON (default build/bench/log.json)

Machines are shared and noisy: look at the load that is shown beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from scripts.bench_cases import Result
from scripts.bench_stage import Bench
from scripts.demo_stage import BIN, ROOT
from tests.postgres import find_binaries, running_postgres
from tests.registry.audit.logworld import Happened
from tidegate_registry import migrations
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.audit.sequence import load_state
from tidegate_registry.db import Db
from tidegate_registry.sandbox.s3 import S3Endpoint, running_weed
from tidegate_registry.services import utc_now

WRITERS, THREADS = 2, 8  # processes, and connections of each: as replicas would
SECONDS = 20.0
POLL_SECONDS = 0.02
SETTLE_SECONDS = 60.0

Written = list[tuple[str, float]]
"""Event ids, each with the moment after its commit, in seconds of the one monotonic clock of the machine."""


def main() -> int:
    """Measure, and say what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1500, help="appends/s that the lag is measured at")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long appends are measured")
    parser.add_argument("--sqlite", action="store_true", help="SQLite instead of PostgreSQL")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench/log.json", help="file for the figures")
    args = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-log-") as name:
        folder = Path(name)
        results += rate(folder, rates=(args.rate, 0), seconds=args.seconds, sqlite=args.sqlite)
    figures = [{"name": each.name, "unit": each.unit, "samples": each.samples, "notes": each.notes} for each in results]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"load": os.getloadavg()[0], "results": figures}, indent=1) + "\n")
    for each in results:
        shown = ", ".join(f"{key} {statistics.median(values):,.3g}" for key, values in each.samples.items())
        sys.stdout.write(f"{each.name}: {shown} {each.unit}  {each.notes}\n")
    sys.stdout.write(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    return 0


def rate(folder: Path, *, rates: tuple[int, ...], seconds: float, sqlite: bool) -> Iterator[Result]:
    """Append at each of `rates` (0: as fast as it goes) while a worker publishes; appends/s and lag in seconds."""
    with database(folder, sqlite=sqlite) as url, running_weed(folder / "s3") as s3:
        db = Db(url)
        migrations.upgrade(db)
        with worker(folder, url, s3) as process:
            for asked in rates:
                yield _rate(db, url, process, asked, seconds)
        db.close()


@contextmanager
def database(folder: Path, *, sqlite: bool) -> Iterator[str]:
    """Give the URL of an empty database that waits for the disk at each commit."""
    binaries = None if sqlite else find_binaries()
    if binaries is None:
        yield f"sqlite:///{folder}/registry.db"
        return
    with running_postgres(binaries, durable=True) as server:
        yield server.url


@contextmanager
def worker(folder: Path, url: str, s3: S3Endpoint) -> Iterator[subprocess.Popen[bytes]]:
    """Run `tidegate-registry worker` with a key of its own."""
    key = folder / "log.key"
    program = str(BIN / "tidegate-registry")
    environment = os.environ | {
        "TIDEGATE_REGISTRY_MODE": "sandbox",
        "TIDEGATE_REGISTRY_WORKER": "separate",
        "TIDEGATE_REGISTRY_DATABASE_URL": url,
        "TIDEGATE_REGISTRY_LOG__KEY": f"file:{key}",
        "TIDEGATE_REGISTRY_S3__ENDPOINT": s3.url,
        "TIDEGATE_REGISTRY_S3__BUCKET": s3.bucket,
        "TIDEGATE_REGISTRY_S3__ACCESS_KEY": s3.access_key,
        "TIDEGATE_REGISTRY_S3__SECRET_KEY": s3.secret_key,
    }
    subprocess.run([program, "keys", "make-log-key", "--out", str(key)], env=environment, check=True)
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen([program, "worker"], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _rate(db: Db, url: str, process: subprocess.Popen[bytes], asked: int, seconds: float) -> Result:
    result = Result("log appends" if asked else "log appends, unbounded", "1/s (lag: s)")
    series: list[tuple[float, int]] = []
    watching = Thread(target=_watch, args=(db, series, process), daemon=True)
    watching.start()
    start = time.monotonic()
    with get_context("spawn").Pool(WRITERS) as pool:
        pool.starmap(append_for, [(url, 0.2, 0)] * WRITERS)  # imports and connections are not measured
        start = time.monotonic()
        written = [
            each for one in pool.starmap(append_for, [(url, seconds, asked // WRITERS)] * WRITERS) for each in one
        ]
    took = max(at for _, at in written) - start
    caught_up = _wait_until_published(db)
    with db.read() as tx:
        rows = tx.connection().execute(text("SELECT id, idx FROM audit_event")).all()
    indices = {str(name): int(index) for name, index in rows}
    lags = sorted(_lags(series, sorted((indices[name], at) for name, at in written)))
    result.add("appends", len(written) / took)
    result.add("lag p50", lags[len(lags) // 2])
    result.add("lag p95", lags[len(lags) * 95 // 100])
    result.notes = {
        "asked": asked,
        "worker MiB": _resident(process.pid),
        "seconds to catch up": round(caught_up, 2),
        "entries": len(indices),
    }
    return result


def append_for(url: str, seconds: float, rate: int) -> Written:
    """Append for `seconds` from THREADS connections, `rate` a second together (0: as fast as it goes)."""
    db = Db(url)
    written: list[Written] = [[] for _ in range(THREADS)]
    until = time.monotonic() + seconds
    threads = [Thread(target=_append, args=(db, until, rate / THREADS, mine)) for mine in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.close()
    return [each for mine in written for each in mine]


def _append(db: Db, until: float, rate: float, written: Written) -> None:
    due = time.monotonic()
    while (now := time.monotonic()) < until:
        if rate:
            due += 1 / rate
            time.sleep(max(0.0, due - now))
        with db.begin() as tx:
            name = audit.append(tx, Happened(at=utc_now(), actor=SYSTEM, number=len(written)))
        written.append((name, time.monotonic()))


def _watch(db: Db, series: list[tuple[float, int]], process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with db.read() as tx:
            series.append((time.monotonic(), load_state(tx).published))
        time.sleep(POLL_SECONDS)


def _wait_until_published(db: Db) -> float:
    start = time.monotonic()
    while time.monotonic() - start < SETTLE_SECONDS:
        with db.read() as tx:
            behind = tx.connection().execute(text("SELECT count(*) FROM audit_event WHERE idx IS NULL")).scalar_one()
            state = load_state(tx)
        if not behind and state.published == state.assigned:
            time.sleep(2 * POLL_SECONDS)
            return time.monotonic() - start
        time.sleep(POLL_SECONDS)
    raise RuntimeError("the worker did not catch up; see its log")


def _lags(series: list[tuple[float, int]], entries: list[tuple[int, float]]) -> Iterator[float]:
    """Give for each entry, by index, the time from its commit to the first look that saw it published."""
    looks = iter(series)
    at, published = next(looks)
    for index, committed in entries:
        while published <= index:
            at, published = next(looks)
        yield max(0.0, at - committed)


def log_rate(_: Bench, rounds: int) -> Iterator[Result]:
    """Give the case of `scripts/bench.py`: the rate that is wanted, and as fast as it goes."""
    del rounds  # each takes its seconds; what comes is a stream of thousands
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-log-") as name:
        yield from rate(Path(name), rates=(1500, 0), seconds=SECONDS, sqlite=False)


def _resident(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


if __name__ == "__main__":
    raise SystemExit(main())
