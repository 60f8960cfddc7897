"""Reading the members of a predicate: by name and type, within bounds, and nothing that means nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, ReferenceInvalid, StatementInvalid
from tidegate.formats.jcs import MAX_SAFE_INTEGER, JsonObject, JsonValue
from tidegate.formats.moment import any_moment, parse_moment
from tidegate.formats.reference import parse_agent_name, parse_channel, parse_version

MAX_TEXT_CHARACTERS: Final = 2_000
MAX_NAME_CHARACTERS: Final = 256

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Members:
    """One object of a predicate. `message`: "the approval cannot be read"; `at`: where in the predicate it is.

    Every method raises StatementInvalid with `code`.
    """

    values: JsonObject
    code: str
    message: str
    at: str = ""

    def closed(self, *names: str) -> Members:
        """Refuse members of other names: a reader that skips what it does not know keeps half a promise."""
        extra = self.values.keys() - set(names)
        if extra:
            where = f" in {self.at}" if self.at else ""
            raise self.refusal(f"a member{where} means nothing", sorted(extra), ", ".join(names))
        return self

    def refusal(self, problem: str, found: object = None, expected: object = None) -> StatementInvalid:
        """Make the error that says what is wrong."""
        return StatementInvalid(
            f"{self.message}: {problem}",
            code=self.code,
            found=None if found is None else str(found)[:160],
            expected=expected,
        )

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self.values.get(name) is not None

    def text(self, name: str, limit: int = MAX_TEXT_CHARACTERS) -> str:
        """Give a text of 1 to `limit` characters."""
        value = self.values.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise self.refusal(f"{self._path(name)} is missing or no text of 1 to {limit:,} characters", _shown(value))
        return value

    def name(self, name: str) -> str:
        """Give a text of at most MAX_NAME_CHARACTERS, printable."""
        value = self.text(name, MAX_NAME_CHARACTERS)
        if not value.isprintable():
            raise self.refusal(f"{self._path(name)} holds control characters", ascii(value))
        return value

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Give a text that is one of `choices`."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in choices:
            raise self.refusal(
                f"{self._path(name)} is none of its values", _shown(value), f"one of {', '.join(choices)}"
            )
        return value

    def agent(self, name: str = "agent") -> str:
        """Give `namespace/agent`."""
        return self._parsed(name, parse_agent_name)

    def version(self, name: str = "version") -> str:
        """Give a semantic version."""
        return self._parsed(name, parse_version)

    def channel(self, name: str = "channel") -> str:
        """Give the name of a channel."""
        return self._parsed(name, parse_channel)

    def digest(self, name: str) -> Digest:
        """Give a digest."""
        return self._parsed(name, Digest.parse)

    def digest_or_none(self, name: str) -> Digest | None:
        """Give a digest, or None when the member is absent or null."""
        return self.digest(name) if self.has(name) else None

    def count(self, name: str, least: int = 0, most: int = MAX_SAFE_INTEGER) -> int:
        """Give a whole number within bounds; `3.0` is none, as in our JSON counts have no fraction."""
        value = self.values.get(name)
        if type(value) is not int or not least <= value <= most:
            raise self.refusal(f"{self._path(name)} is no whole number from {least} to {most}", _shown(value))
        return value

    def number(self, name: str) -> float:
        """Give a finite number."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(f"{self._path(name)} is no number", _shown(value))
        return float(value)

    def truth(self, name: str) -> bool:
        """Give true or false."""
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise self.refusal(f"{self._path(name)} is neither true nor false", _shown(value))
        return value

    def moment(self, name: str) -> datetime:
        """Give an aware time."""
        try:
            return parse_moment(self.text(name))
        except ValueError as error:
            raise self.refusal(
                f"{self._path(name)} is not a time", _shown(self.values.get(name)), "2026-03-01T09:30:00Z"
            ) from error

    def moment_or_none(self, name: str) -> datetime | None:
        """Give an aware time, or None when the member is absent or null."""
        return self.moment(name) if self.has(name) else None

    def any_moment(self, name: str) -> datetime:
        """Give a time as RFC 3339 allows it, for documents of others: with any offset and any decimals. In UTC."""
        text = self.text(name, MAX_NAME_CHARACTERS)
        found = any_moment(text)
        if found is None:
            raise self.refusal(f"{self._path(name)} is not a time", text, "2026-03-01T09:30:00Z")
        return found

    def any_moment_or_none(self, name: str) -> datetime | None:
        """As `any_moment`, or None when the member is absent or null."""
        return self.any_moment(name) if self.has(name) else None

    def object(self, name: str) -> Members:
        """Give the members of an object."""
        return self._object(self.values.get(name), self._path(name))

    def objects(self, name: str, most: int) -> Iterator[Members]:
        """Give the objects of a list with at most `most` items; none when the member is absent or null."""
        for index, item in enumerate(self._list(name, most)):
            yield self._object(item, f"{self._path(name)}[{index}]")

    def texts(self, name: str, most: int, limit: int = MAX_NAME_CHARACTERS) -> tuple[str, ...]:
        """Give a list of at most `most` distinct texts; empty when the member is absent or null."""
        items = self._list(name, most)
        texts = tuple(item for item in items if isinstance(item, str) and 0 < len(item) <= limit)
        if len(texts) != len(items) or len(set(texts)) != len(texts):
            raise self.refusal(f"{self._path(name)} holds something else than distinct texts", _shown(items))
        return texts

    def digests(self, name: str, most: int) -> tuple[Digest, ...]:
        """Give a list of at most `most` distinct digests; empty when the member is absent or null."""
        return tuple(self._parse(name, text, Digest.parse) for text in self.texts(name, most))

    def channels(self, name: str, most: int) -> tuple[str, ...]:
        """Give a list of at most `most` distinct channels; empty when the member is absent or null."""
        return tuple(self._parse(name, text, parse_channel) for text in self.texts(name, most))

    def _parsed(self, name: str, parse: Callable[[str], Parsed]) -> Parsed:
        return self._parse(name, self.text(name), parse)

    def _parse(self, name: str, text: str, parse: Callable[[str], Parsed]) -> Parsed:
        try:
            return parse(text)
        except (DigestInvalid, ReferenceInvalid) as error:
            reason = error.reasons[0]
            raise self.refusal(f"{self._path(name)}: {reason.message}", reason.found, reason.expected) from error

    def _list(self, name: str, most: int) -> list[JsonValue]:
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            found = f"{len(value)} items" if isinstance(value, list) else _shown(value)
            raise self.refusal(f"{self._path(name)} is no list of at most {most:,} items", found)
        return value

    def _object(self, value: JsonValue, at: str) -> Members:
        if not isinstance(value, dict):
            raise self.refusal(f"{at} is missing or no object", _shown(value))
        return Members(value, self.code, self.message, at)

    def _path(self, name: str) -> str:
        return f"{self.at}.{name}" if self.at else name


def _shown(value: JsonValue) -> str:
    return "nothing" if value is None else str(value)[:80]
