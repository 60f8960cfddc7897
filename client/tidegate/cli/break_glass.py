"""`tidegate break-glass`: the emergencies in which somebody went past the policy, and the look afterwards."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_connection, add_reason, open_desk

if TYPE_CHECKING:
    from tidegate.cli.output import Output

VERDICTS = ("justified", "unjustified")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "break-glass",
        help="list emergencies that went past the policy, review one",
        description="List the uses of break-glass that nobody has reviewed, or review one: a second person must look "
        "at each in time, or the agent's next promotion is blocked. To use it: `tidegate promote --break-glass`.",
    )
    parser.add_argument("--review", dest="use", metavar="USE", help="review this one, by its id")
    parser.add_argument("--verdict", choices=VERDICTS, help="what you found; with --review")
    add_reason(parser, required=False)
    parser.add_argument("--all", action="store_true", help="list those that were reviewed, too")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """List, or review."""
    return _review(args, out) if args.use else _list(args, out)


def _list(args: argparse.Namespace, out: Output) -> int:
    from tidegate.cli.checklist import debt_lines
    from tidegate.releases.verify import utc_now

    with open_desk(args, out) as desk:
        debts = list(desk.promotions.debts(only_open=not args.all))
    if args.json:
        out.json({"uses": [debt.document for debt in debts]})
        return 0
    now = utc_now()
    out.pages([line for debt in debts for line in debt_lines(debt, now)] or ["nothing waits for a review"])
    return 0


def _review(args: argparse.Namespace, out: Output) -> int:
    from tidegate.errors import InvalidInput, NotFound

    if not args.verdict or not args.reason:
        raise InvalidInput("a review says what was found, and why", expected="--verdict and --reason")
    with open_desk(args, out) as desk:
        found = next((debt for debt in desk.promotions.debts(only_open=False) if debt.id == args.use), None)
        if found is None:
            raise NotFound("there is no such use of break-glass", found=args.use[:80])
        answer = desk.promotions.review(found, args.verdict, args.reason)
    out.step("Reviewed", f"{found.id}: {args.verdict}")
    if args.json:
        out.json(answer)
    else:
        out.data(found.id)
    return 0
