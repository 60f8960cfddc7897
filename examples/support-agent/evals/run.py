"""Run the evaluation cases and print what came of them, as Tidegate attests it; exit status 1 if a case fails."""

from __future__ import annotations

import hashlib
import json
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


def digest(path: Path) -> str:
    """Give the digest of a file."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def main() -> int:
    """Give the exit status."""
    dataset = BUNDLE / "evals" / "cases.json"
    cases = objects_of(load_object(dataset), "cases")
    with tempfile.TemporaryDirectory() as state:
        agent = Agent(BUNDLE, Path(state))
        outcomes = {text_of(case, "name"): int(passes(agent, case)) for case in cases}
    result = {"suite": "support", "dataset": digest(dataset), "harness": digest(Path(__file__)), "repeats": 1}
    print(json.dumps(result | {"outcomes": outcomes}))
    return int(0 in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
