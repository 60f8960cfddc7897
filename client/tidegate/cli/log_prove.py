"""`tidegate log prove`: a proof that an entry is in the log, for somebody who has nothing but the log's key."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.logs import add_entry, add_log, open_entry

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "prove",
        help=what,
        description="Write a proof in the form of C2SP tlog-proof, about 1 kB, that an entry is in the log. "
        "`tidegate log check` verifies it offline, and so does every other tool that knows the form.",
        epilog="With --out NAME.tlog-proof the entry is written beside it, to NAME.json; else the proof to stdout.",
    )
    add_entry(parser)
    parser.add_argument("--out", metavar="FILE", help="where to write the proof, such as NAME.tlog-proof")
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Find, prove, and write the proof."""
    from tidegate.auditor.proofs import entry_beside, make_proof
    from tidegate.releases.verify import utc_now

    with open_entry(args, out) as (audited, found):
        proof = make_proof(audited, found, now=utc_now())
    checkpoint = audited.head.checkpoint
    out.step("Proved", f"entry {found.index:,} of the {checkpoint.size:,} of {checkpoint.origin}")
    if args.out:
        path = Path(args.out)
        beside = entry_beside(path)
        _check_free(beside)
        for place, content in ((beside, found.raw), (path, proof)):
            place.write_bytes(content)
        out.step("Wrote", f"{path}, and the entry to {beside}")
    if args.json:
        out.json(
            {
                "origin": checkpoint.origin,
                "index": found.index,
                "size": checkpoint.size,
                "leafHash": found.leaf,
                "entry": found.raw.decode("utf-8", "replace"),
                "proof": proof.decode(),
            }
        )
    elif args.out:
        out.data(args.out)
    else:
        out.data(proof.decode().removesuffix("\n"))
    return 0


def _check_free(beside: Path) -> None:
    """Raise InvalidInput (code "log-entry-place") where something else than an entry would be written over."""
    from tidegate.errors import EntryInvalid, InvalidInput
    from tidegate.formats.entry import MAX_ENTRY_BYTES, parse_entry

    try:
        with beside.open("rb") as file:
            parse_entry(file.read(MAX_ENTRY_BYTES + 1))
    except FileNotFoundError:
        return
    except EntryInvalid as error:
        raise InvalidInput(
            f"{beside} is there, and is no entry",
            code="log-entry-place",
            hint="the entry is written beside its proof: give the proof another name",
        ) from error
