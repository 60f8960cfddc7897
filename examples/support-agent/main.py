"""Start the support agent: by a host's environment, by hand with --task, or `migrate` to bring its state up to date."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from support_agent.loop import Agent
from support_agent.memory import StateUnreadable, upgrade
from support_agent.notify import Notifier
from support_agent.protocol import PROTOCOL
from support_agent.server import Server

RUNTIME = "1"  # the version of agent-runtime.md that this agent follows
EXIT_USAGE, EXIT_STATE = 2, 3


def main() -> int:
    """Give the exit status."""
    parser = argparse.ArgumentParser(prog="support-agent", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["migrate"], help="bring the state folder up to date and exit")
    parser.add_argument("--task", metavar="TEXT", help="answer TEXT and exit")
    parser.add_argument("--session", default="by-hand", help="whose memory a --task belongs to (needs TIDEGATE_STATE)")
    arguments = parser.parse_args()
    bundle = Path(os.environ.get("TIDEGATE_BUNDLE") or Path(__file__).resolve().parent)
    state = Path(os.environ["TIDEGATE_STATE"]) if os.environ.get("TIDEGATE_STATE") else None
    try:
        if arguments.command == "migrate":
            return migrate(state)
        if arguments.task is not None:
            return answer(Agent(bundle, state), arguments.session, arguments.task)
        return serve(bundle, state)
    except StateUnreadable as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_STATE


def migrate(state: Path | None) -> int:
    """Run `state.migrate` (agent-runtime.md, section 3)."""
    if state is None:
        sys.stderr.write("error: TIDEGATE_STATE is not set\n")
        return EXIT_USAGE
    sys.stderr.write("state brought up to date\n" if upgrade(state) else "state is up to date\n")
    return 0


def answer(agent: Agent, session: str, text: str) -> int:
    """Answer one task by hand: the text on stdout, the tools on stderr."""
    result = agent.run(session, text)
    for call in result.tool_calls:
        sys.stderr.write(f"tool {call['name']} {call['arguments']} -> {call['outcome']}\n")
    sys.stdout.write(f"{result.answer.text}\n")
    return int(result.answer.outcome == "failure")


def serve(bundle: Path, state: Path | None) -> int:
    """Serve tasks as the host's environment says."""
    if os.environ.get("TIDEGATE_RUNTIME") != RUNTIME or not os.environ.get("TIDEGATE_SOCKET"):
        sys.stderr.write(
            f"error: not started by a host (TIDEGATE_RUNTIME={RUNTIME} and TIDEGATE_SOCKET are not set)\n"
            'hint: by hand, give --task "Where is order 1001?"\n'
        )
        return EXIT_USAGE
    hello = {"type": "hello", "protocol": PROTOCOL}
    hello |= {key: os.environ.get(f"TIDEGATE_{key.upper()}", "") for key in ("agent", "version", "digest")}
    notifier = Notifier(os.environ)
    agent = Agent(bundle, state)

    async def run() -> None:
        await Server(agent, dict(hello), Path(os.environ["TIDEGATE_SOCKET"]), notifier).run()

    asyncio.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
