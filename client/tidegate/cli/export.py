"""`tidegate export`: a verified release with all that refers to it, as one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.copy import EXIT_CODES, add_copying, run_copy

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "export",
        help="write a verified release with its evidence to one file",
        description="Verify a release and write it, with everything that refers to it, to one file: a tar of an OCI "
        "image layout, with the same bytes wherever it is made. FILE appears complete or not at all.",
        epilog=EXIT_CODES,
    )
    parser.add_argument(
        "source", metavar="REF", help="[registry/]namespace/agent:VERSION or @sha256:…, a layout, or a pulled folder"
    )
    parser.add_argument("file", metavar="FILE", help="absent, or an archive to replace")
    add_copying(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Copy to an archive."""
    from tidegate.releases.ends import Place

    return run_copy(args, out, Place.of_source(args.source), Place(path=Path(args.file).expanduser(), archive=True))
