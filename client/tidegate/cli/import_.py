"""`tidegate import`: a release out of one file, verified again, into a registry or a layout."""

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
        "import",
        help="bring an exported release into a registry or a layout",
        description="Verify the release in a file that `tidegate export` wrote, and copy it with everything that "
        "refers to it. Nothing that the file says is believed.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("source", metavar="FILE", help="what `tidegate export` wrote, or any tar of an OCI layout")
    parser.add_argument(
        "destination",
        metavar="DST",
        nargs="?",
        help="[registry/]namespace/agent, or a folder (begin it with ./ or /); default: the agent's own name in "
        "--registry",
    )
    add_copying(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Copy from a file."""
    from tidegate.releases.ends import Place

    destination = Place.of_destination(args.destination) if args.destination else Place()
    return run_copy(args, out, Place.of_source(Path(args.source)), destination)
