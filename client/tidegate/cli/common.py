"""Flags that several commands share, and where their defaults come from: flag, then environment, then file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tidegate.errors import InvalidInput, ReferenceInvalid

QUIET = "say nothing but results and errors"
DEFAULT_TRUST = "~/.config/tidegate/trust.yaml"


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet` to a verb, where it may stand as well as before it."""
    # suppressed: without it, what stands before the verb counts
    parser.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help=QUIET)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="write the result as one JSON document to stdout")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust` and `--sandbox`."""
    parser.add_argument(
        "--trust",
        metavar="FILE",
        default=os.environ.get("TIDEGATE_TRUST"),
        help=f"this host's trust file (default: $TIDEGATE_TRUST, then {DEFAULT_TRUST})",
    )
    add_sandbox(parser)


def add_sandbox(parser: argparse.ArgumentParser) -> None:
    """Add `--sandbox`."""
    parser.add_argument(
        "--sandbox",
        action="store_true",
        default=os.environ.get("TIDEGATE_SANDBOX") == "1",
        help="accept a Sigstore root that is marked as a sandbox (default: $TIDEGATE_SANDBOX is 1)",
    )


def add_verifying(parser: argparse.ArgumentParser) -> None:
    """Add what a command that verifies a release takes: from where, by whose trust, and how much of it is shown."""
    parser.add_argument("--steps", action="store_true", help="list every numbered step that passed")
    add_registry(parser)
    add_plain_http(parser)
    add_trust(parser)
    add_json(parser)


def add_plain_http(parser: argparse.ArgumentParser) -> None:
    """Add `--plain-http`."""
    parser.add_argument(
        "--plain-http", action="store_true", help="speak http to a registry on another machine (this one needs no flag)"
    )


def add_registry(parser: argparse.ArgumentParser) -> None:
    """Add `--registry`."""
    parser.add_argument(
        "--registry",
        metavar="HOST",
        default=os.environ.get("TIDEGATE_REGISTRY"),
        help="registry for references that name none, as host[:port] (default: $TIDEGATE_REGISTRY)",
    )


def add_channel(parser: argparse.ArgumentParser) -> None:
    """Add `--channel`, whose values are names of channels."""
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        type=channel_name,
        metavar="NAME",
        help="a channel it may enter by itself (repeatable)",
    )


def channel_name(text: str) -> str:
    """Check an argument that names a channel. Raises ArgumentTypeError."""
    from tidegate.formats.reference import parse_channel

    try:
        return parse_channel(text)
    except ReferenceInvalid as error:
        raise argparse.ArgumentTypeError(f"{text!r:.160} names no channel: give {error.reasons[0].expected}") from error


def trust_path(args: argparse.Namespace) -> Path:
    """Give the trust file that `args` and the environment name. Raises InvalidInput when there is none."""
    path = Path(args.trust or DEFAULT_TRUST).expanduser()
    if not path.is_file():
        raise InvalidInput(
            "there is no trust file, so nothing can be verified",
            code="trust-file-missing",
            found=path,
            hint="name one with --trust FILE or TIDEGATE_TRUST; docs/spec/trust-file.md says what is in it",
        )
    return path
