"""`tidegate approve`: look at a request by your own trust file, and sign it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tidegate.cli.common import channel_name, trust_path
from tidegate.cli.identity import add_signing, open_signer
from tidegate.cli.moves import add_connection, add_reason, add_request, agreed, open_desk, seconds_of

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.promotion.approve import Filed
    from tidegate.promotion.examine import Examined
    from tidegate.remote.promotion_values import Promotion

DEFAULT_LIFE = "90d"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "approve",
        help="look at a request by your own trust file, and sign it",
        description="Verify the release, its evidence and what the channel serves with your own trust file, compare "
        "them, and show that with the rule of the policy; then sign the approval and file it. Nothing that is shown "
        "is the registry's word; where that differs from what this machine finds, nothing is signed.",
        epilog="Exit codes: 0 filed, whether the request moves by it or not; 1 refused, or you said no. "
        "Guide: docs/guides/promote-and-roll-back.md",
    )
    add_examined(parser)
    parser.add_argument(
        "--valid", default=DEFAULT_LIFE, metavar="TIME", help=f"how long it counts (default: {DEFAULT_LIFE})"
    )
    add_reason(parser, required=False)
    add_connection(parser)
    add_signing(parser)
    parser.set_defaults(run=run)


def add_examined(parser: argparse.ArgumentParser) -> None:
    """Add which request is looked at, and how it is shown."""
    add_request(parser)
    parser.add_argument(
        "--only", metavar="REF", help="refuse unless it asks for this: namespace/agent[:version][@sha256:…]"
    )
    parser.add_argument("--channel", type=channel_name, metavar="CHANNEL", help="refuse unless it is for this channel")
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal")
    parser.add_argument("--files", action="store_true", help="list every file that changed")
    parser.add_argument("--steps", action="store_true", help="list every numbered step that passed")


def run(args: argparse.Namespace, out: Output) -> int:
    """Examine, show, ask, sign, file."""
    from datetime import timedelta

    from tidegate.errors import InvalidInput
    from tidegate.formats.charter import Role
    from tidegate.formats.predicates.approval import MAX_APPROVAL_LIFE
    from tidegate.promotion.approve import demand_named, file_approval
    from tidegate.promotion.examine import Workplace, examine
    from tidegate.releases.verify import utc_now
    from tidegate.verify.trust import load_trust

    life = timedelta(seconds=seconds_of(args.valid, "--valid"))
    if life > MAX_APPROVAL_LIFE:
        raise InvalidInput(
            f"--valid {args.valid}: an approval counts for {DEFAULT_LIFE} at most",
            found=args.valid,
            expected=f"{DEFAULT_LIFE} or less",
            hint="approve it again when its time is over and it has not moved",
        )
    demand_somebody(args)
    trust = load_trust(trust_path(args), allow_sandbox=args.sandbox)
    signer, credentials = open_signer(args, out)
    with open_desk(args, out, credentials=credentials) as desk:
        place = Workplace(desk.registry, trust, utc_now)
        request = desk.promotions.get(args.request)
        demand_expected(request, args)
        found = examine(place, request)
        demand_named(found.charter, signer.expected_identity(), Role.APPROVER, request.channel)
        show_examined(found, out, args)
        _ask(found, args, out)
        filed = file_approval(place, found, signer, reason=args.reason, life=life)
    _tell(filed, found, out)
    return 0


def demand_somebody(args: argparse.Namespace) -> None:
    """Refuse to go on where nobody could be asked. Raises InvalidInput."""
    from tidegate.errors import InvalidInput

    if not args.yes and not sys.stdin.isatty():
        raise InvalidInput(
            "there is no terminal to ask you at, so nothing is approved",
            code="approval-not-confirmed",
            expected="a terminal, or --yes",
            hint="in a pipeline pass --yes, with --only and --channel to say what it may approve",
        )


def demand_expected(request: Promotion, args: argparse.Namespace) -> None:
    """Compare the request with what `--only` and `--channel` say. Raises InvalidInput, ApprovalRefused."""
    from tidegate.promotion.examine import ApprovalRefused
    from tidegate.releases.locate import parse_release

    only = parse_release(args.only) if args.only else None
    for what, wanted, found in (
        ("agent", only.name if only else None, request.agent),
        ("version", only.version if only else None, request.version),
        ("digest", only.digest if only else None, request.digest),
        ("channel", args.channel, request.channel),
    ):
        if wanted is not None and wanted != found:
            raise ApprovalRefused(f"the request is for another {what}", found=found, expected=wanted)


def show_examined(found: Examined, out: Output, args: argparse.Namespace) -> None:
    """Show what this machine found about a request."""
    from tidegate.cli.checklist import checklist, move, when
    from tidegate.cli.diff import diff_lines
    from tidegate.cli.report import show_release
    from tidegate.releases.verify import utc_now

    request = found.request
    out.say(out.paint(f"request {request.id}: {move(request)}", 1))
    out.say(
        f"  asked by {request.requester}, sequence {request.sequence}{f': {request.reason}' if request.reason else ''}"
    )
    out.say()
    show_release(found.release, out, verbose=args.steps)
    out.say()
    if found.diff is None:
        out.say(out.paint(f"{request.channel} serves nothing yet: there is nothing to compare with", 1, 33))
    else:
        out.say(out.paint(f"what changes for {request.channel}:", 1))
        for line in diff_lines(found.diff, out.paint, files=args.files):
            out.say(line)
    out.say()
    out.say(out.paint(f"what the policy asks from {request.source or 'nowhere'} to {request.channel}:", 1))
    for line in checklist(found.findings, out.paint):
        out.say(line)
    out.say()
    now = utc_now()
    for label, text in (
        ("policy", str(found.policy)),
        ("rule", found.rule.digest),
        ("everybody", f"not before {when(found.not_full_before, now)}" if found.rule.rollout else "at once"),
    ):
        out.say(f"{out.paint(f'{label:>12}', 2)}  {text}")


def _ask(found: Examined, args: argparse.Namespace, out: Output) -> None:
    """Ask for a yes, unless that was given. Raises ApprovalRefused (code "approval-declined")."""
    from tidegate.cli.checklist import move
    from tidegate.promotion.examine import ApprovalRefused

    if not args.yes and not agreed(f"{out.paint('approve', 1)} {move(found.request)}", out):
        raise ApprovalRefused("you did not say yes, so nothing was signed", code="approval-declined")


def _tell(filed: Filed, found: Examined, out: Output) -> None:
    from tidegate.cli.checklist import checklist, move, tally
    from tidegate.remote.promotion_values import RequestState

    request = filed.request
    out.say()
    out.step("Approved", f"{move(request)}, as {filed.identity.san}")
    if request.state is RequestState.DONE:
        out.step("Promoted", move(request))
    elif request.state is RequestState.OPEN:
        out.step("Waiting", f"{tally(request.findings)}, says the registry", 1, 33)
        for line in checklist(request.missing, out.paint):
            out.say(line)
    if not out.as_json:
        out.data(str(filed.referrer))
        return
    out.json(
        {
            "request": request.document,
            "referrer": str(filed.referrer),
            **filed.identity.as_json(),
            "rule": str(found.rule.digest),
            "policy": found.policy.as_json(),
            "notFullBefore": found.not_full_before.isoformat(),
            "computed": found.computed.as_json(),
            "findings": [finding.as_json() for finding in found.findings],
        }
    )
