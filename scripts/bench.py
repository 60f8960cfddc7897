#!/usr/bin/env python3
"""Measure Tidegate beside Debian's docker-registry, curl and skopeo, in one run on one store.

bench.py                      every case; prints a table, writes build/bench/{bench.json,bench.svg,table.md}
bench.py --case reads         one case (repeatable): large small reads admissions promotions decisions replay commands
bench.py --rounds 5           rounds per contender (default 3); medians are shown
bench.py --out DIR            where to write

docker-registry, skopeo, wrk, curl and PostgreSQL (Debian's packages) are used when present; what is absent is a line.
Machines are shared and noisy: compare the ratios of one run, never the figures of two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import bench_cases, bench_decisions, bench_growth, bench_log, bench_promotions, bench_replay, bench_report
from scripts.bench_stage import Bench, running
from scripts.demo_stage import ROOT, DemoFailed, Stage, new_stage
from tests.postgres import find_binaries

CASES: dict[str, Callable[[Bench, int], Iterator[bench_cases.Result]]] = {
    "large": bench_cases.large_blob,
    "small": bench_cases.small_blobs,
    "reads": bench_cases.manifest_reads,
    "admissions": bench_cases.admissions,
    "promotions": bench_promotions.promotions,
    "decisions": bench_decisions.decisions,
    "what-if": bench_decisions.what_if_over_decisions,
    "replay": bench_replay.replays,
    "log": bench_log.log_rate,
    "log-growth": bench_growth.growth,
    "commands": bench_cases.commands,
}
TOOLS = ("docker-registry", "skopeo", "wrk", "curl")


def main() -> int:
    """Run the cases that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="one case (repeatable)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per contender")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench", help="folder for what is written")
    args = parser.parse_args()
    for tool in TOOLS:
        if shutil.which(tool) is None:
            sys.stderr.write(f"skipped: {tool} is not installed (Debian package {tool})\n")
    if find_binaries() is None:
        sys.stderr.write("skipped: PostgreSQL is not installed (Debian package postgresql)\n")
    results: list[bench_cases.Result] = []
    with new_stage() as folder:
        stage = Stage(Path(folder), quiet=True)
        try:
            with running(stage) as bench:
                os.environ.update(bench.job)  # what runs in this process is the CI job too
                for name in args.case or CASES:
                    sys.stderr.write(f"{name} …\n")
                    results += CASES[name](bench, args.rounds)
        except DemoFailed as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
    args.out.mkdir(parents=True, exist_ok=True)
    table = bench_report.table(results)
    (args.out / "table.md").write_text(table)
    (args.out / "bench.json").write_text(json.dumps(bench_report.as_json(results, _machine()), indent=1) + "\n")
    (args.out / "bench.svg").write_text(bench_report.picture(results))
    sys.stdout.write(table)
    return 0


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "measuredAt": time.strftime("%Y-%m-%d", time.gmtime()),
        "loadBefore": round(os.getloadavg()[2], 2),
    }


if __name__ == "__main__":
    sys.exit(main())
