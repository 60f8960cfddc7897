"""`tidegate copy`: a verified release with all that refers to it, from one place to another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http, add_registry, add_trust, trust_path

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.releases.ends import Place

EXIT_CODES = "Exit codes: 0 copied, 1 refused, 2 usage, 3 unreachable. Guide: docs/guides/air-gap.md"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "copy",
        help="copy a verified release with its evidence to another place",
        description="Copy a release with everything that refers to it between registries, layouts and archives. It is "
        "verified against this host's own trust file before anything is sent; doing it again is safe.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "source",
        metavar="SRC",
        help="[registry/]namespace/agent:VERSION or @sha256:…, a layout, an archive, or a pulled folder",
    )
    parser.add_argument(
        "destination",
        metavar="DST",
        help="[registry/]namespace/agent, a folder (begin it with ./ or /), or a file that ends in .tar",
    )
    add_copying(parser)
    parser.set_defaults(run=run)


def add_copying(parser: argparse.ArgumentParser) -> None:
    """Add the flags that copy, export and import share."""
    parser.add_argument(
        "--as", dest="expected", metavar="REF", help="what a layout must be: namespace/agent[:version][@sha256:…]"
    )
    add_registry(parser)
    add_plain_http(parser)
    add_trust(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Copy from anywhere to anywhere."""
    from tidegate.releases.ends import Place

    return run_copy(args, out, Place.of_source(args.source), Place.of_destination(args.destination))


def run_copy(args: argparse.Namespace, out: Output, source: Place, destination: Place) -> int:
    """Copy, tell, and print the reference that can never mean anything else."""
    from tidegate.releases.copy import copy
    from tidegate.releases.ends import Connecting
    from tidegate.releases.locate import parse_release

    copied = copy(
        source,
        destination,
        trust=trust_path(args),
        expected=parse_release(args.expected) if args.expected else None,
        connecting=Connecting(args.registry, plain_http=args.plain_http),
        allow_sandbox=args.sandbox,
        progress=lambda total: out.progress(total, "Copying", then="Storing"),
        tell=out.step,
    )
    if args.json:
        out.json(copied.as_json())
    else:
        out.data(str(copied.reference))
    return 0
