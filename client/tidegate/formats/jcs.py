"""JSON in and out: what came from outside is parsed strictly, what we hash or sign is RFC 8785 canonical."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NoReturn

from tidegate.errors import JsonInvalid

type_error_hint = "write it as RFC 8259 JSON in UTF-8, without repeated keys"

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]

MAX_DEPTH = 64  # deeper than any SLSA provenance or SBOM seen; keeps every recursive reader far from its limit
MAX_SAFE_INTEGER = (1 << 53) - 1  # RFC 8785 section 3.2.2.3: larger integers have no one canonical form


def parse_json(raw: bytes, *, limit: int, what: str) -> JsonValue:
    """Parse `raw` (at most `limit` bytes) as JSON that means one thing only.

    `what` names the document in errors. Refused: more than `limit` bytes, anything but UTF-8 without a byte order
    mark, repeated keys, NaN and infinities, integers beyond 2^53-1, U+0000 and lone surrogates, more than MAX_DEPTH
    levels. Raises JsonInvalid.
    """
    if len(raw) > limit:
        raise JsonInvalid(f"{what} is too large", found=f"{len(raw)} bytes", expected=f"at most {limit} bytes")
    try:
        value: JsonValue = json.loads(  # noqa: TID251 - the one place that may, with every trap closed
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_safe_integer,
            parse_float=_finite_float,
        )
    except JsonInvalid as error:
        raise JsonInvalid(f"{what}: {error}", found=error.reasons[0].found, hint=type_error_hint) from None
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise JsonInvalid(f"{what} is not valid JSON", found=str(error)[:200], hint=type_error_hint) from error
    # what has no escapes holds no such text, and what has no more brackets than levels is not too deep
    if b"\\u" in raw or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_shape(value, what)
    return value


def parse_object(raw: bytes, *, limit: int, what: str) -> JsonObject:
    """As `parse_json`, and the document must be an object."""
    value = parse_json(raw, limit=limit, what=what)
    if not isinstance(value, dict):
        raise JsonInvalid(f"{what} is not a JSON object", found=type(value).__name__, expected="an object")
    return value


def canonical_bytes(value: object) -> bytes:
    """Serialise to RFC 8785 (JCS). Raises JsonInvalid on what has no canonical form."""
    import rfc8785

    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # checked at run time; its own type is recursive
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise JsonInvalid("that value has no canonical JSON form", found=str(error)[:200]) from error


def is_storable(text: str) -> bool:
    """Whether `text` has a UTF-8 form that files and databases take: no lone surrogates, no U+0000."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JsonInvalid("a key is repeated", found=repeated[:80])
    return result


def _no_constant(name: str) -> NoReturn:
    raise JsonInvalid("a number is not finite", found=name)


def _safe_integer(text: str) -> int:
    if len(text) > len(str(MAX_SAFE_INTEGER)) + 1 or abs(int(text)) > MAX_SAFE_INTEGER:
        raise JsonInvalid("an integer is too large", found=text[:40])
    return int(text)


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise JsonInvalid("a number is not finite", found=text[:40])
    return number


def _check_shape(value: JsonValue, what: str) -> None:
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent, what)]
        if not level:
            return
    raise JsonInvalid(f"{what} is nested too deeply", expected=f"at most {MAX_DEPTH} levels")


def _children(value: JsonValue, what: str) -> Iterator[JsonValue]:
    if isinstance(value, dict):
        yield from value  # keys are strings and are checked as such
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str) and not is_storable(value):
        raise JsonInvalid(f"{what} holds text that is not storable Unicode", expected="no U+0000, no lone surrogates")
