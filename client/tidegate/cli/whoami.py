"""`tidegate whoami`: who you are here, and what a registry takes you for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http, add_registry
from tidegate.cli.identity import open_credentials

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.formats.jcs import JsonObject, JsonValue


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "whoami",
        help="show who you are and what you may do",
        description="Ask the registry who it takes you for, and which agents' charters name you.",
    )
    add_registry(parser)
    add_plain_http(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask the registry and tell."""
    from tidegate.credentials.connect import default_address, open_registry

    address = default_address(args.registry, plain_http=args.plain_http)
    credentials = open_credentials(args, out)
    with open_registry(address, credentials) as registry:
        answer = registry.whoami()
    held = credentials.find(address.url)
    if args.json:
        out.json({**answer, "source": held.source.value if held else None})
        return 0
    source = f"by {held.source.value} token" if held else "without a token"
    out.step("Known", f"to {address.host} as {_text(answer, 'kind')}, {source}")
    for standing in _standings(answer):
        out.step(_text(standing, "standing"), f"of {_text(standing, 'agents')}: {_text(standing, 'why')}")
    out.data(_text(answer, "name"))
    return 0


def _standings(answer: JsonObject) -> list[JsonObject]:
    listed = answer.get("standings")
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _text(document: JsonObject, key: str) -> str:
    from tidegate.remote.answers import clean_text

    value: JsonValue = document.get(key)
    return clean_text(value) if isinstance(value, str) else "?"
