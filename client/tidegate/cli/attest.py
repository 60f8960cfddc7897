"""`tidegate attest`: attach signed evidence to a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json
from tidegate.cli.identity import add_signing, open_signer
from tidegate.cli.sign import add_target, tell

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "attest",
        help="attach signed evidence to a bundle",
        description="Sign a statement about a bundle and attach it, in the layout or in the registry. Who may attest "
        "what is in the agent's charter.",
        epilog="Types: release, provenance, signature, evaluation, vulnerabilities, sbom-cyclonedx, sbom-spdx, "
        "approval, break-glass, review, shadow, test-result, or any predicate type's URI.",
    )
    add_target(parser)
    parser.add_argument("--type", required=True, dest="kind", metavar="TYPE", help="short name or URI, see below")
    parser.add_argument(
        "--predicate", metavar="FILE", help="the JSON object to sign, - for stdin; provenance in CI needs none"
    )
    add_signing(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Sign, attach, tell."""
    from tidegate.attest import attest, open_target
    from tidegate.formats.predicates.types import predicate_type

    predicate_type(args.kind)  # a misspelt type is noticed before anybody is asked to sign in
    predicate = _read(args.predicate)
    signer, credentials = open_signer(args, out)
    options = {"called": args.called, "registry": args.registry}
    with open_target(args.what, **options, plain_http=args.plain_http, credentials=credentials) as target:
        tell(attest(target, signer, args.kind, predicate), "Attested", out)
    return 0


def _read(where: str | None) -> bytes | None:
    from tidegate.errors import InvalidInput
    from tidegate.formats.statement import MAX_STATEMENT_BYTES

    if where is None:
        return None
    try:
        if where == "-":
            return sys.stdin.buffer.read(MAX_STATEMENT_BYTES + 1)
        with Path(where).expanduser().open("rb") as file:
            return file.read(MAX_STATEMENT_BYTES + 1)
    except OSError as error:
        raise InvalidInput("the predicate cannot be read", found=f"{where}: {error.strerror}") from error
