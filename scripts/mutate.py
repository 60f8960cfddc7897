#!/usr/bin/env python3
"""Take out each numbered check in turn and make sure that at least one attack test notices.

scripts/mutate.py               every step
scripts/mutate.py A15 R4        these
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SECONDS = 240  # longest run of the attack tests with one step gone
NOTICED, PASSED = 1, 0  # pytest's exit codes: tests failed; all passed


def attack(number: str) -> tuple[str, int, str, float]:
    """Run the attack tests without step `number`; gives the number, pytest's exit code, its last lines, seconds."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-p", "tests.mutation", "--without-step", number, "-x", "-q"]
    command += ["-p", "no:randomly", "-p", "no:xdist", "--no-header", "--tb=no", "-m", "not network", "tests/attacks"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    return number, done.returncode, done.stdout[-2000:] + done.stderr[-2000:], time.monotonic() - started


def main() -> int:
    """Run, report, and fail when a step can go unnoticed."""
    from tests.mutation import step_numbers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", help="step numbers (default: all)")
    wanted = parser.parse_args().steps or step_numbers()
    survivors = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, code, output, seconds in pool.map(attack, wanted):
            noticed = next((line for line in output.splitlines() if line.startswith("FAILED")), output.strip()[-300:])
            print(f"{number:>4}  {'noticed' if code == NOTICED else 'SURVIVED'}  {seconds:5.1f} s  {noticed[:150]}")
            if code != NOTICED:
                survivors.append(number)
    print(f"{len(wanted) - len(survivors)} of {len(wanted)} steps are guarded by an attack test")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
