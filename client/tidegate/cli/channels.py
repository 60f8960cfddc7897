"""`tidegate channels`: what an agent's channels serve, since when, and what holds them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_agent, add_connection, named_agent, open_desk

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "channels",
        help="show what an agent's channels serve",
        description="Show each channel of an agent: the release it serves, since when, the promotion sequence, holds "
        "that a rollback left, and uses of break-glass that nobody has reviewed. All of it is the registry's word.",
    )
    add_agent(parser)
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask and show."""
    from tidegate.cli.checklist import channel_lines
    from tidegate.releases.verify import utc_now

    reference = named_agent(args.what)
    with open_desk(args, out, reference) as desk:
        channels = desk.promotions.channels(reference.name)
    if args.json:
        out.json({"agent": reference.name, "channels": [channel.document for channel in channels]})
        return 0
    now = utc_now()
    out.pages([line for channel in channels for line in channel_lines(channel, out.paint_data, now)])
    return 0
