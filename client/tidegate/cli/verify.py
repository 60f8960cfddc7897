"""`tidegate verify`: is this the release it is said to be?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.common import add_verifying, trust_path
from tidegate.errors import InvalidInput

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "verify",
        help="check a bundle against this host's trust file",
        description="Verify a release against this host's own trust file: who signed and built it, from which commit, "
        "and every byte of it. Nothing that a registry says is believed.",
        epilog="Exit codes: 0 verified, 1 refused, 2 usage, 3 unreachable.",
    )
    parser.add_argument(
        "what", metavar="REF|DIR", help="[registry/]namespace/agent:VERSION or @sha256:…, a layout, or a pulled folder"
    )
    parser.add_argument(
        "--as", dest="expected", metavar="REF", help="what a layout must be: namespace/agent[:version][@sha256:…]"
    )
    parser.add_argument(
        "--vsa",
        action="store_true",
        help="check instead that a registry of the trust file's `vsa` decided for it, by the summary that it signed",
    )
    parser.add_argument(
        "--level", action="append", default=[], metavar="LEVEL", help="with --vsa: what it must have found; repeatable"
    )
    parser.add_argument("--channel", metavar="CHANNEL", help="with --vsa: the channel it must have let it into")
    parser.add_argument("--offline", action="store_true", help="open no socket; for layouts and pulled folders")
    add_verifying(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Verify, tell, and print the reference that can never mean anything else."""
    if args.vsa:
        return _run_summary(args, out)
    if args.level or args.channel:
        raise InvalidInput("--level and --channel are about the summary of a decision", hint="add --vsa")
    from tidegate.cli.report import tell_release
    from tidegate.releases.verify import verify

    verified = verify(
        args.what,
        trust=trust_path(args),
        expected=args.expected,
        registry=args.registry,
        offline=args.offline,
        allow_sandbox=args.sandbox,
        plain_http=args.plain_http,
    )
    tell_release(verified, out, verbose=args.steps)
    return 0


def _run_summary(args: argparse.Namespace, out: Output) -> int:
    from tidegate.formats.moment import moment_text
    from tidegate.releases.summary import verify_summaries
    from tidegate.verify.vsa import SUMMARY_STEPS

    summed = verify_summaries(
        args.what,
        trust=trust_path(args),
        levels=tuple(args.level),
        channel=args.channel,
        expected=args.expected,
        registry=args.registry,
        offline=args.offline,
        allow_sandbox=args.sandbox,
        plain_http=args.plain_http,
    )
    for each in summed.summaries:
        decision = each.predicate.decision
        said = f"{decision.action} {decision.version} {decision.channel or ''}".rstrip() if decision else "PASSED"
        out.say(f"{out.paint(f'{each.key.name:>12}', 2)}  {said}, {moment_text(each.predicate.verified_at)}")
        out.say(f"{out.paint('      levels', 2)}  {', '.join(each.predicate.levels)}")
        if decision is not None:
            out.say(f"{out.paint('       entry', 2)}  {decision.entry}")
    if args.steps:
        for step in SUMMARY_STEPS:
            out.say(f"{out.paint(f'{step.number:>12}', 32)}  {step.title}")
    out.say(
        "This is the registry's signed word that it decided so then. It does not say that the evidence is good, nor"
    )
    out.say("that the release was not withdrawn since: `tidegate verify` checks the evidence, without the registry.")
    if out.as_json:
        out.json(summed.as_json())
    else:
        out.data(str(summed.reference))
    return 0
