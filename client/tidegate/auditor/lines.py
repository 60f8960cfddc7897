"""An entry in one line for people. Its texts come from strangers: `line` writes what could steer a terminal as escapes,
`summary` leaves that to whoever puts it into a document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from tidegate.formats.entry import Entry, EntryType
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.paths import printable
from tidegate.formats.predicates.types import short_name

MAX_VALUE = 160  # characters of one value in a line
SHORT_DIGEST = 12  # hexadecimal digits: enough to tell the digests on a screen apart
_SYNTAX = re.compile(r"[?\[]")  # what fnmatch reads as more than itself, besides `*`: `[bot]` is a part of names


def agent_of(entry: Entry) -> str | None:
    """Give the agent that an entry is about, as `namespace/agent`; None for one about the registry as a whole."""
    found = entry.data.get("repository", entry.data.get("agent"))
    return found if isinstance(found, str) else None


def is_like(text: str, pattern: str) -> bool:
    """Whether `text` is `pattern`, in which `*` stands for any characters, and every other one for itself."""
    return fnmatchcase(text, _SYNTAX.sub(r"[\g<0>]", pattern))


def concerns(entry: Entry, agents: tuple[str, ...]) -> bool:
    """Whether an entry is about one of `agents`: names, or patterns such as `acme/*`. None named: about any."""
    found = agent_of(entry)
    return not agents or (found is not None and any(is_like(found, pattern) for pattern in agents))


def is_of_type(entry: Entry, types: tuple[str, ...]) -> bool:
    """Whether an entry's type is one of `types`: names, or patterns such as `policy.*`. None named: any is."""
    return not types or any(is_like(entry.type, pattern) for pattern in types)


def summary(entry: Entry) -> str:
    """Say what happened, without when and who; of a type that is not known here, the members of its data."""
    say = _SAID.get(entry.type)
    return _others(entry.data) if say is None else say(entry.data)


def line(entry: Entry) -> str:
    """Say when, where in the log, what, and who."""
    where = "-" if entry.index is None else str(entry.index)
    what = printable(f"{summary(entry)}  ({entry.actor})")
    return f"{entry.at:%Y-%m-%d %H:%M:%S}  {where:>8}  {entry.type:<26}  {what}"


def short(value: JsonValue) -> str:
    """Give a value in few characters: a digest by its beginning, a long text cut."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, list):
        return ", ".join(short(item) for item in value[:8]) + (", …" if len(value) > 8 else "")  # noqa: PLR2004
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(value)[:8])}}}"
    text = str(value)
    if text.startswith("sha256:"):
        return text[: len("sha256:") + SHORT_DIGEST]
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def _release(data: JsonObject) -> str:
    version = f":{short(data['version'])}" if data.get("version") is not None else ""
    digest = f" {short(data['digest'])}" if data.get("digest") is not None else ""
    return f"{short(data.get('repository', data.get('agent')))}{version}{digest}"


def _why(data: JsonObject) -> str:
    return f": {short(data['reason'])}" if data.get("reason") else ""


def _moved(data: JsonObject) -> str:
    before = f" (was {short(data['previous'])})" if data.get("previous") else ""
    return f"{_release(data)} → {short(data.get('channel'))} by {short(data.get('how'))}{before}"


def _decided(data: JsonObject) -> str:
    missing = data.get("missing")
    verdict = "allowed" if data.get("allowed") is True else f"not allowed, missing {short(missing)}"
    where = f" → {short(data['channel'])}" if data.get("channel") else ""
    return f"{_release(data)}{where}: {verdict}"


def _evidence(data: JsonObject) -> str:
    kind = short_name(str(data.get("predicate_type")))
    return f"{short(kind)} about {_about(data)} signed by {short(data.get('identity'))}"


def _about(data: JsonObject) -> str:
    return f"{short(data.get('repository'))} {short(data.get('subject'))}"


def _refused(data: JsonObject) -> str:
    where = f" of {short(data['repository'])}" if data.get("repository") else ""
    return f"{short(data.get('operation'))}{where}: {short(data.get('code'))}"


def _filed(data: JsonObject) -> str:
    kind = short_name(str(data.get("predicate_type")))
    return f"{short(kind)} of {_release(data)} → {short(data.get('channel'))} by {short(data.get('person'))}"


def _policy(data: JsonObject) -> str:
    number = f" version {data['number']}" if isinstance(data.get("number"), int) else ""
    return f"{short(data.get('policy'))}{number} {short(data.get('digest'))}{_why(data)}"


def _stored(data: JsonObject) -> str:
    about = f" about {short(data['subject'])}" if data.get("subject") else ""
    kind = short(data.get("artifact_type") or data.get("media_type"))
    return f"{short(data.get('repository'))} {short(data.get('digest'))} stored{about}, {kind}"


def _summed_up(data: JsonObject) -> str:
    where = f" → {short(data['channel'])}" if data.get("channel") else ""
    return f"{_release(data)}{where}: {short(data.get('levels'))}"


def _towards(data: JsonObject) -> str:
    return f"{_release(data)} → {short(data.get('channel'))}{_why(data)}"


def _others(data: JsonObject) -> str:
    return " ".join(f"{key}={short(value)}" for key, value in data.items() if value not in (None, [], ""))


_SAID: Final[Mapping[str, Callable[[JsonObject], str]]] = {
    EntryType.RELEASE_ADMITTED: _release,
    EntryType.RELEASE_PENDING: _release,
    EntryType.RELEASE_PENDING_ENDED: lambda data: _release(data) + _why(data),
    EntryType.RELEASE_REVOKED: lambda data: _release(data) + _why(data),
    EntryType.EVIDENCE_VERIFIED: _evidence,
    EntryType.PROMOTION_OPENED: _towards,
    EntryType.ADMISSION_DECIDED: _decided,
    EntryType.PROMOTION_DECIDED: _decided,
    EntryType.PROMOTION_CLOSED: lambda data: f"{_towards(data)} ({short(data.get('state'))})",
    EntryType.STATEMENT_FILED: _filed,
    EntryType.CHANNEL_MOVED: _moved,
    EntryType.GLASS_BROKEN: _towards,
    EntryType.POLICY_PROPOSED: _policy,
    EntryType.POLICY_APPROVED: _policy,
    EntryType.POLICY_APPLIED: _policy,
    EntryType.POLICY_REVERTED: _policy,
    EntryType.REQUEST_REFUSED: _refused,
    EntryType.MANIFEST_STORED: _stored,
    EntryType.SUMMARY_ATTACHED: _summed_up,
}
