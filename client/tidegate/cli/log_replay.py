"""`tidegate log replay`: decide again what a registry decided, from its log alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.cli.common import add_sandbox
from tidegate.cli.logs import add_log, log_states, log_trust, open_source, tell_head

if TYPE_CHECKING:
    from tidegate.auditor.replay.outcome import Replayed, Summary
    from tidegate.cli.output import Output
    from tidegate.formats.entry import Entry
    from tidegate.verify.trust import Trust

MAX_SHOWN = 200  # lines of what does not agree; --json has all that is kept


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay",
        help=what,
        description="Fetch every admission and promotion with all that it rested on, verify its evidence again as at "
        "the time, decide it again, and hold it against what the log says was so.",
        epilog="Exit codes: 0 all agree, 1 one differs or cannot be replayed, 2 usage, 3 unreachable.  "
        "Guide: docs/guides/replay-decisions.md",
    )
    parser.add_argument(
        "--since", metavar="TIME|INDEX", help="decisions since then, or from that entry on, as 2026-03-01T09:30:00Z"
    )
    parser.add_argument("--entry", metavar="ENTRY", help="this decision alone, by its index or event id")
    parser.add_argument(
        "--allow-unreplayable", action="store_true", help="do not fail because something is not there to be replayed"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="how many to decide with (default: one for each processor)"
    )
    add_sandbox(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Replay, tell, and say by the exit code whether all agreed."""
    from tidegate.auditor.audited import open_audited
    from tidegate.auditor.replay.run import replay_log
    from tidegate.releases.verify import utc_now

    wanted = _wanted(args.since, args.entry)
    trust, states, today = log_trust(args), log_states(args), _todays_trust(args)
    with open_source(args, out) as source:
        audited = open_audited(source, trust, states, now=utc_now())
        tell_head(audited, out, "Replaying")
        size = audited.head.checkpoint.size
        with out.progress(size, "Replaying", unit="entries") as bar:

            def entries() -> Iterator[tuple[int, bytes]]:
                for each in audited.reader().entries(0, size):
                    bar.advance(1)
                    yield each

            summary = replay_log(entries(), source, wanted=wanted, today=today, processes=args.processes)
    if args.entry is not None and not (summary.decisions or summary.notable):
        from tidegate.errors import NotFound

        raise NotFound("there is no such decision in the log", code="decision-unknown", found=args.entry)
    if out.as_json:
        out.json(summary.as_json())
    else:
        _tell(summary, out)
    return int(bool(summary.differing or (summary.not_replayable and not args.allow_unreplayable)))


def _todays_trust(args: argparse.Namespace) -> Trust | None:
    """Give the auditor's own trust file; with `--key` none is needed, and nothing is said of today."""
    from tidegate.cli.common import trust_path
    from tidegate.verify.trust import load_trust

    return None if args.key else load_trust(trust_path(args), allow_sandbox=args.sandbox)


def _wanted(since: str | None, entry: str | None) -> Callable[[Entry], bool]:
    """Read which decisions are meant. Raises InvalidInput."""
    first, moment = _since(since)
    index = int(entry) if entry is not None and entry.isdecimal() else None

    def wanted(each: Entry) -> bool:
        if entry is not None and entry != each.id and index != each.index:
            return False
        return (each.index or 0) >= first and (moment is None or each.at >= moment)

    return wanted


def _since(text: str | None) -> tuple[int, datetime | None]:
    from tidegate.errors import InvalidInput
    from tidegate.formats.moment import any_moment

    if text is None or text.isdecimal():
        return int(text or 0), None
    moment = any_moment(text)
    if moment is None:
        raise InvalidInput(
            "that is no time and no index",
            code="since-invalid",
            found=text[:100],
            expected="2026-03-01T09:30:00Z, or the index of an entry",
        )
    return 0, moment


def _tell(summary: Summary, out: Output) -> None:
    shown = sorted(summary.notable, key=lambda each: each.index)
    for each in shown[:MAX_SHOWN]:
        _tell_one(each, out)
    if len(shown) > MAX_SHOWN:
        out.say(f"… and {len(shown) - MAX_SHOWN:,} more; --json lists them")
    for label, count, codes in (
        ("agreed", summary.agreed, (1, 32)),
        ("differing", summary.differing, (1, 31)),
        ("not replayable", summary.not_replayable, (1, 33)),
        ("otherwise today", summary.otherwise_today, (2,)),
    ):
        out.data(f"{out.paint_data(f'{label:>15}', *(codes if count else ()))}  {count:,}")


def _tell_one(each: Replayed, out: Output) -> None:
    from tidegate.cli.policies import shown

    out.data(f"{each.index:>9}  {each.state.value:<14}  {each.said:<7}  {shown(each.about)}")
    for label, reasons in (("", each.reasons), ("today: ", each.today)):
        for reason in reasons:
            for line in reason.lines():
                out.data(f"{'':>11}{label}{shown(line)}")
