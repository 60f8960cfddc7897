"""`tidegate sbom`: list what a bundle is made of, as CycloneDX."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http, add_registry

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.formats.jcs import JsonObject

SOURCE_DATE = "SOURCE_DATE_EPOCH"  # Source: https://reproducible-builds.org/specs/source-date-epoch/


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "sbom",
        help="list what a bundle is made of, as CycloneDX",
        description="Write a CycloneDX 1.6 document: packages from lock files and metadata, models, prompts, tools and "
        "data, with their hashes. The same bundle gives the same document. Signatures are not verified.",
        epilog="Attest it with `tidegate attest sbom-cyclonedx … --predicate FILE`, or `tidegate publish --sbom`.",
    )
    parser.add_argument(
        "bundle",
        help="an agent's folder that was built, a layout, a tar of one, what `pull` wrote, or a reference to a release",
    )
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, help="write it here (default: stdout)")
    add_registry(parser)
    add_plain_http(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Write the document to stdout, or to a file."""
    document = _document(args)
    if args.out is None:
        out.json(document)
        return 0
    from tidegate.errors import InvalidInput
    from tidegate.formats.jcs import canonical_bytes

    try:
        args.out.write_bytes(canonical_bytes(document) + b"\n")
    except OSError as error:
        raise InvalidInput(
            "the SBOM cannot be written there", code="file-not-usable", found=f"{args.out}: {error.strerror}"
        ) from error
    if args.json:
        out.json({"file": str(args.out)})
    else:
        out.data(str(args.out))
    return 0


def source_date() -> datetime | None:
    """Give the time that SOURCE_DATE_EPOCH says, None without it. Raises InvalidInput."""
    from tidegate.errors import InvalidInput

    text = os.environ.get(SOURCE_DATE)
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInput(
            f"{SOURCE_DATE} is not a time", found=text[:60], expected="seconds since 1970, in decimal digits"
        ) from error


def _document(args: argparse.Namespace) -> JsonObject:
    from tidegate.bundle.sbom.document import write_sbom
    from tidegate.credentials.sources import Credentials
    from tidegate.releases.sides import open_side
    from tidegate.releases.verify import utc_now

    credentials = Credentials(os.environ, clock=utc_now)
    with open_side(args.bundle, registry=args.registry, plain_http=args.plain_http, credentials=credentials) as side:
        return write_sbom(side, timestamp=source_date())
