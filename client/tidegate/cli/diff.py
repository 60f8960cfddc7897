"""`tidegate diff`: what changed between two bundles, and which version step that demands."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http, add_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.bundle.diff.model import BundleDiff
    from tidegate.cli.output import Output

_BUNDLE = (
    "an agent's folder that was built, a layout (LAYOUT:VERSION if it holds several), a tar of one, what `pull` "
    "wrote, a reference, or the version alone of the other side's agent"
)
_SGR = {  # by the name of a style: bold, dim, red, green, yellow, cyan
    "head": (1,),
    "added": (32,),
    "removed": (31,),
    "changed": (36,),
    "major": (1, 31),
    "faint": (2,),
    "warning": (1, 33),
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "diff",
        help="show what changed between two bundles",
        description="Show what changed from BEFORE to AFTER, component by component, and the version step that it "
        "demands. Signatures are not verified: `tidegate verify` does that.",
        epilog="Exit codes: 0 compared, also when the step is too small; 1 with --strict when it is. "
        "Guide: docs/guides/what-changed.md",
    )
    parser.add_argument("before", metavar="BEFORE", help=_BUNDLE)
    parser.add_argument("after", metavar="AFTER", help="the same")
    parser.add_argument("--files", action="store_true", help="list every file that changed")
    parser.add_argument("--strict", action="store_true", help="exit 1 when the version step is smaller than demanded")
    parser.add_argument("--no-pager", action="store_true", help="never start a pager (default: $PAGER, on a terminal)")
    add_registry(parser)
    add_plain_http(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Compare, and write it as text or JSON."""
    found = _compare(args)
    if args.json:
        out.json(found.as_json())
    else:
        out.pages(diff_lines(found, out.paint_data, files=args.files), paged=not args.no_pager)
    if found.step is None or found.step.enough:
        return 0
    step = found.step
    out.say(
        f"{out.paint('warning:', 1, 33)} {step.base} to {step.version} is a {step.taken} step, and what changed "
        f"demands a {step.needed} one: release it as {step.proposed}"
    )
    return 1 if args.strict else 0


def _compare(args: argparse.Namespace) -> BundleDiff:
    from tidegate.bundle.diff.compare import diff
    from tidegate.credentials.sources import Credentials
    from tidegate.releases.sides import open_sides
    from tidegate.releases.verify import utc_now

    credentials = Credentials(os.environ, clock=utc_now)
    with open_sides(
        args.before, args.after, registry=args.registry, plain_http=args.plain_http, credentials=credentials
    ) as (before, after):
        return diff(before, after)


def diff_lines(found: BundleDiff, paint: Callable[..., str], *, files: bool) -> list[str]:
    """Write a comparison; `paint` takes a text and SGR codes."""
    from tidegate.bundle.diff.show import describe

    return [paint(text, *_SGR.get(style.value, ())) for style, text in describe(found, files=files)]
