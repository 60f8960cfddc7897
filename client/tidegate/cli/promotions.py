"""`tidegate promotions`: what every channel serves, what is asked for, and what that lacks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.common import channel_name
from tidegate.cli.moves import add_connection, named_agent, open_desk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.cli.output import Output
    from tidegate.remote.promotion_values import ChannelState, Promotion

STATES = ("open", "done", "rejected", "withdrawn", "superseded")
MOST_CLOSED = 50  # of requests that are over, without --all


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "promotions",
        help="show what channels serve, and what is asked for",
        description="Show what every channel serves, from left to right, and each open request with what it lacks and "
        "who can supply that. All of it is the registry's word: hosts and approvers verify for themselves.",
    )
    parser.add_argument("--agent", metavar="AGENT", help="only this one")
    parser.add_argument("--channel", type=channel_name, metavar="CHANNEL", help="only requests for this channel")
    parser.add_argument("--state", choices=STATES, help="requests in this state (default: open)")
    parser.add_argument("--all", action="store_true", help="requests in every state, and all of them")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask for channels and requests, and show them."""
    from itertools import islice

    from tidegate.cli.checklist import board
    from tidegate.releases.verify import utc_now
    from tidegate.remote.promotion_values import RequestState

    reference = named_agent(args.agent) if args.agent else None
    state = None if args.all else RequestState(args.state or "open")
    with open_desk(args, out, reference) as desk:
        agents = (reference.name,) if reference else desk.promotions.agents()
        channels = [channel for agent in agents for channel in desk.promotions.channels(agent)]
        listed = desk.promotions.list(agent=reference.name if reference else None, channel=args.channel, state=state)
        requests = list(listed if args.all or state is RequestState.OPEN else islice(listed, MOST_CLOSED))
    if args.channel:
        channels = [channel for channel in channels if channel.name == args.channel]
    if args.json:
        out.json(_document(channels, requests))
    else:
        out.pages(board(channels, requests, out.paint_data, utc_now()))
    return 0


def _document(channels: Sequence[ChannelState], requests: Sequence[Promotion]) -> dict[str, object]:
    return {
        "channels": [channel.document for channel in channels],
        "promotions": [request.document for request in requests],
    }
