"""`tidegate policy lint`: every mistake of a policy with its line, then its warnings, then what it asks, in words."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.policy.load import LoadedPolicy


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "lint",
        help=what,
        description="Check a policy, and say in words what it asks. Every mistake is told with its line.",
        epilog="Exit codes: 0 no mistakes (there may be warnings), 1 with --strict and warnings, 2 mistakes. "
        "All keys: docs/spec/policy.md",
    )
    add_policy_file(parser)
    parser.add_argument("--strict", action="store_true", help="exit 1 when there are warnings")
    add_json(parser)
    parser.set_defaults(run=run)


def add_policy_file(parser: argparse.ArgumentParser) -> None:
    """Add FILE and `--overlay`."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the company-wide policy, YAML or JSON")
    parser.add_argument("--overlay", metavar="FILE", type=Path, help="a namespace's overlay to it")


def read_policy(args: argparse.Namespace) -> LoadedPolicy:
    """Load what `add_policy_file` names. Raises PolicyInvalid, OSError."""
    from tidegate.policy.load import load_policy

    overlay: Path | None = args.overlay
    return load_policy(
        args.file.read_bytes(),
        overlay.read_bytes() if overlay is not None else None,
        name=str(args.file),
        overlay_name=str(overlay),
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Load it and tell."""
    from tidegate.policy.lint import warnings_of
    from tidegate.policy.words import describe

    policy = read_policy(args)
    warnings = warnings_of(policy, datetime.now(UTC))
    lines = list(describe(policy))
    if args.json:
        told = [reason.as_json() for reason in warnings]
        out.json({"file": str(args.file), "digest": str(policy.digest), "warnings": told, "summary": lines})
    else:
        for line in lines:
            out.data(line)
    for reason in warnings:
        hint = f" ({reason.hint})" if reason.hint else ""
        out.say(f"{out.paint('warning:', 1, 33)} {reason.message}{hint} {out.paint(f'[{reason.code}]', 2)}")
    return 1 if args.strict and warnings else 0
