"""`tidegate withdraw`: take back a request to promote."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_connection, add_reason, add_request, open_desk, tell_ended

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "withdraw",
        help="take back a request to promote",
        description="Take back a request that is open. Whoever asked may, and whoever edits the policy.",
    )
    add_request(parser)
    add_reason(parser, required=False)
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Look it up, say it, tell."""
    with open_desk(args, out) as desk:
        return tell_ended(
            desk.promotions.withdraw(desk.promotions.get(args.request), args.reason), "Withdrawn", args, out
        )
