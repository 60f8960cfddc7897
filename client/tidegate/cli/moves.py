"""What the commands that move channels share: which release, which registry, and how a request is told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http, add_registry, channel_name
from tidegate.cli.outcome import EXIT_DONE, EXIT_REFUSED, EXIT_WAITING

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.credentials.sources import Credentials
    from tidegate.formats.reference import Reference
    from tidegate.remote.promotion_values import Promotion
    from tidegate.remote.promotions import Promotions
    from tidegate.remote.registry import Registry

MAX_REASON = 2000  # characters


def add_release(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a release: one reference, or agent and version."""
    parser.add_argument("what", metavar="REF", help="[registry/]namespace/agent:VERSION; or the agent alone, and then")
    parser.add_argument("version", nargs="?", metavar="VERSION", help="its version")


def add_agent(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names an agent."""
    parser.add_argument("what", metavar="AGENT", help="[registry/]namespace/agent")


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a request."""
    parser.add_argument("request", metavar="REQUEST", help="the request's id, as `tidegate promotions` shows it")


def add_channel_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a channel."""
    parser.add_argument("channel", type=channel_name, metavar="CHANNEL", help="a channel, such as stable")


def add_reason(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add `--reason`."""
    parser.add_argument(
        "--reason", required=required, type=_reason, metavar="TEXT", help="why; it is kept for whoever asks later"
    )


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add what every command here takes."""
    add_registry(parser)
    add_plain_http(parser)
    add_json(parser)


def named_release(args: argparse.Namespace) -> Reference:
    """Give the release that `args` name, with its version. Raises ReferenceInvalid."""
    from tidegate.errors import ReferenceInvalid
    from tidegate.formats.reference import parse_version
    from tidegate.releases.locate import parse_release

    reference = parse_release(args.what)
    if args.version is not None:
        if reference.version is not None:
            raise ReferenceInvalid("two versions are named", found=f"{reference} {args.version}", expected="one")
        reference = replace(reference, version=parse_version(args.version))
    if reference.version is None:
        raise ReferenceInvalid(
            f"which release of {reference.name}?",
            code="reference-incomplete",
            found=reference,
            expected=f"{reference.name}:VERSION",
        )
    return reference


def named_agent(text: str) -> Reference:
    """Give the agent that an argument names, and nothing but an agent. Raises ReferenceInvalid."""
    from tidegate.errors import ReferenceInvalid
    from tidegate.releases.locate import parse_release

    reference = parse_release(text)
    if reference.version is not None or reference.digest is not None:
        raise ReferenceInvalid("an agent is named without a version here", found=text[:300], expected=reference.name)
    return reference


def tell_ended(request: Promotion, verb: str, args: argparse.Namespace, out: Output) -> int:
    """Tell that somebody has ended a request; give the exit code."""
    from tidegate.cli.checklist import move

    out.step(verb, move(request))
    if args.json:
        out.json(request.document)
    else:
        out.data(request.id)
    return EXIT_DONE


@dataclass(frozen=True, slots=True)
class Desk:
    """A registry, and what can be asked there about promotions."""

    registry: Registry
    promotions: Promotions
    credentials: Credentials


@contextmanager
def open_desk(
    args: argparse.Namespace, out: Output, reference: Reference | None = None, credentials: Credentials | None = None
) -> Iterator[Desk]:
    """Open the registry that `reference` or `args` name, as whoever we are. Raises InvalidInput."""
    from tidegate.cli.identity import open_credentials
    from tidegate.credentials.connect import address_for, default_address, open_registry
    from tidegate.remote.promotions import Promotions

    known = credentials or open_credentials(args, out)
    if reference is None:
        address = default_address(args.registry, plain_http=args.plain_http)
    else:
        address = address_for(reference, args.registry, plain_http=args.plain_http)
    with open_registry(address, known) as registry:
        yield Desk(registry, Promotions(registry.api), known)


def seconds_of(text: str, flag: str) -> float:
    """Read a duration that a flag gives, such as 30m. Raises InvalidInput."""
    from tidegate.errors import InvalidInput
    from tidegate.policy.requirements import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise InvalidInput(f"{flag} {text[:40]} {error}", found=text[:40], expected="such as 30m") from error


def agreed(question: str, out: Output) -> bool:
    """Ask the person at the terminal, and say whether they said yes; an end of the input is no yes."""
    sys.stderr.write(f"\n{question}? {out.paint('[yes/no]', 2)} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def tell_request(request: Promotion, out: Output) -> None:
    """Say which request this is, and requirement by requirement how it stands."""
    from tidegate.cli.checklist import checklist, heading
    from tidegate.releases.verify import utc_now

    for line in (*heading(request, out.paint, utc_now()), "", *checklist(request.findings, out.paint)):
        out.say(line)


def finish(request: Promotion, out: Output, verb: str) -> int:
    """Say how it ended, write the result, and give the exit code: done, waiting, or over without having moved."""
    from tidegate.cli.checklist import move
    from tidegate.remote.promotion_values import RequestState

    out.say()
    if request.state is RequestState.DONE:
        out.step(verb, move(request))
    elif request.state is RequestState.OPEN:
        out.step("Waiting", move(request), 1, 33)
        for line in (
            "it moves by itself when nothing is missing any more",
            "`tidegate promotions` shows how it stands",
            "`tidegate withdraw` takes it back",
        ):
            out.say(f"{'':>12}  {line}")
    else:
        outcome = f": {request.outcome}" if request.outcome else ""
        out.step(request.state.value.capitalize(), f"{move(request)}{outcome}", 1, 31)
    if out.as_json:
        out.json(request.document)
    else:
        out.data(request.id)
    codes = {RequestState.DONE: EXIT_DONE, RequestState.OPEN: EXIT_WAITING}
    return codes.get(request.state, EXIT_REFUSED)


def _reason(text: str) -> str:
    if not text.strip() or len(text) > MAX_REASON:
        raise argparse.ArgumentTypeError(f"give a reason of 1 to {MAX_REASON} characters")
    return text
