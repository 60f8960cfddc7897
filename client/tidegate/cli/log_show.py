"""`tidegate log show`: one entry, once it is proved to be in the log."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidegate.cli.logs import add_entry, add_log, open_entry

if TYPE_CHECKING:
    from tidegate.auditor.find import FoundEntry
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help=what,
        description="Fetch an entry from the log's static files, prove that it is in the log, and show it.",
        epilog="With --json the entry's exact bytes are written: what the log hashed, and `log check` takes.",
    )
    add_entry(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Find, prove, and write it."""
    with open_entry(args, out) as (audited, found):
        checkpoint = audited.head.checkpoint
        out.step("Proved", f"entry {found.index:,} of the {checkpoint.size:,} of {checkpoint.origin}")
        out.step("Leaf", found.leaf, 1)
        out.say()
        if args.json:
            out.exact(found.raw)
        else:
            out.pages(list(_lines(found)))
    return 0


def _lines(found: FoundEntry) -> Iterator[str]:
    from tidegate.cli.policies import shown
    from tidegate.errors import EntryInvalid
    from tidegate.formats.entry import parse_entry

    try:
        entry = parse_entry(found.raw, index=found.index)
    except EntryInvalid as error:
        yield f"not an entry as docs/spec/log-entries.md has it: {shown(str(error))}"
        yield shown(found.raw.decode("utf-8", "replace"))
        return
    actor = entry.actor
    by = " ".join(
        part for part in (actor.name, f"({actor.kind})", f"at {actor.issuer}" if actor.issuer else "") if part
    )
    yield f"index  {found.index}"
    yield f"id     {entry.id}"
    yield f"type   {entry.type}, version {entry.version}"
    yield f"at     {entry.at:%Y-%m-%d %H:%M:%S.%f} UTC"
    yield f"by     {shown(f'{actor.person}: {by}' if actor.person else by)}"
    yield from shown(json.dumps(entry.data, indent=2, ensure_ascii=False)).split("\n")
