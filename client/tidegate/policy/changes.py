"""How two texts of a policy differ in meaning, in sentences: "staging → stable: `reviewed` needs 2 persons, was 1".

Pure. Compares documents, not texts: order of keys, comments and spelling of durations are no change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.policy.model import PolicyDocument, PolicyOverlay

Document = PolicyDocument | PolicyOverlay

_Inside = Callable[[str, JsonValue, JsonValue], Iterator[str]]

MAX_CHANGES = 200
MAX_SHOWN = 120  # characters of a value in a sentence
_KEYED = {"freezes": "name", "require": "id"}  # lists whose items have names of their own
_WORDS = {
    "persons": "person",
    "roles": "role",
    "signers": "signer",
    "freezes": "freeze",
    "overlayEditors": "editors of the overlay of",
}


def changes(before: Document | None, after: Document) -> tuple[str, ...]:
    """Say in sentences what `after` changes; `before` None: everything is new, and one sentence says so."""
    if before is None:
        return ("there was no version before",)
    old, new = _plain(before), _plain(after)
    found: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        found += _member(key, old.get(key), new.get(key))
    if len(found) > MAX_CHANGES:
        return (*found[:MAX_CHANGES], f"and {len(found) - MAX_CHANGES} more changes")
    return tuple(found)


def _plain(document: Document) -> JsonObject:
    plain: JsonObject = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return plain


def _member(key: str, old: JsonValue, new: JsonValue) -> Iterator[str]:
    if old == new:
        return
    if key == "transitions":
        yield from _named("", _edges(old), _edges(new), _transition)
    elif key == "channels":
        yield f"channels are now {_list(new)}, were {_list(old)}"
    elif key == "exceptions":
        yield from _set("exception", _items(old), _items(new))
    elif key == "publishers":
        yield from _set("publishers of", _items(old), _items(new))
    elif key in _WORDS:
        yield from _named(f"{_WORDS[key]} ", _by_name(key, old), _by_name(key, new), _fields)
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _fields(key, old, new)
    else:
        yield _changed(key, old, new)


def _named(prefix: str, old: Mapping[str, JsonValue], new: Mapping[str, JsonValue], inside: _Inside) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"{prefix}{name} is gone"
        elif name not in old:
            yield f"{prefix}{name} is new: {_shown(new[name])}"
        elif old[name] != new[name]:
            yield from inside(f"{prefix}{name}", old[name], new[name])


def _transition(name: str, old: JsonValue, new: JsonValue) -> Iterator[str]:
    before, after = _object(old), _object(new)
    for key in dict.fromkeys((*before, *after)):
        was, now = before.get(key), after.get(key)
        if key == "require":
            for sentence in _named("", _by_name("require", was), _by_name("require", now), _requirement):
                needed = {"is new: ": "is now needed: ", "is gone": "is no longer needed"}
                for plain, said in needed.items():
                    sentence = sentence.replace(f" {plain}", f" {said}", 1)  # noqa: PLW2901 - reworded here
                yield f"{name}: {sentence}"
        elif was != now:
            yield from (f"{name}: {sentence}" for sentence in _fields(key, was, now))


def _requirement(name: str, old: JsonValue, new: JsonValue) -> Iterator[str]:
    before, after = _object(old), _object(new)
    was, now = _object(before.get("approvals")), _object(after.get("approvals"))
    if was and now and {**before, "approvals": None} == {**after, "approvals": None}:
        alone = {**was, "count": 0} == {**now, "count": 0}
        yield f"{name} now needs {_approvals(now)}, was {was.get('count') if alone else _approvals(was)}"
        return
    yield from _fields(name, old, new)


def _approvals(wanted: JsonObject) -> str:
    count = wanted.get("count")
    own = [name for name in ("notAuthor", "notRequester") if wanted.get(name) is False]
    age = f", at most {wanted['maxAge']} old" if "maxAge" in wanted else ""
    extra = f", {' and '.join(own)} off" if own else ""
    return f"{count} approval{'' if count == 1 else 's'} by {wanted.get('role')}{age}{extra}"


def _fields(name: str, old: JsonValue, new: JsonValue) -> Iterator[str]:
    """Go down as far as both sides are objects; say what differs there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            if old.get(key) != new.get(key):
                yield from _fields(f"{name}.{key}", old.get(key), new.get(key))
    else:
        yield _changed(name, old, new)


def _changed(name: str, old: JsonValue, new: JsonValue) -> str:
    if old is None:
        return f"{name} is now {_shown(new)}, was not set"
    if new is None:
        return f"{name} is no longer set, was {_shown(old)}"
    if isinstance(old, list) and isinstance(new, list):
        gone = [_shown(item) for item in old if item not in new]
        come = [_shown(item) for item in new if item not in old]
        parts = [f"{word} {', '.join(items)}" for word, items in (("adds", come), ("drops", gone)) if items]
        return f"{name} {' and '.join(parts)}" if parts else f"{name} is in another order: {_list(new)}"
    return f"{name} is now {_shown(new)}, was {_shown(old)}"


def _set(what: str, old: Sequence[JsonValue], new: Sequence[JsonValue]) -> Iterator[str]:
    yield from (f"{what} {_shown(item)} is gone" for item in old if item not in new)
    yield from (f"{what} {_shown(item)} is new" for item in new if item not in old)
    if not any(item not in new for item in old) and not any(item not in old for item in new):
        yield f"{what}: in another order"


def _edges(value: JsonValue) -> dict[str, JsonValue]:
    """Name each transition by its edge, and by its agents where several have one edge."""
    result: dict[str, JsonValue] = {}
    for item in map(_object, _items(value)):
        edge = f"{item['from']} → {item['to']}" if item.get("from") else f"→ {item.get('to')}"
        agents = item.get("agents")
        name = f"{edge} of {_list(agents)}" if agents else edge
        number = 2
        while name in result:
            name, number = f"{edge} ({number})", number + 1
        result[name] = {key: inner for key, inner in item.items() if key not in ("from", "to", "agents")}
    return result


def _by_name(key: str, value: JsonValue) -> dict[str, JsonValue]:
    if isinstance(value, dict):
        return value
    name = _KEYED.get(key, "name")
    named = {str(item.get(name)): item for item in map(_object, _items(value))}
    return {text: {inner: each for inner, each in item.items() if inner != name} for text, item in named.items()}


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) and value else "none"


def _shown(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
