"""`tidegate policy test`: decide the cases of a policy and say which do not come out as their author expects."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json
from tidegate.cli.policy_lint import add_policy_file, read_policy

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.policy.cases.run import CaseResult


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "test",
        help=what,
        description="Decide every case of a policy, with the engine that decides promotions, and compare.",
        epilog="Exit codes: 0 all as expected, 1 some are not, 2 a file has mistakes. How to write cases: "
        "docs/spec/policy-cases.md",
    )
    add_policy_file(parser)
    parser.add_argument(
        "cases", metavar="CASES", type=Path, nargs="?", help="the cases (default: beside FILE, NAME.cases.yaml)"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Decide each and tell."""
    from tidegate.policy.cases.run import run_cases

    policy = read_policy(args)
    cases: Path = args.cases or args.file.with_name(f"{args.file.stem}.cases.yaml")
    results = run_cases(policy, cases.read_bytes(), name=str(cases))
    failed = [result for result in results if result.differs]
    if args.json:
        told = [result.as_json() for result in results]
        out.json({"policy": str(args.file), "digest": str(policy.digest), "cases": told, "failed": len(failed)})
    else:
        for result in results:
            _show(result, str(cases), out)
        out.say(f"{len(results) - len(failed)} of {len(results)} cases come out as expected")
    return 1 if failed else 0


def _show(result: CaseResult, file: str, out: Output) -> None:
    if not result.differs:
        out.data(f"{out.paint_data('PASS', 32)} {result.name}")
        return
    out.data(f"{out.paint_data('FAIL', 1, 31)} {result.name} ({file}:{result.line})")
    for sentence in result.differs:
        out.data(f"     {sentence}")
