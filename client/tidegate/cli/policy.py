"""`tidegate policy`: write, test and change the policy; one module `policy_…` for each of its commands."""

from __future__ import annotations

import argparse
from importlib import import_module

from tidegate.cli.common import add_quiet

# command -> what it does; the module tidegate.cli.policy_<command> adds its arguments
COMMANDS = {
    "lint": "say what is wrong with a policy, and what it asks",
    "test": "decide the cases of a policy, and say which come out otherwise",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb with its commands."""
    parser = commands.add_parser(
        "policy",
        help="write, test and change the policy of promotions",
        description="Write, test and change the policy that says what a release needs to move to a channel.",
        epilog="Guide: docs/guides/write-your-first-policy.md",
    )
    own = parser.add_subparsers(metavar="COMMAND", required=True, prog="tidegate policy")
    for command, what in COMMANDS.items():
        import_module(f"tidegate.cli.policy_{command.replace('-', '_')}").add(own, what)
        add_quiet(own.choices[command])
