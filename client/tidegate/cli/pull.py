"""`tidegate pull`: fetch a release, verify it, and unpack it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_verifying, trust_path

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "pull",
        help="fetch a release, verify it and unpack it",
        description="Fetch a release by version or digest, verify it against this host's own trust file, and write "
        "DIR/layout (the OCI layout with the evidence) and DIR/bundle (the agent's files). DIR appears, or is "
        "replaced, all at once and only when everything was verified.",
        epilog="Exit codes: 0 verified and written, 1 refused, 2 usage, 3 unreachable.",
    )
    parser.add_argument("what", metavar="REF", help="[registry/]namespace/agent:VERSION or @sha256:…")
    parser.add_argument("--to", required=True, metavar="DIR", help="absent, empty, or a folder an earlier pull wrote")
    parser.add_argument(
        "--opaque",
        action="store_true",
        help="also take an artifact whose content cannot be checked; it is not unpacked",
    )
    add_verifying(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Pull, tell, and print the reference that can never mean anything else."""
    from tidegate.cli.report import tell_release
    from tidegate.releases.pull import pull

    verified = pull(
        args.what,
        Path(args.to).expanduser(),
        trust=trust_path(args),
        registry=args.registry,
        allow_sandbox=args.sandbox,
        plain_http=args.plain_http,
        opaque=args.opaque,
        progress=lambda total: out.progress(total, "Fetching"),
    )
    tell_release(verified, out, verbose=args.steps, folder=args.to)
    return 0
