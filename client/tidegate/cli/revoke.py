"""`tidegate revoke`: withdraw a release for good."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.moves import add_connection, add_reason, add_release, named_release, open_desk

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "revoke",
        help="withdraw a release for good",
        description="Withdraw a release: nothing promotes it any more, and whoever pulls it is told why not. It cannot "
        "be taken back. Channels that serve it are listed; --rollback moves them to what they served before.",
    )
    add_release(parser)
    add_reason(parser, required=True)
    parser.add_argument("--rollback", action="store_true", help="also roll back every channel that serves it")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Withdraw it, and say which channels serve it, or were moved."""
    from tidegate.remote.promotion_values import Revocation

    reference = named_release(args)
    version = reference.version or ""
    with open_desk(args, out, reference) as desk:
        revoked = Revocation.parse(desk.promotions.revoke(reference.name, version, args.reason, rollback=args.rollback))
    out.step("Revoked", f"{revoked.agent} {revoked.version}, {revoked.digest}")
    for channel in revoked.channels:
        if channel.moved_to is not None:
            out.step("Rolled back", f"{channel.name} to {channel.moved_to}")
        else:
            warning = out.paint("warning:", 1, 33)
            out.say(f"{warning} {channel.name} serves it still{f': {channel.why}' if channel.why else ''}")
            for reason in channel.reasons:
                if reason != channel.why:
                    out.say(f"         {reason}")
            if not channel.reasons:
                out.say(f"         `tidegate rollback {revoked.agent} {channel.name} --reason …` moves it")
    if args.json:
        out.json(revoked.document)
    else:
        out.data(f"{revoked.agent}:{revoked.version}@{revoked.digest}")
    return 0
