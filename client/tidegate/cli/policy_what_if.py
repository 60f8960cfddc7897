"""`tidegate policy what-if`: what a text would have decided otherwise, and who could do what."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.policies import add_policy_name, open_policies, policy_name, read_text

if TYPE_CHECKING:
    from tidegate.cli.output import Output
    from tidegate.formats.jcs import JsonObject, JsonValue

DEFAULT_DECISIONS = 500


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "what-if",
        help=what,
        description="Ask the registry to make its last decisions again as if FILE were in force, to judge what every "
        "channel serves, and to compare who may do what. Changes nothing.",
        epilog="Exit codes: 0 told, 1 it could not be put in force, as too few could change the policy afterwards.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the whole new text")
    parser.add_argument(
        "--decisions",
        type=int,
        default=DEFAULT_DECISIONS,
        metavar="N",
        help=f"how many of the last decisions (default: {DEFAULT_DECISIONS}, at most 2000)",
    )
    add_policy_name(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask, and tell."""
    text = read_text(args.file)
    with open_policies(args, out) as policies:
        found = policies.what_if(policy_name(args), text, args.decisions)
    lockout = _objects(found.get("lockout"))
    if args.json:
        out.json(found)
    else:
        out.pages(list(_lines(found, out)))
    return 1 if lockout else 0


def _lines(found: JsonObject, out: Output) -> Iterator[str]:
    flips = _objects(found.get("flips"))
    looked = f"{_said(found, 'decisions')} decisions made again, {_said(found, 'serving')} channels looked at"
    left = f", {_said(found, 'leftOut')} left out" if found.get("leftOut") else ""
    yield from _titled("changes", [f"~ {sentence}" for sentence in _texts(found.get("changes"))], out)
    yield from _titled(f"verdicts ({looked}{left})", [line for flip in flips for line in _flip(flip, out)], out)
    rights = [line for each in _objects(found.get("rights")) for line in _right(each, out)]
    yield from _titled("rights", rights, out)
    locked = [f"{who} could no longer change the policy" for who in _texts(found.get("lockedOut"))]
    cross = out.paint_data("✗", 1, 31)
    refused = [
        f"{cross} {_said(each, 'message')}: {_said(each, 'found')}; needs {_said(each, 'expected')}"
        for each in _objects(found.get("lockout"))
    ]
    if locked or refused:
        yield from _titled("who could change it", [*locked, *refused], out)


def _titled(title: str, lines: list[str], out: Output) -> Iterator[str]:
    yield out.paint_data(title, 1)
    yield from (f"  {line}" for line in lines or ["none would be another one" if "verdicts" in title else "no change"])
    yield ""


def _flip(flip: JsonObject, out: Output) -> Iterator[str]:
    allowed = flip.get("allowed") is True
    sign, codes = ("✓", (1, 32)) if allowed else ("✗", (1, 31))
    past = "would be allowed" if allowed else "would be refused"
    if flip.get("kind") == "serving":
        past = "could enter its channel now" if allowed else "could no longer enter its channel"
    what = f"{_said(flip, 'agent')}:{_said(flip, 'version')} → {_said(flip, 'channel')}"
    when = "" if flip.get("kind") == "serving" else f" ({_said(flip, 'at')[:10]})"
    yield f"{out.paint_data(sign, *codes)} {what}{when} {past}"
    for why in _objects(flip.get("why")):
        yield f"    {_said(why, 'id')}: {_said(why, 'message')}"
        if why.get("found"):
            yield f"        found: {_said(why, 'found')}"


def _right(each: JsonObject, out: Output) -> Iterator[str]:
    who = _said(each, "who")
    yield from (f"{out.paint_data('+', 32)} {who} could {right}" for right in _texts(each.get("gains")))
    yield from (f"{out.paint_data('-', 31)} {who} could no longer {right}" for right in _texts(each.get("loses")))


def _objects(value: JsonValue) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: JsonValue) -> list[str]:
    from tidegate.remote.answers import clean_text

    return [clean_text(each) for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _said(document: JsonObject, key: str) -> str:
    from tidegate.remote.answers import clean_text

    value = document.get(key)
    return "-" if value is None else clean_text(str(value))
