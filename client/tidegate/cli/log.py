"""`tidegate log`: prove from static files what the audit log says; one module `log_…` for each of its commands."""

from __future__ import annotations

import argparse
from importlib import import_module

from tidegate.cli.common import add_quiet

# command -> what it does; the module tidegate.cli.log_<command> adds its arguments
COMMANDS = {
    "verify": "verify the whole log from its files, and that it only grew since the last time",
    "show": "show an entry, once it is proved to be in the log",
    "prove": "write a proof that an entry is in the log, which verifies offline",
    "tail": "show the latest entries, and wait for more",
    "watch": "be told of what matters in the log",
    "export": "write entries for a SIEM, as JSON lines or OCSF events",
    "check": "check such a proof; no network, no state",
    "replay": "decide again what was decided, and say what comes out otherwise",
    "compare": "compare what several sources, or several times, show of one log",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb with its commands."""
    parser = commands.add_parser(
        "log",
        help="prove what the audit log says",
        description="Prove from static files, and without believing the registry, what was done, by whom and why.",
        epilog="Guide: docs/guides/audit-the-log.md.  Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable.",
    )
    own = parser.add_subparsers(metavar="COMMAND", required=True, prog="tidegate log")
    for command, what in COMMANDS.items():
        import_module(f"tidegate.cli.log_{command}").add(own, what)
        add_quiet(own.choices[command])
