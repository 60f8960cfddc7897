"""`tidegate lift-hold`: let what a rollback left be promoted again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import (
    add_agent,
    add_channel_argument,
    add_connection,
    add_reason,
    named_agent,
    open_desk,
)

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "lift-hold",
        help="let what a rollback left be promoted again",
        description="After a rollback nothing promotes the version that was left to that channel by itself. Lift that, "
        "once somebody has looked into it.",
    )
    add_agent(parser)
    add_channel_argument(parser)
    add_reason(parser, required=True)
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Lift it, and tell how the channel stands."""
    reference = named_agent(args.what)
    with open_desk(args, out, reference) as desk:
        channel = desk.promotions.lift_hold(reference.name, args.channel, args.reason)
    out.step("Lifted", f"what held {channel.name} of {channel.agent}")
    if args.json:
        out.json(channel.document)
    else:
        out.data(f"{channel.agent} {channel.name}")
    return 0
