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
        description="Ask the registry who it takes you for, which agents' charters name you and as what, and what the "
        "policy in force lets you ask for.",
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
    for standing in _objects(answer, "standings"):
        channels = f" (for {_texts(standing, 'channels')})" if standing.get("channels") else ""
        out.step(_text(standing, "standing"), f"of {_text(standing, 'agents')}{channels}: {_text(standing, 'why')}")
    _tell_policy(out, answer)
    for debt in _objects(answer, "debts"):
        what = f"{_text(debt, 'person')} broke the glass of {_text(debt, 'agent')} {_text(debt, 'channel')}"
        out.step("Owed", f"a review: {what}; `tidegate break-glass --review {_text(debt, 'id')}`")
    out.data(_text(answer, "name"))
    return 0


def _tell_policy(out: Output, answer: JsonObject) -> None:
    policy = answer.get("policy")
    if not isinstance(policy, dict):  # a registry older than its client
        return
    if policy.get("person"):
        out.step("Person", _text(policy, "person"))
    if policy.get("roles"):
        out.step("Roles", _texts(policy, "roles"))
    for right in _objects(policy, "rights"):
        out.step("May", f"{_right(right)} (as {_texts(right, 'roles')})")


def _right(right: JsonObject) -> str:
    """Say one right in words."""
    if right.get("action") == "edit-policy":
        document = _text(right, "policy")
        return "edit the policy" if document == "_company" else f"edit the overlay of {document}"
    if right.get("action") == "read-log":
        return "read the audit log"
    but = f", not of {_texts(right, 'unless')}" if right.get("unless") else ""
    agents = f"{_texts(right, 'agents')}{but}"
    if right.get("action") == "promote":
        origin = f" from {_text(right, 'source')}" if right.get("source") else ""
        return f"ask for promotions of {agents}{origin} to {_texts(right, 'channels')}"
    verb = {"break-glass": "break the glass", "review-break-glass": "review who broke the glass"}
    return f"{verb.get(_text(right, 'action'), _text(right, 'action'))} for {agents} in {_texts(right, 'channels')}"


def _objects(answer: JsonObject, key: str) -> list[JsonObject]:
    listed = answer.get(key)
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _texts(document: JsonObject, key: str) -> str:
    from tidegate.remote.answers import clean_text

    listed = document.get(key)
    texts = [clean_text(item) for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    return ", ".join(texts) or "?"


def _text(document: JsonObject, key: str) -> str:
    from tidegate.remote.answers import clean_text

    value: JsonValue = document.get(key)
    return clean_text(value) if isinstance(value, str) else "?"
