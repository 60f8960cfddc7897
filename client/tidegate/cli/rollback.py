"""`tidegate rollback`: have a channel serve an earlier release again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.emergency import add_break_glass, break_glass, open_glass
from tidegate.cli.moves import (
    add_agent,
    add_channel_argument,
    add_connection,
    add_reason,
    finish,
    named_agent,
    open_desk,
    tell_request,
)

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "rollback",
        help="have a channel serve an earlier release again",
        description="Have a channel serve an earlier release again, at once and also during freezes: by default the "
        "last one that was healthy there. Beyond the charter's rollback window it needs approvals, as a promotion "
        "does. The version that is left is held: nothing promotes it there by itself until `tidegate lift-hold`.",
        epilog="Exit codes: 0 rolled back, 1 refused, 4 open and waiting for approvals. "
        "Guide: docs/guides/promote-and-roll-back.md",
    )
    add_agent(parser)
    add_channel_argument(parser)
    parser.add_argument("--to", type=_version, metavar="VERSION", help="the release to go back to")
    add_reason(parser, required=True)
    add_connection(parser)
    add_break_glass(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Go back, and tell."""
    from tidegate.remote.promotion_values import RequestState

    reference = named_agent(args.what)
    glass = open_glass(args, reference.name, args.channel, out)
    with open_desk(args, out, reference, glass.credentials if glass else None) as desk:
        request = desk.promotions.rollback(
            reference.name, args.channel, args.to, args.reason, break_glass=args.break_glass
        )
        if request.state is not RequestState.DONE:
            tell_request(request, out)
        if glass is not None and request.state is RequestState.OPEN:
            request = break_glass(glass, desk, request, out)
    return finish(request, out, "Rolled back")


def _version(text: str) -> str:
    from tidegate.errors import ReferenceInvalid
    from tidegate.formats.reference import parse_version

    try:
        return parse_version(text)
    except ReferenceInvalid as error:
        raise argparse.ArgumentTypeError(f"{text!r:.160} is no version; {error.hint or 'write 1.2.0'}") from error
