"""What the commands that follow the audit log share: its verified head, again and again, and waiting aloud."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidegate.cli.logs import log_states, log_trust, open_source

if TYPE_CHECKING:
    from tidegate.auditor.audited import AuditedLog
    from tidegate.cli.output import Output


@contextmanager
def log_opener(args: argparse.Namespace, out: Output) -> Iterator[Callable[[], AuditedLog]]:
    """Open the log that `args` name; each call gives its head as it is then, verified, and never behind the last."""
    from tidegate.auditor.audited import open_audited
    from tidegate.releases.verify import utc_now

    trust, states = log_trust(args), log_states(args)
    with open_source(args, out) as source:
        yield lambda: open_audited(source, trust, states, now=utc_now())


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add `--resume`."""
    parser.add_argument(
        "--resume", metavar="FILE", help="go on where this file says that the last run ended, and note it there"
    )


def tell_wait(out: Output, what: str, seconds: float) -> None:
    """Say that something does not answer, and when it is tried again."""
    out.step("Waiting", f"{what}; again in {seconds:.0f} s", 1, 33)
