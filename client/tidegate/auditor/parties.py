"""Who has a part in an entry: who made it happen, and whose signatures or persons it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.formats.entry import Entry
from tidegate.formats.jcs import JsonValue

_ISSUER = "issuer"
_NAMES = ("identity", "name")  # beside an issuer: as evidence and as actors are written


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody an entry names. `part`: `actor`, or where in the entry's data they stand, such as `data.author`.

    `issuer` and `name` are of an identity, `person` is a name that the policy gives; what is not known is empty.
    """

    part: str
    issuer: str = ""
    name: str = ""
    person: str = ""

    def __str__(self) -> str:
        return self.person or self.name


def parties(entry: Entry) -> tuple[Party, ...]:
    """Name everybody that the entry names, the actor first.

    In the data an identity is an object with `issuer` and `identity` (or `name`), wherever it stands: whose types of
    later registries nobody here knows are found as well. A `person`, or `persons` and `approvers`, are names of people.
    """
    actor = Party("actor", entry.actor.issuer, entry.actor.name, entry.actor.person or "")
    return (actor, *_in_value(entry.data, "data"))


def _in_value(value: JsonValue, where: str) -> Iterator[Party]:
    if isinstance(value, list):
        for item in value:
            yield from _in_value(item, where)
    if not isinstance(value, dict):
        return
    issuer, person = value.get(_ISSUER), value.get("person")
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "")
    if isinstance(issuer, str) and isinstance(name, str) and name:
        yield Party(where, issuer, name, person if isinstance(person, str) else "")
    elif isinstance(person, str):
        yield Party(where, person=person)
    for key in ("persons", "approvers"):
        named = value.get(key)
        for each in named if isinstance(named, list) else ():
            if isinstance(each, str):
                yield Party(f"{where}.{key}", person=each)
    for key, item in value.items():
        yield from _in_value(item, f"{where}.{key}")
