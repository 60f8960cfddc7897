"""`tidegate inspect`: show what is in a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.build import DEFAULT_OUT
from tidegate.cli.common import add_json, add_registry

if TYPE_CHECKING:
    from tidegate.bundle.inspection import Inspection
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "inspect",
        help="show what is in a bundle",
        description="Show what a bundle says of itself: components, models, what it asks for. "
        "Signatures are not verified: `tidegate verify` does that.",
    )
    parser.add_argument(
        "bundle",
        help="an agent's folder, a layout, a tar of one, what `pull` wrote, or a reference to a release",
    )
    parser.add_argument("--version", metavar="VERSION", help="which bundle of a layout that holds several")
    parser.add_argument("--files", action="store_true", help="list the files")
    parser.add_argument("--check", action="store_true", help="read all layers but weights, and check them")
    add_registry(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Inspect, and write it as text or JSON."""
    found = _inspect(args)
    if args.json:
        out.json(found.as_json())
    else:
        out.data("\n".join(found.lines(files=args.files)))
    return 0


def _inspect(args: argparse.Namespace) -> Inspection:
    from tidegate.bundle.inspection import inspect_bundle
    from tidegate.bundle.layout import Layout
    from tidegate.releases.locate import find_layout, parse_release

    own = Path(args.bundle) / DEFAULT_OUT  # an agent's folder stands for what was built there
    path = own if own.is_dir() else find_layout(args.bundle)
    if path is not None:
        return inspect_bundle(Layout.open(path), args.version, check=args.check)
    import os

    from tidegate.credentials.connect import address_for, open_registry
    from tidegate.credentials.sources import Credentials
    from tidegate.releases.verify import utc_now
    from tidegate.remote.source import RegistrySource

    reference = parse_release(args.bundle)
    with open_registry(address_for(reference, args.registry), Credentials(os.environ, clock=utc_now)) as registry:
        source = RegistrySource(registry, reference.name, reference.digest)
        return inspect_bundle(source, reference.version or args.version, check=args.check)
