"""`tidegate policy propose`: ask that a text become the next version of a policy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_reason
from tidegate.cli.policies import (
    add_policy_name,
    changes_between,
    company_text,
    finish,
    open_policies,
    policy_name,
    read_text,
    tell_changes,
)

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.remote.policies import Policies, Version


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "propose",
        help=what,
        description="Propose FILE as the next version of a policy. Whether you may, and who else must agree, is judged "
        "by the policy in force. Where nobody else must, it is in force at once.",
        epilog="Exit codes: 0 in force, 4 waiting for others, 1 refused, 2 mistakes in FILE. "
        "Guide: docs/guides/change-a-policy.md",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the whole new text")
    parser.add_argument(
        "--from",
        dest="base",
        type=int,
        metavar="N",
        help="the version that FILE was made from; refused if another is in force by now (default: that one)",
    )
    add_reason(parser, required=True)
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Say what it changes, and propose it."""
    name, text = policy_name(args), read_text(args.file)
    with open_policies(args, out) as policies:
        base = _base(policies, name, args)
        before = None if base is None else base.text
        out.say(f"{out.paint(name, 1)}, from version {base.number if base else 0}:")
        tell_changes(changes_between(str(args.file), before, text, company_text(policies, name)), out)
        return finish(policies.propose(name, text, args.reason, base), out, "Applied")


def _base(policies: Policies, name: str, args: argparse.Namespace) -> Version | None:
    """Give the version that the file was made from; None for the first overlay of a namespace."""
    from tidegate.errors import NotFound

    if args.base is not None:
        return policies.version(name, args.base)
    try:
        return policies.in_force(name)
    except NotFound:
        if not args.namespace:
            raise
        return None
