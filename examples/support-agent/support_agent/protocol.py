"""Messages of the task protocol: checked tasks in, answers out (agent-runtime.md, section 5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from support_agent.documents import JsonObject, object_of, parse_object, text_of, texts_of

PROTOCOL = "tidegate.task/1"
MAX_LINE_BYTES = 1 << 20  # section 5.3, and so are the next three
MAX_LABELS = 32
_IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,63}")
MAX_LABEL_VALUE = 256


class BadLine(Exception):
    """A line that is answered with an `error`. `task_id` is None when the line could not be read that far."""

    def __init__(self, code: str, message: str, task_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.task_id = task_id

    def as_message(self) -> JsonObject:
        """Give the message."""
        return {"type": "error", "id": self.task_id, "code": self.code, "message": str(self)}


@dataclass(frozen=True)
class Task:
    """A task this agent can work on: `text` is `input.text`."""

    id: str
    session: str
    text: str
    shadow: bool


def parse_message(line: bytes) -> Task | None:
    """Give the task in `line`, or None for a ping. Raises BadLine."""
    try:
        message = parse_object(line)
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise BadLine("bad-json", "the line is not a JSON object as the protocol wants it") from error
    match message.get("type"):
        case "ping":
            return None
        case "task":
            return _parse_task(message)
        case str():
            raise BadLine("unknown-type", "this agent knows task and ping", _known_id(message))
    raise BadLine("bad-message", "type is not text", _known_id(message))


def _parse_task(message: JsonObject) -> Task:
    try:
        _check_labels(texts_of(object_of(message, "labels")))
        shadow = message.get("shadow", False)
        if not isinstance(shadow, bool):
            raise ValueError("shadow is not true or false")  # noqa: TRY301, TRY004
        text = text_of(object_of(message, "input"), "text")
        return Task(_identifier(message, "id"), _identifier(message, "session"), text, shadow)
    except ValueError as error:
        raise BadLine("bad-message", str(error), _known_id(message)) from error


def _check_labels(labels: dict[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise ValueError(f"labels has more than {MAX_LABELS} members")
    if not all(_LABEL.fullmatch(key) and len(value) <= MAX_LABEL_VALUE for key, value in labels.items()):
        raise ValueError("a label is too long or has a name with other characters than allowed")


def _identifier(message: JsonObject, key: str) -> str:
    value = text_of(message, key)
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{key} is not 1 to 128 characters of A-Z a-z 0-9 . _ : -")
    return value


def _known_id(message: JsonObject) -> str | None:
    value = message.get("id")
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None
