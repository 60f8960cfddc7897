"""JSON in and out, strictly: the same rules for the agent's own files and for lines from the task socket."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import NoReturn

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]

MAX_DEPTH = 64  # agent-runtime.md, section 5.3
MAX_SAFE_INTEGER = (1 << 53) - 1  # agent-runtime.md, section 5.1


def parse_object(raw: bytes) -> JsonObject:
    """Parse one JSON object. Raises ValueError on repeated keys, bad numbers, depth, encoding, or another type."""
    try:
        value: Json = json.loads(  # noqa: TID251 - stands alone: no Tidegate import; every trap is closed here
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_not_finite, parse_int=_safe_integer
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error type for every bad document
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return value
    raise ValueError("nested too deeply")


def load_object(path: Path) -> JsonObject:
    """Read and parse the file at `path`. Raises OSError and ValueError."""
    return parse_object(path.read_bytes())


def encode_line(value: JsonObject) -> bytes:
    """Write `value` as one line, its newline included."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def replace_file(path: Path, raw: bytes) -> None:
    """Write `raw` to `path` by rename: a reader, or a crash, sees the old bytes or the new ones."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with staged.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)


def text_of(document: JsonObject, key: str) -> str:
    """Give the text member `key`. Raises ValueError."""
    value = document.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text")  # noqa: TRY004
    return value


def object_of(document: JsonObject, key: str) -> JsonObject:
    """Give the object member `key`. Raises ValueError."""
    value = document.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not an object")  # noqa: TRY004
    return value


def objects_of(document: JsonObject, key: str) -> list[JsonObject]:
    """Give the member `key`, a list of objects. Raises ValueError."""
    value = document.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list")  # noqa: TRY004
    return [object_of({"item": item}, "item") for item in value]


def texts_of(document: JsonObject) -> dict[str, str]:
    """Give an object whose members are all text. Raises ValueError."""
    return {key: text_of(document, key) for key in document}


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is repeated")
    return result


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _safe_integer(text: str) -> int:
    if len(text) > len(str(MAX_SAFE_INTEGER)) + 1 or abs(int(text)) > MAX_SAFE_INTEGER:
        raise ValueError("an integer is too large")
    return int(text)


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
