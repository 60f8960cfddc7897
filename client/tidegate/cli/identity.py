"""Flags of the commands that sign or log in, and what they make of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_sandbox, trust_path

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.credentials.sources import Credentials
    from tidegate.signing.signer import Signer
    from tidegate.signing.sigstore import Sigstore


def add_signing(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say with which Sigstore, and as whom, to sign."""
    group = parser.add_argument_group("signing")
    group.add_argument(
        "--sigstore",
        metavar="FILE",
        default=os.environ.get("TIDEGATE_SIGSTORE"),
        help="client trust config of a private Sigstore (default: $TIDEGATE_SIGSTORE, then the public-good instance)",
    )
    group.add_argument(
        "--root", metavar="NAME", help="the root in the trust file that must vouch for what is signed (needs --trust)"
    )
    group.add_argument(
        "--trust", metavar="FILE", default=os.environ.get("TIDEGATE_TRUST"), help="the trust file that --root is in"
    )
    group.add_argument(
        "--identity-token",
        metavar="WHERE",
        help="OIDC token for the audience `sigstore`: a FILE, - for stdin, or env:NAME (default: CI, login, browser)",
    )
    add_sandbox(parser)


def open_credentials(args: argparse.Namespace, out: Output, sigstore: Sigstore | None = None) -> Credentials:
    """Give the credentials that `args` and the environment name; a browser is for people at a terminal."""
    from tidegate.credentials.sources import Credentials, read_signing_token
    from tidegate.releases.verify import utc_now

    browser = None
    if sigstore is not None and out.interactive and sys.stdin.isatty():
        browser = lambda: _log_in(sigstore, out)  # noqa: E731
    token = read_signing_token(getattr(args, "identity_token", None), os.environ) if sigstore is not None else None
    return Credentials(os.environ, clock=utc_now, signing_token=token, browser=browser)


def open_sigstore(args: argparse.Namespace) -> Sigstore:
    """Load the Sigstore instance that `args` names."""
    from tidegate.signing.sigstore import load_sigstore
    from tidegate.verify.trust import load_trust

    trust = load_trust(trust_path(args), allow_sandbox=args.sandbox) if args.root else None
    path = Path(args.sigstore).expanduser() if args.sigstore else None
    return load_sigstore(path, name=args.root, trust=trust, allow_sandbox=args.sandbox)


def open_signer(args: argparse.Namespace, out: Output) -> tuple[Signer, Credentials]:
    """Give the signer that `args` names, and the credentials it uses, which know the registry too."""
    from tidegate.releases.verify import utc_now
    from tidegate.signing.signer import Signer

    sigstore = open_sigstore(args)
    credentials = open_credentials(args, out, sigstore)
    return Signer(sigstore, credentials, clock=utc_now), credentials


def _log_in(sigstore: Sigstore, out: Output) -> str:
    from tidegate.signing.sigstore import browser_login

    out.say(f"sign in at {sigstore.login_url} to say who signs")
    return browser_login(sigstore)
