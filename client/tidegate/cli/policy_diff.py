"""`tidegate policy diff`: how two texts of a policy differ, in meaning and line by line."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.policies import (
    add_policy_name,
    changes_between,
    company_text,
    open_policies,
    policy_name,
    read_text,
    shown,
)

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.remote.policies import Policies

CURRENT = "current"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "diff",
        help=what,
        description="Compare two texts of a policy: first what differs in meaning, then line by line. Each is the "
        f"number of a version, `{CURRENT}` for the one in force, or a file.",
    )
    for side in ("A", "B"):
        parser.add_argument(side.lower(), metavar=side, help=f"a version's number, `{CURRENT}`, or a file")
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare, and tell."""
    name = policy_name(args)
    with open_policies(args, out) as policies:
        before, after = (_text(policies, name, side) for side in (args.a, args.b))
        company = company_text(policies, name)
    sentences = changes_between(name, before, after, company)
    lines = [
        line.rstrip("\n")
        for line in difflib.unified_diff(
            shown(before).splitlines(), shown(after).splitlines(), args.a, args.b, lineterm=""
        )
    ]
    if args.json:
        out.json({"policy": name, "changes": list(sentences), "lines": lines})
        return 0
    said = [f"{out.paint_data('~', 1, 33)} {sentence}" for sentence in sentences]
    out.pages([*(said or ["no change of meaning"]), *([""] if lines else []), *(_painted(line, out) for line in lines)])
    return 0


def _text(policies: Policies, name: str, side: str) -> str:
    if side == CURRENT:
        return policies.in_force(name).text or ""
    if side.isascii() and side.isdigit():
        return policies.version(name, int(side)).text or ""
    return read_text(Path(side))


def _painted(line: str, out: Output) -> str:
    codes = {"+": (32,), "-": (31,), "@": (36,)}.get(line[:1], ())
    return out.paint_data(line, *codes) if codes else line
