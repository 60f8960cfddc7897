"""`tidegate policy apply`: put a proposal in force that lacks nothing any more."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.policies import add_policy_name, finish, open_policies
from tidegate.cli.policy_approve import find_proposal

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "apply",
        help=what,
        description="Put a proposal in force that has all it needs. The last agreement does that by itself; this is "
        "for one that something else held up.",
    )
    parser.add_argument("id", metavar="ID", help="the proposal; `tidegate policy history` lists them")
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Apply it."""
    with open_policies(args, out) as policies:
        proposal = find_proposal(policies, args)
        return finish(policies.apply(proposal.policy, proposal.id), out, "Applied")
