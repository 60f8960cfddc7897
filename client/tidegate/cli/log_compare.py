"""`tidegate log compare`: what several sources show of one log, or one source at several times."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.common import add_json, add_plain_http
from tidegate.cli.logs import add_log_trust, add_state, log_states, log_trust, open_source

if TYPE_CHECKING:
    from tidegate.auditor.compare import Compared
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help=what,
        description="Compare checkpoints of one log: of mirrors, of other auditors, of other times, and the last one "
        "that this auditor saw. All must be beginnings of one tree; else the log showed a split view.",
        epilog="Exit codes: 0 one history, 1 refused (a split view: every checkpoint is kept as evidence), 2 usage, "
        "3 unreachable.",
    )
    parser.add_argument(
        "where", nargs="+", metavar="URL|DIR|FILE", help="a log, or a checkpoint that somebody kept; a state file, too"
    )
    add_plain_http(parser)
    add_log_trust(parser)
    add_state(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Collect, compare, and tell."""
    from tidegate.auditor.compare import compare_shown, fetch_shown, load_shown, refuse_split_view
    from tidegate.releases.verify import utc_now

    trust, states = log_trust(args), log_states(args)
    with ExitStack() as stack:
        shown = []
        for where in args.where:
            if "://" not in where and Path(where).is_file():
                shown.append(load_shown(Path(where), trust))
            else:
                source = stack.enter_context(open_source(args, out, where))
                shown.append(fetch_shown(source, trust, now=utc_now()))
        own = states.path(trust.origin)
        if own.is_file() and not any(Path(where).resolve() == own.resolve() for where in args.where):
            shown.append(load_shown(own, trust))
        compared = compare_shown(shown)
    _tell(compared, out)
    refuse_split_view(compared, states, now=utc_now())
    checkpoint = compared.largest.head.checkpoint
    if args.json:
        out.json(
            {
                "origin": checkpoint.origin,
                "consistent": True,
                "shown": [
                    {
                        "source": each.name,
                        "size": each.head.checkpoint.size,
                        "root": each.head.checkpoint.root.hex(),
                        "behind": checkpoint.size - each.head.checkpoint.size,
                    }
                    for each in compared.shown
                ],
            }
        )
    else:
        out.data(f"{checkpoint.size} {checkpoint.root.hex()}")
    return 0


def _tell(compared: Compared, out: Output) -> None:
    largest = compared.largest.head.checkpoint.size
    for each, verdict in zip(compared.shown, compared.verdicts, strict=True):
        size = each.head.checkpoint.size
        behind = f", {largest - size:,} behind" if largest > size else ""
        if verdict:
            out.step("Agrees", f"{size:,} entries{behind}: {each.name}")
        else:
            out.step("DIFFERS", f"{size:,} entries{behind}: {each.name}", 1, 31)
