"""`tidegate policy revert`: propose the text of an older version again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_reason
from tidegate.cli.policies import (
    add_policy_name,
    changes_between,
    company_text,
    finish,
    open_policies,
    policy_name,
    tell_changes,
)

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "revert",
        help=what,
        description="Propose the text of an older version again. It becomes a new version, by the same gate as every "
        "change.",
        epilog="Exit codes: 0 in force, 4 waiting for others, 1 refused.",
    )
    parser.add_argument("number", metavar="NUMBER", type=int, help="the version whose text shall be in force again")
    add_reason(parser, required=True)
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Say what it changes, and propose it."""
    name = policy_name(args)
    with open_policies(args, out) as policies:
        base, old = policies.in_force(name), policies.version(name, args.number)
        out.say(f"{out.paint(name, 1)}, from version {base.number} back to {old.number}:")
        tell_changes(changes_between(name, base.text, old.text or "", company_text(policies, name)), out)
        return finish(policies.revert(name, args.number, args.reason, base), out, "Applied")
