"""`tidegate login`: remember who you are at a sandbox."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "login",
        help="remember who you are",
        description="Log in to a sandbox on this machine as one of its demo users. Elsewhere nothing needs to be "
        "remembered: CI jobs have an identity, people sign in a browser when they sign, and a registry takes the "
        "token of your identity provider from $TIDEGATE_TOKEN.",
    )
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--as", dest="user", metavar="NAME", help="the sandbox's user: alice, bob, carol or dave")
    who.add_argument("--forget", action="store_true", help="forget who was logged in")
    parser.add_argument(
        "--sandbox-dir",
        metavar="DIR",
        help="the sandbox's folder (default: $TIDEGATE_SANDBOX_ISSUER, then $TIDEGATE_SANDBOX_DIR)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Check that the sandbox knows the user, and remember."""
    from tidegate.credentials.login import LoginStore, SandboxLogin, find_sandbox_issuer
    from tidegate.credentials.token import IdentityToken

    store = LoginStore.of_user(os.environ)
    if args.forget:
        forgotten = store.forget()
        out.step("Forgotten" if forgotten else "Nobody", f"in {store.path}")
        if args.json:
            out.json({"user": None, "forgotten": forgotten})
        return 0
    folder = Path(args.sandbox_dir).expanduser() if args.sandbox_dir else None
    login = SandboxLogin(find_sandbox_issuer(os.environ, folder), args.user)
    token = IdentityToken.parse(login.fetch_token(login.issuer), audience=login.issuer)
    identity = token.identity()
    store.save(login)
    name = identity.san if identity else login.user
    out.step("Logged in", f"as {name} at {login.issuer}, remembered in {store.path}")
    if args.json:
        out.json({"user": login.user, "identity": name, "issuer": login.issuer})
    else:
        out.data(name)
    return 0
