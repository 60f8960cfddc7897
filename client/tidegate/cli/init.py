"""`tidegate init`: write a commented agent.yaml for an existing folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.cli.output import Output


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = commands.add_parser(
        "init",
        help="write a commented agent.yaml for an existing folder",
        description="Look at a folder with an agent in it and write a commented agent.yaml: what was found, "
        "and what only you can say.",
    )
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="the agent's folder (default: this one)")
    parser.add_argument("--name", metavar="NAMESPACE/AGENT", help="what the agent is called in the registry")
    parser.add_argument("--force", action="store_true", help="write over an agent.yaml that is there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Write the file, and say what is still to be filled in."""
    from tidegate.bundle.initial import write_initial

    found = write_initial(args.folder, name=args.name, force=args.force)
    path = args.folder / "agent.yaml"
    out.data(str(path))
    out.step("wrote", f"{path} for {found.name} {found.version}")
    for todo in found.todo:
        out.step("fill in", todo)
    out.say()
    out.say(f"next: {'edit the file, then ' if found.todo else ''}`tidegate build {args.folder}`")
    return 0
