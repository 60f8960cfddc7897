"""`tidegate policy history`: every version of a policy, and what waits to become one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.policies import add_policy_name, open_policies, policy_name

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.remote.policies import Version

MOST_PROPOSALS = 50


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "history",
        help=what,
        description="List the versions of a policy, the latest first, after the proposals that wait for others.",
    )
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """List them."""
    from itertools import islice

    name = policy_name(args)
    with open_policies(args, out) as policies:
        versions = list(policies.versions(name))
        proposals = list(islice(policies.proposals(name), MOST_PROPOSALS))
    if args.json:
        documents = ([each.document for each in listed] for listed in (versions, proposals))
        out.json(dict(zip(("versions", "proposals"), documents, strict=True)))
        return 0
    waiting = [proposal for proposal in proposals if proposal.state == "open"]
    lines = []
    for proposal in waiting:
        count = f"{len(proposal.agreed)} of {proposal.needed} agreed" if proposal.needed else "waits"
        lines += [
            f"{out.paint_data('waiting', 1, 33)}  {proposal.id}  from version {proposal.base}, {count}",
            f"         {proposal.author}: {proposal.reason}",
        ]
    out.pages([*lines, *(_line(version, out) for version in versions)])
    return 0


def _line(version: Version, out: Output) -> str:
    again = f" (the text of {version.reverts} again)" if version.reverts is not None else ""
    number = out.paint_data(f"{version.number:>7}", 1)
    return f"{number}  {version.applied_at:%Y-%m-%d %H:%M} UTC  {version.author}: {version.reason}{again}"
