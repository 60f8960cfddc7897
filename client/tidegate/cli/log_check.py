"""`tidegate log check`: a proof from `tidegate log prove`, verified offline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json
from tidegate.cli.logs import add_log_trust, log_trust

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help=what,
        description="Verify that an entry is in a log: by a proof file and the log's key alone. Opens no socket.",
        epilog="Exit codes: 0 it is, 1 the proof does not hold, 2 usage.",
    )
    parser.add_argument("proof", metavar="PROOF", help="the proof, such as NAME.tlog-proof")
    parser.add_argument("entry", nargs="?", metavar="ENTRY", help="the entry's exact bytes (default: NAME.json)")
    add_log_trust(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Verify and tell."""
    from tidegate.auditor.proofs import check_proof
    from tidegate.cli.policies import shown
    from tidegate.errors import EntryInvalid
    from tidegate.formats.entry import parse_entry
    from tidegate.formats.moment import moment_text
    from tidegate.releases.verify import utc_now
    from tidegate.tlog.merkle import leaf_hash

    entry_path = Path(args.entry) if args.entry else None
    proven, raw = check_proof(Path(args.proof), entry_path, log_trust(args), now=utc_now())
    checkpoint = proven.opened.checkpoint
    out.step("Proved", f"it is entry {proven.index:,} of {checkpoint.origin}, which had {checkpoint.size:,} then")
    for key, at in proven.opened.cosigned.items():
        out.step("Cosigned by", f"{key.name} at {at:%Y-%m-%d %H:%M:%S} UTC", 1)
    try:
        entry = parse_entry(raw, index=proven.index)
        out.step("Entry", shown(f"{entry.type} at {moment_text(entry.at)} by {entry.actor}"), 1)
    except EntryInvalid as error:
        out.step("Odd", f"the entry is not of a form we know: {shown(str(error))}", 1, 33)
    if args.json:
        out.json(
            {
                "origin": checkpoint.origin,
                "index": proven.index,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "leafHash": f"sha256:{leaf_hash(raw).hex()}",
                "cosigned": {key.name: moment_text(at) for key, at in proven.opened.cosigned.items()},
            }
        )
    else:
        out.data(f"{proven.index} {checkpoint.origin}")
    return 0
