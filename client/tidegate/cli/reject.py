"""`tidegate reject`: say no to a request to promote."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_connection, add_reason, add_request, open_desk, tell_ended

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "reject",
        help="say no to a request to promote",
        description="Say no to a request, with a reason. It is over then; asking again makes a new one.",
    )
    add_request(parser)
    add_reason(parser, required=True)
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Look it up, say it, tell."""
    with open_desk(args, out) as desk:
        return tell_ended(desk.promotions.reject(desk.promotions.get(args.request), args.reason), "Rejected", args, out)
