"""The loop: ask the model, run the tool it wants, show it the output, until it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from support_agent.documents import JsonObject, load_object, texts_of
from support_agent.memory import Memory, Turn
from support_agent.model import Answer, Conversation, ScriptedModel, ToolOutput
from support_agent.tools import Call, Toolbox, ToolFailed

SCRIPT = "weights/scripted-support-2026-11-01.json"  # agent.yaml pins the same model
MAX_STEPS = 8  # the longest rule takes two tools; a script that loops must still end


@dataclass(frozen=True)
class Result:
    """What one task gave, in the members of a `result` message (agent-runtime.md, section 5.2)."""

    answer: Answer
    tool_calls: list[JsonObject]
    usage: JsonObject

    def as_message(self, task_id: str) -> JsonObject:
        """Give the message."""
        message: JsonObject = {"type": "result", "id": task_id, "outcome": self.answer.outcome}
        message["output"] = {"text": self.answer.text}
        if self.answer.outcome != "success":
            message["reason"] = self.answer.reason
        message["toolCalls"] = list(self.tool_calls)
        message["usage"] = self.usage
        return message


class Agent:
    """A bundle folder that came to life. `run` may be called from several threads, for different sessions."""

    def __init__(self, bundle: Path, state: Path | None) -> None:
        """Load prompt, tools, model and what every session knows. Raises OSError, ValueError and StateUnreadable."""
        self._prompt = (bundle / "prompts" / "system.md").read_text(encoding="utf-8")
        self._facts = texts_of(load_object(bundle / "memory" / "shop.json"))
        self._tools = Toolbox(bundle)
        self._model = ScriptedModel(bundle / SCRIPT)
        self._memory = Memory(state)

    def run(self, session: str, text: str, *, shadow: bool = False) -> Result:
        """Work on one task. A shadow task reads the session's memory and leaves nothing behind."""
        turns = self._memory.load_turns(session)
        said = [line for turn in turns for line in (turn.asked, turn.answered)]
        conversation = Conversation(self._prompt, self._facts, said, text)
        call = Call(session, None if shadow else self._memory.folder)
        calls: list[JsonObject] = []
        answer = self._converse(conversation, call, calls)
        if not shadow:
            self._memory.record_turn(session, Turn(text, answer.text))
        words = sum(len(said.split()) for said in (self._prompt, *said, text))
        usage: JsonObject = {"inputTokens": words, "outputTokens": len(answer.text.split()), "costMicroUsd": 0}
        return Result(answer, calls, usage)

    def _converse(self, conversation: Conversation, call: Call, calls: list[JsonObject]) -> Answer:
        for _ in range(MAX_STEPS):
            move = self._model.respond(conversation)
            if isinstance(move, Answer):
                return move
            started = time.monotonic()
            try:
                output = ToolOutput(self._tools.run(move.name, move.arguments, call))
            except ToolFailed:
                output = ToolOutput(None)
            calls.append(
                {
                    "name": move.name,
                    "arguments": dict(move.arguments),
                    "outcome": "failure" if output.values is None else "success",
                    "milliseconds": round((time.monotonic() - started) * 1000),
                }
            )
            conversation.outputs.append(output)
        return Answer("failure", "", reason=f"no answer after {MAX_STEPS} steps")
