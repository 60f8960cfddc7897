"""`tidegate policy approve`: look at what a proposal changes, and agree to it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tidegate.cli.moves import agreed
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
    from tidegate.remote.policies import Policies, Proposal


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "approve",
        help=what,
        description="Show what a proposal changes, computed here from both texts, and agree to it as a further person. "
        "The last agreement that it needs puts it in force.",
        epilog="Exit codes: 0 in force, 4 waiting for others, 1 refused.",
    )
    parser.add_argument("id", metavar="ID", help="the proposal; `tidegate policy history` lists them")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal")
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Show, ask, agree."""
    from tidegate.errors import InvalidInput

    if not args.yes and not sys.stdin.isatty():
        raise InvalidInput(
            "there is no terminal to ask you at, so nothing is agreed to",
            code="approval-not-confirmed",
            expected="a terminal, or --yes",
        )
    with open_policies(args, out) as policies:
        proposal = find_proposal(policies, args)
        _show(policies, proposal, out)
        if not args.yes and not agreed(f"{out.paint('agree', 1)} to it", out):
            raise InvalidInput("you did not agree", code="approval-not-confirmed", found="no", expected="yes")
        return finish(policies.approve(proposal.policy, proposal.id), out, "Applied")


def find_proposal(policies: Policies, args: argparse.Namespace) -> Proposal:
    """Find the proposal that `args` name, for whichever policy it is. Raises NotFound."""
    name = policy_name(args)
    if not args.namespace:
        waiting = (version for version in policies.all_in_force() if args.id in version.open_proposals)
        name = next((version.name for version in waiting), name)
    return policies.proposal(name, args.id)


def _show(policies: Policies, proposal: Proposal, out: Output) -> None:
    name = proposal.policy
    before = policies.version(name, proposal.base).text if proposal.base else None
    out.say(f"{out.paint(name, 1)}, from version {proposal.base}, by {proposal.author}: {proposal.reason}")
    tell_changes(changes_between(name, before, proposal.text or "", company_text(policies, name)), out)
