"""Run the evaluation cases and print what came of each, as CSV; exit status 1 if a case fails."""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BUNDLE))

from support_agent.documents import JsonObject, load_object, objects_of, text_of  # noqa: E402
from support_agent.loop import Agent  # noqa: E402


def passes(agent: Agent, case: JsonObject) -> bool:
    """Whether the last answer of the case is as expected."""
    asked = case["ask"]
    assert isinstance(asked, list)  # noqa: S101 - the case file is ours
    *before, last = [str(text) for text in asked]
    session = text_of(case, "name")
    for text in before:
        agent.run(session, text)
    result = agent.run(session, last)
    tools = " ".join(str(call["name"]) for call in result.tool_calls)
    return (
        result.answer.outcome == text_of(case, "outcome")
        and tools == text_of(case, "tools")
        and text_of(case, "says") in result.answer.text
    )


def main() -> int:
    """Give the exit status."""
    cases = objects_of(load_object(BUNDLE / "evals" / "cases.json"), "cases")
    with tempfile.TemporaryDirectory() as state:
        agent = Agent(BUNDLE, Path(state))
        outcomes = {text_of(case, "name"): passes(agent, case) for case in cases}
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerows([("case", "passed"), *outcomes.items()])
    return int(not all(outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
