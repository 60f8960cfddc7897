"""`tidegate review`: look at the evaluation cases that came out otherwise, and sign what you think of it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.approve import add_examined, demand_expected, demand_somebody, show_examined
from tidegate.cli.common import trust_path
from tidegate.cli.identity import add_signing, open_signer
from tidegate.cli.moves import add_connection, add_reason, agreed, open_desk

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.formats.predicates.review import Flips


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "review",
        help="say what you think of the cases that came out otherwise",
        description="Verify a request as `tidegate approve` does, list the evaluation cases that came out otherwise "
        "than with what the channel serves, and sign that you accept them, or do not. Which cases these are is found "
        "out here, from verified evaluations.",
        epilog="Exit codes: 0 filed; 1 refused, or you said no. Guide: docs/guides/promote-and-roll-back.md",
    )
    add_examined(parser)
    add_reason(parser, required=True)
    parser.add_argument("--reject", action="store_true", help="say that they are not acceptable")
    add_connection(parser)
    add_signing(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Examine, show, ask, sign, file."""
    from tidegate.errors import InvalidInput
    from tidegate.formats.charter import Role
    from tidegate.formats.predicates.review import ReviewVerdict
    from tidegate.promotion.approve import demand_named, file_review, flips_of
    from tidegate.promotion.examine import Workplace, examine
    from tidegate.releases.verify import utc_now
    from tidegate.verify.trust import load_trust

    demand_somebody(args)
    trust = load_trust(trust_path(args), allow_sandbox=args.sandbox)
    signer, credentials = open_signer(args, out)
    verdict = ReviewVerdict.REJECTED if args.reject else ReviewVerdict.ACCEPTED
    filed = []
    with open_desk(args, out, credentials=credentials) as desk:
        place = Workplace(desk.registry, trust, utc_now)
        request = desk.promotions.get(args.request)
        demand_expected(request, args)
        found = examine(place, request)
        demand_named(found.charter, signer.expected_identity(), Role.APPROVER, request.channel)
        flipped = flips_of(found)
        if not flipped:
            raise InvalidInput(
                "no case came out otherwise that the policy wants reviewed",
                code="nothing-to-review",
                hint="`tidegate promotions` shows what the request lacks",
            )
        show_examined(found, out, args)
        for flips in flipped:
            _ask(flips, verdict, args, out)
            filed.append(file_review(place, found, signer, flips, verdict=verdict, reason=args.reason))
            out.step("Reviewed", f"{len(flips.cases)} cases of {flips.suite}: {verdict}, as {filed[-1].identity.san}")
    if args.json:
        out.json({"request": filed[-1].request.document, "referrers": [str(each.referrer) for each in filed]})
    else:
        for each in filed:
            out.data(str(each.referrer))
    return 0


def _ask(flips: Flips, verdict: str, args: argparse.Namespace, out: Output) -> None:
    """List the cases, and ask for a yes unless that was given. Raises ApprovalRefused (code "approval-declined")."""
    from tidegate.promotion.examine import ApprovalRefused

    out.say()
    out.say(out.paint(f"cases of {flips.suite} that came out otherwise than with {flips.baseline[:19]}…:", 1))
    for case in flips.cases:
        out.say(f"  {case}")
    if not args.yes and not agreed(f"{out.paint('sign', 1)} that these are {verdict}", out):
        raise ApprovalRefused("you did not say yes, so nothing was signed", code="approval-declined")
