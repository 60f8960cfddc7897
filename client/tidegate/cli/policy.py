"""`tidegate policy`: write, test and change the policy; one module `policy_…` for each of its commands."""

from __future__ import annotations

import argparse
from importlib import import_module

from tidegate.cli.common import add_quiet

# command -> what it does; the module tidegate.cli.policy_<command> adds its arguments
COMMANDS = {
    "lint": "say what is wrong with a policy, and what it asks",
    "test": "decide the cases of a policy, and say which come out otherwise",
    "show": "write the text of a policy as the registry has it",
    "diff": "say how two texts of a policy differ",
    "history": "list the versions of a policy, and what waits to become one",
    "what-if": "say what a text would have decided otherwise",
    "propose": "ask that a text become the next version",
    "approve": "agree to a proposal, as a further person",
    "apply": "put a proposal in force that lacks nothing",
    "revert": "propose the text of an older version again",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb with its commands."""
    parser = commands.add_parser(
        "policy",
        help="write, test and change the policy of promotions",
        description="Write, test and change the policy that says what a release needs to move to a channel.",
        epilog="Guides: docs/guides/write-your-first-policy.md, docs/guides/change-a-policy.md",
    )
    own = parser.add_subparsers(metavar="COMMAND", required=True, prog="tidegate policy")
    for command, what in COMMANDS.items():
        import_module(f"tidegate.cli.policy_{command.replace('-', '_')}").add(own, what)
        add_quiet(own.choices[command])
