"""`tidegate promote`: ask that a channel serve a release."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from tidegate.cli.common import channel_name
from tidegate.cli.emergency import add_break_glass, break_glass, open_glass
from tidegate.cli.moves import (
    Desk,
    add_connection,
    add_reason,
    add_release,
    finish,
    named_release,
    open_desk,
    seconds_of,
    tell_request,
)
from tidegate.cli.outcome import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.remote.promotion_values import Promotion

DEFAULT_TIMEOUT = "1h"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "promote",
        help="ask that a channel serve a release",
        description="Ask that a channel serve a release. The registry moves it at once if its policy says yes; else "
        "the request stays open, says what it lacks and who can supply it, and moves by itself when it has all.",
        epilog="Exit codes: 0 promoted, 1 refused, rejected or superseded, 4 open and waiting. "
        "Guide: docs/guides/promote-and-roll-back.md",
    )
    add_release(parser)
    parser.add_argument("--to", required=True, type=channel_name, metavar="CHANNEL", help="which channel")
    add_reason(parser, required=False)
    parser.add_argument("--wait", action="store_true", help="show progress until it is promoted, or over")
    parser.add_argument(
        "--timeout", default=DEFAULT_TIMEOUT, metavar="TIME", help=f"how long to --wait (default: {DEFAULT_TIMEOUT})"
    )
    add_connection(parser)
    add_break_glass(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask, tell, break the glass or wait if that was asked for."""
    from tidegate.remote.promotion_values import RequestState

    seconds = seconds_of(args.timeout, "--timeout")
    reference = named_release(args)
    glass = open_glass(args, reference.name, args.to, out)
    with open_desk(args, out, reference, glass.credentials if glass else None) as desk:
        request = desk.promotions.open(
            reference.name, reference.version or "", args.to, reason=args.reason, break_glass=args.break_glass
        )
        tell_request(request, out)
        if glass is not None and request.state is RequestState.OPEN:
            request = break_glass(glass, desk, request, out)
        if args.wait:
            try:
                request = _wait(desk, request, seconds, out)
            except KeyboardInterrupt:
                out.say(f"\nno longer watched; the request {request.id} stays open")
                return EXIT_INTERRUPTED
    return finish(request, out, "Promoted")


def _wait(desk: Desk, request: Promotion, seconds: float, out: Output) -> Promotion:
    from tidegate.cli.checklist import checklist, tally
    from tidegate.promotion.follow import follow

    known = {finding.id: finding for finding in request.findings}
    for found in follow(request, partial(desk.promotions.get, request.id), timeout=seconds):
        changed = [finding for finding in found.findings if known.get(finding.id) != finding]
        out.say()
        out.say(out.paint(f"{tally(found.findings)}; changed:", 1))
        for line in checklist(changed, out.paint):
            out.say(line)
        request, known = found, {finding.id: finding for finding in found.findings}
    return request
