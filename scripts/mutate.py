#!/usr/bin/env python3
"""Take out each numbered check in turn and make sure that at least one attack test notices.

    scripts/mutate.py               every step
    scripts/mutate.py A15 R4        these

The product and pytest are imported once; each step gets a forked copy of that process, two at a time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NOTICED = 1  # pytest's exit code when tests ran and failed
# which attacks are tried first, by the step or its letter: only to be quick, in the end all of them are
FIRST = {
    "A": "forged_signature rewrapped_signature wrong_identity foreign_provenance",
    "B": "hostile_archives lying_config changed_folder",
    "D": "promotion_past_the_gate approval_replay self_approval",
    "E": "evidence_admission",
    "E8": "evidence_flood",
    "K": "token_confusion",
    "L": "false_checkpoint false_proof spoilt_tiles",
    "P": "approval_replay self_approval",
    "Q": "rerun_evaluation promotion_past_the_gate",
    "R": "evidence_replay trust_floor wrong_identity",
    "R13": "understated_version",
    "S": "forged_summary",
    "T": "token_confusion",
    "V": "hostile_source",
    "Y": "replayed_log",
}
WARM = (
    "sigstore.verify",
    "sigstore.sign",
    "httpx2",
    "hypothesis",
    "fastapi",
    "sqlmodel",
    "boto3",
    "tests.fixtures_sandbox",
)


def attacks(number: str) -> list[str]:
    """Give the files of the attack tests, the likely ones first and those that start servers last."""
    likely = f"{FIRST.get(number, '')} {FIRST.get(number[0], '')}".split()

    def rank(file: Path) -> tuple[int, bool]:
        name = file.stem.removeprefix("test_")
        return likely.index(name) if name in likely else len(likely), "world" in file.read_text()

    return [str(file) for file in sorted((ROOT / "tests/attacks").glob("test_*.py"), key=rank)]


def attack(number: str, log: Path) -> int:
    """Fork, run the attack tests without step `number` in the copy, and give its process id."""
    child = os.fork()
    if child:
        return child
    code = 3  # pytest's own for an error inside it
    try:  # the copy must never return into what the original was doing
        import pytest

        output = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        arguments = ["-p", "tests.mutation", "--without-step", number, "-x", "-q", "--no-header", "--tb=no"]
        arguments += ["-p", "no:randomly", "-p", "no:xdist", "-m", "not network"]
        arguments += [
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]  # imported before pytest looked: that is the point
        code = int(pytest.main([*arguments, *attacks(number)]))
    finally:
        sys.stdout.flush()
        os._exit(code)


def run_all(numbers: list[str], folder: Path) -> Iterator[tuple[str, bool, float, str]]:
    """Give number, whether it was noticed, seconds, and by what; as they end, two at a time."""
    waiting, running = list(numbers), dict[int, tuple[str, float]]()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            number = waiting.pop(0)
            running[attack(number, folder / number)] = (number, time.monotonic())
        child, status = os.wait()
        number, started = running.pop(child)
        lines = (folder / number).read_text(errors="replace").splitlines()
        failed = next((line for line in lines if line.startswith("FAILED")), None)
        noticed = os.waitstatus_to_exitcode(status) == NOTICED and failed is not None
        yield number, noticed, time.monotonic() - started, failed or " / ".join(lines[-3:])


def main() -> int:
    """Run, report, and fail when a step can go unnoticed."""
    from tests.mutation import step_numbers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", help="step numbers (default: all)")
    wanted = parser.parse_args().steps or step_numbers()
    for module in WARM:
        import_module(module)
    os.chdir(ROOT)
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        for number, noticed, seconds, by in run_all(wanted, Path(folder)):
            print(f"{number:>4}  {'noticed' if noticed else 'SURVIVED'}  {seconds:5.1f} s  {by[:150]}", flush=True)
            if not noticed:
                survivors.append(number)
    print(f"{len(wanted) - len(survivors)} of {len(wanted)} steps are guarded by an attack test")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
