"""`tidegate sign`: sign that a bundle is a release."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.common import add_channel, add_json, add_plain_http, add_registry
from tidegate.cli.identity import add_signing, open_signer

if TYPE_CHECKING:
    from tidegate.attest import Attestation
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "sign",
        help="sign a bundle for an agent, a version and channels",
        description="Sign the statement that a bundle is a release: this digest is this version of this agent, and may "
        "enter the channels named. It is attached to the bundle, in the layout or in the registry.",
    )
    add_target(parser)
    add_channel(parser)
    add_signing(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which bundle is meant."""
    parser.add_argument(
        "what", metavar="REF|DIR", help="a layout, or [registry/]namespace/agent:VERSION or @sha256:… in a registry"
    )
    parser.add_argument(
        "--as", dest="called", metavar="REF", help="namespace/agent:version of an artifact that does not say it itself"
    )
    add_registry(parser)
    add_plain_http(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    """Sign, attach, tell."""
    from tidegate.attest import open_target, sign_release

    signer, credentials = open_signer(args, out)
    options = {"called": args.called, "registry": args.registry}
    with open_target(args.what, **options, plain_http=args.plain_http, credentials=credentials) as target:
        tell(sign_release(target, signer, tuple(args.channel)), "Signed", out)
    return 0


def tell(made: Attestation, verb: str, out: Output) -> None:
    """Say what was attached to what, and print the digest of the referrer."""
    who = made.verified.identity.san
    out.step(verb, f"{made.target.reference} as {who}, under root {made.verified.root}")
    if out.as_json:
        out.json(made.as_json())
    else:
        out.data(str(made.referrer))
