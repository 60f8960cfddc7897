"""`tidegate log tail`: the latest entries, and with `-f` those to come, each proven."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING

from tidegate.cli.following import log_opener, tell_wait
from tidegate.cli.logs import add_log

if TYPE_CHECKING:
    from tidegate.auditor.follow import Proven
    from tidegate.cli.output import Output

DEFAULT_COUNT = 10
MAX_COUNT = 10_000
MAX_LOOKED_AT = 1 << 17  # entries that are looked through for the last ones of a filter


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "tail",
        help=what,
        description="Show the latest entries, a line each. Each is proven to be in the log before it is shown.",
        epilog="With --json each line is a JSON object: index, leaf and entry. Ctrl-C ends it.",
    )
    parser.add_argument(
        "-n", dest="count", type=_count, default=DEFAULT_COUNT, metavar="N", help="so many (default 10)"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="then wait for more, until Ctrl-C")
    add_filters(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add which entries are meant."""
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        dest="types",
        metavar="TYPE",
        help="only entries of this type, such as channel.moved or policy.* (repeatable)",
    )
    parser.add_argument(
        "--agent",
        action="append",
        default=[],
        dest="agents",
        metavar="AGENT",
        help="only entries about this agent, such as acme/support or acme/* (repeatable)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Show the last ones, then follow."""
    from tidegate.auditor.follow import Follower, last_entries, rounds

    types, agents = tuple(args.types), tuple(args.agents)
    with log_opener(args, out) as open_log:
        follower = Follower(open_log)
        audited = follower.poll()
        last = last_entries(audited, args.count, lambda each: _is_wanted(each, types, agents), most=MAX_LOOKED_AT)
        for proven in last:
            _show(proven, out, as_json=args.json)
        follower.next = audited.head.checkpoint.size
        if len(last) < min(args.count, follower.next) and follower.next > MAX_LOOKED_AT:
            out.step("Looked", f"at the last {MAX_LOOKED_AT:,} entries only; `tidegate log export` reads all", 1, 33)

        def once() -> None:
            for part in follower.unread(follower.poll()):
                for proven in part:
                    if _is_wanted(proven, types, agents):
                        _show(proven, out, as_json=args.json)

        if args.follow:
            for _ in rounds(once, sleep=time.sleep, tell=partial(tell_wait, out)):
                pass
    return 0


def _is_wanted(proven: Proven, types: tuple[str, ...], agents: tuple[str, ...]) -> bool:
    from tidegate.auditor.lines import concerns, is_of_type

    if proven.entry is None:
        return not types and not agents
    return is_of_type(proven.entry, types) and concerns(proven.entry, agents)


def _show(proven: Proven, out: Output, *, as_json: bool) -> None:
    from tidegate.auditor.export import text_line, to_jsonl
    from tidegate.auditor.lines import line

    if as_json:
        out.data(text_line(to_jsonl(proven)).decode().rstrip("\n"))
    elif proven.entry is None:
        out.data(f"{'-':19}  {proven.index:>8}  an entry that cannot be read, leaf {proven.leaf}")
    else:
        out.data(line(proven.entry))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_COUNT:
        raise argparse.ArgumentTypeError(f"give a number from 0 to {MAX_COUNT}")
    return int(text)
