"""What an entry can be found by: terms, pure functions of the entry's bytes.

A term is sixteen letters and digits, made of a kind and a value by SHA-256. So whatever stands in an entry, or in what
somebody searches for, neither database's query language can mean anything else by it, both find the same, and no column
is too narrow. Two values with one term would show an entry that was not asked for, and no more than that.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b32encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid
from tidegate.formats.entry import Entry
from tidegate.formats.jcs import JsonValue

INDEX_VERSION = 1  # of what follows; with another one the index is made anew
TERM_BYTES = 10
MAX_WORDS = 200  # of one entry, those of its reasons first
MAX_WORD = 64  # characters; what is longer is cut
ANY = "*"

_WORD = re.compile(r"\w+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOLD = frozenset({"reason", "reasons", "message", "why", "what", "problem", "findings", "missing", "verdict"})


@lru_cache(maxsize=1 << 16)  # agents, actors and words come again and again
def term(kind: str, value: str) -> str:
    """Make a term."""
    return b32encode(sha256(f"{kind}\n{value}".encode()).digest()[:TERM_BYTES]).decode().lower()


def agent_term(agent: str) -> str:
    """The term of `namespace/agent`, or of `namespace/*`."""
    return term("agent", agent)


def actor_term(name: str) -> str:
    """The term of an actor's name, or of the person that the policy knows them as."""
    return term("actor", name)


def type_term(type_: str) -> str:
    """The term of a type, or of all that begin alike: `promotion.*`."""
    return term("type", type_)


def digest_term(digest: str) -> str:
    """The term of a digest that an entry names, wherever."""
    return term("digest", digest)


def decision_term(decision: str) -> str:
    """The term of a decision, a request, a proposal or another entry that an entry names, and of its own id."""
    return term("id", decision)


def word_terms(text: str) -> list[str]:
    """The terms of the words of a text, each once, in order: upper and lower case are one, digits are words too."""
    return [term("word", word) for word in dict.fromkeys(_words(text))]


def terms_of(entry: Entry) -> list[str]:
    """Give all terms of an entry, sorted."""
    found = {decision_term(entry.id), actor_term(entry.actor.name), type_term(entry.type)}
    if entry.actor.person is not None:
        found.add(actor_term(entry.actor.person))
    parts = entry.type.split(".")
    found |= {type_term(".".join((*parts[:count], ANY))) for count in range(1, len(parts))}
    repository, namespace = entry.data.get("repository"), entry.data.get("namespace")
    if isinstance(repository, str):
        found |= {agent_term(repository), agent_term(f"{repository.partition('/')[0]}/{ANY}")}
    if isinstance(namespace, str):
        found.add(agent_term(f"{namespace}/{ANY}"))
    texts = []
    for key, text in _strings(entry.data):
        if _is_digest(text):
            found.add(digest_term(text))
        elif _UUID.fullmatch(text):
            found.add(decision_term(text))
        else:
            texts.append((key not in _TOLD, text))
    told = (word for _, text in sorted(texts, key=lambda each: each[0]) for word in _words(text))
    found |= {term("word", word) for word in _first(told, MAX_WORDS)}
    return sorted(found)


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        yield match[0][:MAX_WORD]


def _first(words: Iterable[str], most: int) -> dict[str, None]:
    """Give the first so many different words."""
    found: dict[str, None] = {}
    for word in words:
        if len(found) == most:
            break
        found[word] = None
    return found


def _strings(value: JsonValue, told: str = "") -> Iterator[tuple[str, str]]:
    """Give every text, with the member that it stands in: the outermost one that tells reasons, else the innermost."""
    if isinstance(value, str):
        yield told, value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, told)
    elif isinstance(value, dict):
        for key, item in value.items():
            if _is_digest(key):
                yield key, key
            yield from _strings(item, told if told in _TOLD else key)


def _is_digest(text: str) -> bool:
    if ":" not in text[:7]:
        return False
    try:
        return Digest.parse(text) == text
    except DigestInvalid:
        return False
