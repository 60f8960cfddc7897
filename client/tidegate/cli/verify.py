"""`tidegate verify`: is this the release it is said to be?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.common import add_verifying, trust_path

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
    parser.add_argument("--offline", action="store_true", help="open no socket; for layouts and pulled folders")
    add_verifying(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Verify, tell, and print the reference that can never mean anything else."""
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
