"""`tidegate log verify`: the whole log, from its files, without asking the registry anything."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tidegate.cli.logs import add_log, log_states, log_trust, open_source, tell_head

if TYPE_CHECKING:
    from tidegate.auditor.audited import AuditedLog
    from tidegate.auditor.verify import WholeLog
    from tidegate.cli.output import Output
    from tidegate.formats.jcs import JsonObject

MAX_SHOWN = 5  # indices of entries, of each kind of finding


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify",
        help=what,
        description="Verify the log from its static files: the checkpoint's signature and cosignatures, every entry "
        "and tile up to the signed root, and that the log begins with what this auditor saw last.",
        epilog="Exit codes: 0 whole, 1 refused (a fork or a truncated log: both checkpoints are kept as evidence), "
        "2 usage, 3 unreachable.",
    )
    parser.add_argument(
        "--since-last",
        action="store_true",
        help="look at new entries only; that the ones verified before are there unchanged is proved",
    )
    parser.add_argument(
        "--deep", action="store_true", help="parse each entry as a whole, not just its envelope (some 40 s a million)"
    )
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Verify, remember, and tell."""
    from tidegate.auditor.audited import open_audited, record_verified
    from tidegate.auditor.verify import verify_log
    from tidegate.releases.verify import utc_now

    trust, states = log_trust(args), log_states(args)
    with open_source(args, out) as source:
        audited = open_audited(source, trust, states, now=utc_now())
        with out.progress(audited.head.checkpoint.size, "Verifying", unit="entries") as bar:
            whole = verify_log(audited, since_last=args.since_last, deep=args.deep, advance=bar.advance)
        record_verified(audited, states)
    tell_head(audited, out, "Verified")
    _tell(whole, out)
    if out.as_json:
        out.json(_document(audited, whole))
    else:
        out.data(f"{whole.size} {audited.head.checkpoint.root.hex()}")
    return 0


def _tell(whole: WholeLog, out: Output) -> None:
    looked = whole.size - whole.start
    if whole.start:
        out.step("Entries", f"{looked:,} new ones; the {whole.start:,} before were verified earlier", 1)
    if looked:
        out.step("Entries" if not whole.start else "", f"from {whole.earliest} to {whole.newest}", 1)
    for kind, count in whole.types.most_common():
        out.say(f"{'':>12}  {count:>9,}  {kind}")
    found = whole.findings
    for odd, words in (
        (found.clock_back, "written by a clock that was set back: minutes older than an entry before"),
        (found.malformed, "not of the form that docs/spec/log-entries.md gives"),
    ):
        if odd.count:
            more = ", …" if odd.count > MAX_SHOWN else ""
            where = ", ".join(map(str, odd.indices[:MAX_SHOWN]))
            out.step("Odd", f"{odd.count:,} entries {words}: {where}{more}", 1, 33)
    for first, second in found.duplicates[:MAX_SHOWN]:
        out.step("Odd", f"entries {first} and {second} have the same id", 1, 33)


def _document(audited: AuditedLog, whole: WholeLog) -> JsonObject:
    from tidegate.cli.logs import head_document

    found = whole.findings
    return {
        **head_document(audited),
        "verifiedFrom": whole.start,
        "types": dict(sorted(whole.types.items())),
        "earliest": whole.earliest or None,
        "newest": whole.newest or None,
        "findings": {
            "clockBack": {"count": found.clock_back.count, "entries": list(found.clock_back.indices)},
            "malformed": {"count": found.malformed.count, "entries": list(found.malformed.indices)},
            "duplicateIds": [list(pair) for pair in found.duplicates],
        },
    }
