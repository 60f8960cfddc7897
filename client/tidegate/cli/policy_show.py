"""`tidegate policy show`: the text of a policy as the registry has it, and who may change it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_connection
from tidegate.cli.policies import open_policies, shown

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help=what,
        description="Write the text of a policy to stdout, as it is in force or as a version of it was: to be read, or "
        "to be edited and proposed.",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NS", help="a namespace, for its overlay (default: the company-wide policy)"
    )
    parser.add_argument("--version", type=int, metavar="N", help="this version (default: the one in force)")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Fetch and write it."""
    from tidegate.policy.model import COMPANY

    name = args.name or COMPANY
    with open_policies(args, out) as policies:
        found = policies.in_force(name) if args.version is None else policies.version(name, args.version)
    if args.json:
        out.json(found.document)
        return 0
    out.say(f"{out.paint(name, 1)} version {found.number}, {found.digest}")
    out.say(f"{found.applied_at:%Y-%m-%d %H:%M} UTC by {found.author}: {found.reason}")
    if found.reverts is not None:
        out.say(f"the text of version {found.reverts} again")
    for proposal in found.open_proposals:
        out.say(f"{out.paint('waiting:', 1, 33)} proposal {proposal}")
    out.say()
    out.data(shown(found.text or "").removesuffix("\n"))
    return 0
