"""`tidegate log export`: the log for a SIEM, as JSON lines or OCSF events, each entry proven."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.cli.following import add_resume, log_opener, tell_wait
from tidegate.cli.logs import add_log

if TYPE_CHECKING:
    from tidegate.auditor.export import Window, Write
    from tidegate.auditor.position import Position
    from tidegate.cli.output import Output

FORMATS = ("jsonl", "ocsf")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], what: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help=what,
        description="Write entries of the log, a line each, to stdout or a file. Each is proven to be in the log "
        "before it is written.",
        epilog="Guide: docs/guides/send-the-log-to-a-siem.md",
    )
    parser.add_argument("--format", required=True, choices=FORMATS, help="JSON lines as they are, or OCSF events")
    parser.add_argument("--since", metavar="TIME|INDEX", help="from this entry, or entries of this time, on")
    parser.add_argument("--until", metavar="TIME|INDEX", help="up to, and not with, this entry or time")
    parser.add_argument("--follow", action="store_true", help="then wait for more, until Ctrl-C")
    parser.add_argument("-o", "--output", metavar="FILE", help="add to this file instead of writing to stdout")
    add_resume(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Write what is there, then follow."""
    from tidegate.auditor.export import Bound, Exporter, Window
    from tidegate.auditor.follow import Follower, rounds
    from tidegate.auditor.linefile import LineFile
    from tidegate.auditor.position import load_position

    window = Window(
        Bound.parse(args.since, "--since") if args.since else None,
        Bound.parse(args.until, "--until") if args.until else None,
    )
    resume = Path(args.resume).expanduser() if args.resume else None
    _check(args, window)
    position = load_position(resume) if resume else None
    if position is not None:
        _check_format(position, args.format)
    with ExitStack() as stack:
        file = LineFile.open(Path(args.output).expanduser(), again=resume is not None) if args.output else None
        if file is not None:
            stack.callback(file.close)
        follower = Follower(stack.enter_context(log_opener(args, out)), position)
        if file is not None and file.last is not None:
            follower.known = file.last + 1
            follower.next = max(follower.next, follower.known)  # it ended between a line and the note of it
        exporter = Exporter(
            follower,
            _writer(args.format),
            _to_stdout if file is None else file.add,
            window=window,
            save=_saver(resume, args.format, durable=file is not None),
            by_line=file is None and resume is not None,
        )
        if args.follow:
            tell = partial(tell_wait, out)
            for _ in rounds(exporter.round, sleep=time.sleep, tell=tell):
                if exporter.is_over:
                    break
        else:
            exporter.round()
    out.step("Exported", f"{exporter.count} entries, up to {follower.next}")
    return 0


def _check(args: argparse.Namespace, window: Window) -> None:
    from tidegate.errors import InvalidInput

    if args.resume and window.until is not None and window.until.at is not None:
        raise InvalidInput(
            "an export that ends at a time cannot be gone on with",
            code="log-bound",
            found=args.until,
            expected="--until with an index, or no --resume",
        )


def _check_format(position: Position, wanted: str) -> None:
    from tidegate.errors import InvalidInput

    found = position.kept.get("format")
    if found != wanted:
        raise InvalidInput(
            "that file says how far another export went",
            code="export-other",
            found=f"--format {found}",
            expected=f"--format {wanted}",
            hint="give each export a file of its own for --resume",
        )


def _writer(form: str) -> Write:
    from tidegate import __version__
    from tidegate.auditor.export import ocsf_writer, to_jsonl

    return to_jsonl if form == "jsonl" else ocsf_writer(__version__)


def _saver(resume: Path | None, form: str, *, durable: bool) -> Callable[[Position], None]:
    from tidegate.auditor.position import save_position

    def save(position: Position) -> None:
        if resume is not None:
            save_position(resume, replace(position, kept={"format": form}), durable=durable)

    return save


def _to_stdout(lines: bytes) -> None:
    sys.stdout.write(lines.decode())
    sys.stdout.flush()
