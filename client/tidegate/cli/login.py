"""`tidegate login`: say once who you are to a registry, or to a sandbox on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http, add_registry

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.credentials.device import DeviceCode
    from tidegate.credentials.oauth import Tokens
    from tidegate.credentials.provider import LoginOption
    from tidegate.credentials.store import LoginStore
    from tidegate.remote.address import RegistryAddress


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "login",
        help="remember who you are",
        description="Log in to a registry with your company's identity provider: in a browser, or on a machine without "
        "one by a code that you type in elsewhere. CI jobs have an identity and need no login; to sign, people log in "
        "at Sigstore when they sign.",
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--as", dest="user", metavar="NAME", help="a sandbox's user instead: alice, bob, carol or dave")
    who.add_argument("--forget", action="store_true", help="forget every login")
    who.add_argument("--device", action="store_true", help="show a code to type in on another machine")
    add_registry(parser)
    add_plain_http(parser)
    parser.add_argument("--issuer", metavar="URL", help="which issuer, where the registry knows several")
    parser.add_argument("--client-id", metavar="ID", help="with --issuer: the client, whatever the registry says")
    parser.add_argument("--no-keyring", action="store_true", help="keep tokens in a file (mode 0600) in any case")
    parser.add_argument(
        "--sandbox-dir",
        metavar="DIR",
        help="the sandbox's folder (default: $TIDEGATE_SANDBOX_ISSUER, then $TIDEGATE_SANDBOX_DIR)",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Log in, and remember."""
    from tidegate.credentials.store import LoginStore

    store = LoginStore.of_user(os.environ)
    if args.forget:
        forgotten = store.forget()
        out.step("Forgotten" if forgotten else "Nobody", f"in {store.path}")
        if args.json:
            out.json({"user": None, "forgotten": forgotten})
        return 0
    return _log_in_to_sandbox(args, out, store) if args.user else _log_in(args, out, store)


def _log_in_to_sandbox(args: argparse.Namespace, out: Output, store: LoginStore) -> int:
    from tidegate.credentials.sandbox_login import SandboxLogin, find_sandbox_issuer
    from tidegate.credentials.token import IdentityToken

    folder = Path(args.sandbox_dir).expanduser() if args.sandbox_dir else None
    login = SandboxLogin(find_sandbox_issuer(os.environ, folder), args.user)
    token = IdentityToken.parse(login.fetch_token(login.issuer), audience=login.issuer)
    identity = token.identity()
    store.keep_sandbox(login)
    name = identity.san if identity else login.user
    out.step("Logged in", f"as {name} at {login.issuer}, remembered in {store.path}")
    if args.json:
        out.json({"user": login.user, "identity": name, "issuer": login.issuer})
    else:
        out.data(name)
    return 0


def _log_in(args: argparse.Namespace, out: Output, store: LoginStore) -> int:
    from tidegate.credentials.connect import open_registry
    from tidegate.credentials.login import demand_own_client
    from tidegate.credentials.store import RegistryLogin
    from tidegate.errors import InvalidInput
    from tidegate.remote.address import RegistryAddress
    from tidegate.remote.answers import clean_text

    if not args.registry:
        raise InvalidInput(
            "which registry do you want to log in to?",
            code="registry-missing",
            hint="pass --registry HOST, or set TIDEGATE_REGISTRY; for a sandbox there is --as NAME",
        )
    address = RegistryAddress.parse(args.registry, plain_http=args.plain_http)
    option = _option(args, address)
    if args.client_id is None:
        demand_own_client(option, address.url, store.clients())
    tokens, token_endpoint = _ask_person(args, out, option)
    with open_registry(address, lambda _: tokens.identity.raw) as registry:
        name = registry.whoami().get("name")  # before anything is kept: a token that the registry refuses is no login
    login = RegistryLogin(
        address.url, option.issuer, option.client_id, token_endpoint, tokens.identity.raw, tokens.refresh
    )
    in_keyring = store.keep(login, in_keyring=not args.no_keyring)
    shown = clean_text(name) if isinstance(name, str) else "somebody"
    where = "in the keyring" if in_keyring else f"in {store.path}"
    out.step("Logged in", f"to {address.host} as {shown}, remembered {where}")
    if args.json:
        kept = {"keyring": in_keyring, "refreshes": tokens.refresh is not None}
        out.json({"registry": address.url, "identity": name, "issuer": option.issuer, **kept})
    else:
        out.data(shown)
    return 0


def _option(args: argparse.Namespace, address: RegistryAddress) -> LoginOption:
    from tidegate.credentials.connect import open_registry
    from tidegate.credentials.provider import choose_option, parse_login_options

    options: tuple[LoginOption, ...] = ()
    if args.issuer is None or args.client_id is None:
        with open_registry(address, None) as registry:
            options = parse_login_options(registry.login_options())
    return choose_option(options, issuer=args.issuer, client_id=args.client_id, registry=address.host)


def _ask_person(args: argparse.Namespace, out: Output, option: LoginOption) -> tuple[Tokens, str]:
    """Give the tokens of a login, and the endpoint that renews them."""
    import secrets
    import time

    from tidegate.credentials.browser import log_in_by_browser
    from tidegate.credentials.device import log_in_by_device
    from tidegate.credentials.provider import Issuer, new_issuer_client
    from tidegate.releases.verify import utc_now

    with new_issuer_client(option.issuer) as http:
        issuer = Issuer(http, option.issuer)
        provider = issuer.discover()
        if args.device or (provider.device_endpoint is not None and not _has_browser()):
            tokens = log_in_by_device(
                issuer,
                provider,
                option,
                show=lambda code: _show_code(out, code),
                sleep=time.sleep,
                monotonic=time.monotonic,
                clock=utc_now,
            )
        else:
            tokens = log_in_by_browser(
                issuer,
                provider,
                option,
                show=lambda url: _open(out, option, url),
                entropy=secrets.token_bytes,
                clock=utc_now,
            )
    return tokens, provider.token_endpoint


def _has_browser() -> bool:
    if os.environ.get("BROWSER"):
        return True
    if os.environ.get("SSH_CONNECTION") and not os.environ.get("DISPLAY"):
        return False
    is_desktop = sys.platform in ("darwin", "win32")
    return is_desktop or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(out: Output, option: LoginOption, url: str) -> None:
    import webbrowser

    out.say(f"log in at {option.issuer}; if no browser opens, open this on this machine:\n\n  {url}\n")
    webbrowser.open(url)


def _show_code(out: Output, code: DeviceCode) -> None:
    out.say(f"on any machine, open {code.verification_uri} and enter\n\n  {code.user_code}\n")
    if code.complete_uri is not None:
        out.say(f"or open {code.complete_uri} and compare the code")
    out.say("waiting (Ctrl-C gives up)")
