"""YAML files that people write, read as if they were JSON: one meaning, and every value knows its line.

The YAML 1.2 core schema's plain scalars, so `on`, `no` and dates are text. Refused: anchors and aliases (they expand
without bound), tags, merge keys by way of being unknown keys, repeated keys, several documents, U+0000 and lone
surrogates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import InvalidInput
from tidegate.formats.jcs import MAX_DEPTH, MAX_SAFE_INTEGER, JsonValue, is_storable

if TYPE_CHECKING:
    from yaml import Node, ScalarNode

PathInside = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, JsonValue] = {"": None, "~": None, "null": None, "true": True, "false": False}
# what PyYAML gives to nodes that carry no tag of their own
_UNTAGGED = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A parsed file: its value, and the line (from 1) on which each value begins."""

    name: str
    value: JsonValue
    lines: Mapping[PathInside, int]

    def line_of(self, path: PathInside) -> int:
        """Give the line of the value at `path`, or of the nearest value around it."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 1)


def parse_yaml(raw: bytes, *, limit: int, name: str, error: type[InvalidInput] = InvalidInput) -> YamlDocument:
    """Parse `raw`, at most `limit` bytes of UTF-8. `name`: the file, for messages. Raises `error`."""
    import yaml

    if len(raw) > limit:
        raise error(f"{name} is too large", found=f"{len(raw)} bytes", expected=f"at most {limit} bytes")
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error(f"{name}:{line}: not valid YAML", found=_short(problem.problem)) from problem
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        raise error(f"{name}: not valid YAML", found=_short(problem)) from problem
    reader = _Reader(name, error)
    value = reader.value(node, ()) if node is not None else None
    return YamlDocument(name, value, reader.lines)


class _Reader:
    def __init__(self, name: str, error: type[InvalidInput]) -> None:
        self._name, self._error = name, error
        self._seen: set[int] = set()
        self.lines: dict[PathInside, int] = {}

    def value(self, node: Node, path: PathInside) -> JsonValue:
        import yaml

        line = node.start_mark.line + 1
        self.lines[path] = line
        # an alias gives the very node its anchor gave
        if id(node) in self._seen:
            raise self._refusal(line, path, "an alias repeats this", "the value written out each time")
        self._seen.add(id(node))
        if len(path) > MAX_DEPTH:
            raise self._refusal(line, path, "nested too deeply", f"at most {MAX_DEPTH} levels")
        if node.tag not in _UNTAGGED:
            raise self._refusal(line, path, f"the tag {node.tag} is not allowed", "plain YAML")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: Node, path: PathInside) -> JsonValue:
        import yaml

        result: dict[str, JsonValue] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self._refusal(line, path, "a key is not text", "a name before the colon")
            if key.value in result:
                raise self._refusal(line, (*path, key.value), "the key is repeated", "each key once")
            self._check_text(key.value, line, path)
            result[key.value] = self.value(item, (*path, key.value))
            self.lines[*path, key.value] = line
        return result

    def _scalar(self, node: ScalarNode, path: PathInside) -> JsonValue:
        text: str = node.value
        self._check_text(text, self.lines[path], path)
        if node.style is not None:  # quoted or a block: text, whatever it looks like
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            # a long number is far more often an identifier that wants quotes than a count
            if len(text) > len(str(MAX_SAFE_INTEGER)) or abs(int(text)) > MAX_SAFE_INTEGER:
                raise self._refusal(self.lines[path], path, "the number is too large", "quotes, if it is text")
            return int(text)
        if not _NUMBER.fullmatch(text):
            return text
        number = float(text)
        if not math.isfinite(number):
            raise self._refusal(self.lines[path], path, "the number is too large", "quotes, if it is text")
        return number

    def _check_text(self, text: str, line: int, path: PathInside) -> None:
        """Refuse what an escape in a quoted text can make, and no file or database takes."""
        if not is_storable(text):
            raise self._refusal(line, path, "text that is not storable Unicode", "no U+0000, no lone surrogates")

    def _refusal(self, line: int, path: PathInside, message: str, expected: str) -> InvalidInput:
        where = f"{self._name}:{line}: {path_text(path)}: " if path else f"{self._name}:{line}: "
        return self._error(f"{where}{message}", expected=expected)


def path_text(path: PathInside) -> str:
    """Write a path as people do: `publishers[0].claims.buildTrigger`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _short(problem: object) -> str:
    return " ".join(str(problem).split())[:200]
