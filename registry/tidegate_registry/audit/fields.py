"""The forms of what an entry's members hold: from them come the schema and the table of docs/spec/log-entries.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tidegate.errors import Reason
from tidegate.formats.entry import MAX_PERSON


@dataclass(frozen=True, slots=True)
class Form:
    """How a member looks. `most`: characters of a text, items of a list."""

    name: str
    most: int
    pattern: str | None = None


REPOSITORY = r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$"
DIGEST = r"^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"
EVENT_ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
MAX_SENTENCE = 4_000  # characters of a reason that a person gives, as the API takes it
MAX_REASONS = 32  # of a refusal in an entry
MAX_LISTED = 100  # items of a list in an entry; all of a longer one are an object beside the log

Repository = Annotated[str, Form("agent", 255, REPOSITORY)]
Namespace = Annotated[str, Form("namespace", 255, REPOSITORY)]
Tag = Annotated[str, Form("tag", 128)]  # a version, a working tag, a channel
DigestText = Annotated[str, Form("digest", 135, DIGEST)]
EventId = Annotated[str, Form("id", 36, EVENT_ID)]
Word = Annotated[str, Form("word", 64)]  # one of a few that the type's words name, or a code
Person = Annotated[str, Form("person", MAX_PERSON)]  # by the name in the policy or the charter
Line = Annotated[str, Form("text", 255)]
Long = Annotated[str, Form("text", 2_048)]  # an identity, an issuer, a type of predicate
Sentence = Annotated[str, Form("text", MAX_SENTENCE)]
Digests = Annotated[tuple[DigestText, ...], Form("digests", MAX_LISTED)]
Tags = Annotated[tuple[Tag, ...], Form("tags", MAX_LISTED)]
Words = Annotated[tuple[Word, ...], Form("words", MAX_LISTED)]
Trusted = Annotated[str, Form("root or charter", 263, r"^(?:root|charter) \S+$")]
MAX_GONE = 50
Gone = Annotated[tuple[Trusted, ...], Form("roots and charters", MAX_GONE)]
Persons = Annotated[tuple[Person, ...], Form("persons", MAX_LISTED)]
Reasons = Annotated[tuple[Reason, ...], Form("reasons", MAX_REASONS)]
