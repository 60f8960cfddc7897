"""The scripted model: reads the prompt and the conversation, asks for a tool or answers. Same input, same output.

It stands where a language model would, so that the example runs offline and its evals are exact. The script is a
weights file, pinned like a model: change it, and the bundle's behavioural version changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from support_agent.documents import JsonObject, load_object, object_of, objects_of, text_of, texts_of

Outcome = Literal["success", "declined", "failure"]


@dataclass(frozen=True)
class ToolRequest:
    """The model wants this tool run."""

    name: str
    arguments: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """The model is done. `reason` is for people, and empty on success."""

    outcome: Outcome
    text: str
    reason: str = ""


@dataclass(frozen=True)
class ToolOutput:
    """What a tool gave, or None when it failed."""

    values: dict[str, str] | None


@dataclass
class Conversation:
    """All the model sees: the system prompt, what every session knows, what was said before, and this task so far."""

    prompt: str
    facts: Mapping[str, str]
    earlier: list[str]
    text: str
    outputs: list[ToolOutput] = field(default_factory=list)


class ScriptedModel:
    """Rules tried in order; the first whose pattern is found in the text drives the task, one step per call."""

    def __init__(self, script: Path) -> None:
        """Load the script. Raises OSError and ValueError."""
        document = load_object(script)
        self.name = text_of(document, "model")
        self._prompt_slots = _patterns(object_of(document, "promptSlots"))
        self._text_slots = _patterns(object_of(document, "textSlots"))
        self._rules = [(_pattern(text_of(rule, "pattern")), rule) for rule in objects_of(document, "rules")]
        self._fallback = object_of(document, "otherwise")

    def respond(self, conversation: Conversation) -> ToolRequest | Answer:
        """Give the next move. Raises ValueError if the script itself is wrong."""
        slots = self._slots(conversation)
        for pattern, rule in self._rules:
            if pattern.search(conversation.text):
                return self._follow(rule, conversation, slots)
        return _answer(self._fallback, slots)

    def _follow(self, rule: JsonObject, conversation: Conversation, slots: dict[str, str]) -> ToolRequest | Answer:
        if "needs" in rule and text_of(rule, "needs") not in slots:
            return _answer(object_of(rule, "missing"), slots)
        steps, done = objects_of(rule, "steps"), len(conversation.outputs)
        if conversation.outputs and conversation.outputs[-1].values is None:
            return _answer(object_of(steps[done - 1], "onFailure"), slots)
        step = steps[done]
        if "above" in step and _exceeds(object_of(step, "above"), slots):
            return _answer(object_of(step, "above"), slots)
        if "call" not in step:
            return _answer(step, slots)
        arguments = texts_of(object_of(step, "arguments"))
        return ToolRequest(text_of(step, "call"), {key: _fill(value, slots) for key, value in arguments.items()})

    def _slots(self, conversation: Conversation) -> dict[str, str]:
        """Fill the slots: facts, the prompt, the text (else what was said last before), then tool outputs."""
        slots = dict(conversation.facts) | {"text": conversation.text}
        for name, pattern in self._prompt_slots.items():
            if found := pattern.search(conversation.prompt):
                slots[name] = found[1]
        for name, pattern in self._text_slots.items():
            for said in (conversation.text, *reversed(conversation.earlier)):
                if found := pattern.search(said):
                    slots[name] = found[1].strip()
                    break
        for output in conversation.outputs:
            slots |= output.values or {}
        return slots


def _answer(step: JsonObject, slots: dict[str, str]) -> Answer:
    text = _fill(text_of(step, "say"), slots)
    match step.get("outcome", "success"):
        case "success":
            return Answer("success", text)
        case "declined":
            return Answer("declined", text, reason=_fill(text_of(step, "reason"), slots))
        case "failure":
            return Answer("failure", text, reason=_fill(text_of(step, "reason"), slots))
    raise ValueError("the script names an unknown outcome")


def _exceeds(step: JsonObject, slots: dict[str, str]) -> bool:
    return Decimal(slots[text_of(step, "value")]) > Decimal(slots[text_of(step, "limit")])


def _fill(template: str, slots: dict[str, str]) -> str:
    return re.sub(r"\{([a-zA-Z]+)\}", lambda found: slots.get(found[1], "?"), template)


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(source, re.IGNORECASE | re.ASCII)


def _patterns(document: JsonObject) -> dict[str, re.Pattern[str]]:
    return {name: _pattern(source) for name, source in texts_of(document).items()}
