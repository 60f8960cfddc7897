"""Entries as events of the Open Cybersecurity Schema Framework. Spec page: docs/spec/log-export.md.

Source: OCSF 1.9.0 (August 2026). Only attributes that 1.8.0 has too are written, but `application` of Application
Lifecycle, which 1.9.0 puts in the place of `app`: a reader of either finds what its own schema asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Final

from tidegate.auditor.lines import agent_of, summary
from tidegate.formats.entry import Actor, Entry, EntryType
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.moment import moment_text

OCSF_VERSION = "1.9.0"
MAX_OBSERVABLES = 100
TOKEN_ROUTES = ("/token", "/redemption")  # where credentials are shown: a refusal there is a failed login


@dataclass(frozen=True, slots=True)
class EventClass:
    """A class of OCSF: its number and caption, and those of its category."""

    uid: int
    name: str
    category_uid: int
    category_name: str
    activities: Mapping[int, str]


_OTHER = {0: "Unknown", 99: "Other"}
_IAM, _APPLICATION = (3, "Identity & Access Management"), (6, "Application Activity")
AUTHENTICATION = EventClass(3002, "Authentication", *_IAM, {1: "Logon", **_OTHER})
ENTITY_MANAGEMENT = EventClass(
    3004,
    "Entity Management",
    *_IAM,
    {
        1: "Create",
        3: "Update",
        4: "Delete",
        6: "Enroll",
        9: "Disable",
        10: "Activate",
        13: "Resume",
        **_OTHER,
    },
)
APPLICATION_LIFECYCLE = EventClass(6002, "Application Lifecycle", *_APPLICATION, {7: "Disable", 8: "Update", **_OTHER})
API_ACTIVITY = EventClass(
    6003, "API Activity", *_APPLICATION, {1: "Create", 2: "Read", 3: "Update", 4: "Delete", **_OTHER}
)
CLASSES: Final = (AUTHENTICATION, ENTITY_MANAGEMENT, APPLICATION_LIFECYCLE, API_ACTIVITY)

# pattern of a type -> activity of Entity Management; the first that fits counts
_ACTIVITIES: Final = (
    ("release.admitted", 1),
    ("policy.applied", 10),
    ("policy.reverted", 10),
    ("*.hold-lifted", 13),
    ("enrolment.redeemed", 6),
    ("*.made", 1),
    ("*.opened", 1),
    ("*.proposed", 1),
    ("*.stored", 1),
    ("*.verified", 1),
    ("*.created", 1),
    ("*.removed", 4),
    ("*.ended", 4),
    ("*.pending-ended", 4),
    ("*.expired", 4),
    ("*.changed", 3),
    ("*.moved", 3),
    ("*.approved", 3),
    ("*.decided", 3),
    ("*.closed", 3),
    ("*.statement-filed", 3),
    ("*.reviewed", 3),
    ("*.repaired", 3),
    ("*.restored", 3),
    ("*.accepted", 3),
)
_METHODS: Final = {"POST": 1, "GET": 2, "HEAD": 2, "PUT": 3, "PATCH": 3, "DELETE": 4}

_INFORMATIONAL, _LOW, _MEDIUM, _HIGH = (1, "Informational"), (2, "Low"), (3, "Medium"), (4, "High")
_SEVERITIES: Final = (
    ("break-glass.*", _HIGH),
    ("log.restored", _HIGH),
    ("log.object-missing", _HIGH),
    ("release.revoked", _MEDIUM),
    ("trust.*", _MEDIUM),
    ("record.repaired", _MEDIUM),
    ("object.restored", _MEDIUM),
    ("policy.*", _LOW),
    ("enrolment.*", _LOW),
    ("request.*", _LOW),
    ("login.*", _LOW),
)
_KINDS: Final = {"human": (1, "User"), "operator": (2, "Admin"), "system": (3, "System"), "ci": (4, "Service")}

_HASH, _USER_NAME, _RESOURCE = (8, "Hash"), (4, "User Name"), (38, "Resource Details Object: name")


def to_ocsf(entry: Entry, *, origin: str, leaf: str, product_version: str) -> JsonObject:
    """Write `entry`, which has an index, as an OCSF event.

    `origin`: the log's name. `leaf`: base64 of the entry's leaf hash. `product_version`: of this exporter.
    """
    kind = class_of(entry)
    activity = _activity(kind, entry)
    severity = next((found for pattern, found in _SEVERITIES if fnmatchcase(entry.type, pattern)), _INFORMATIONAL)
    status = _status(entry)
    what = kind.activities[activity]
    event: JsonObject = {
        "activity_id": activity,
        "activity_name": entry.type if activity in _OTHER else what,
        "category_uid": kind.category_uid,
        "category_name": kind.category_name,
        "class_uid": kind.uid,
        "class_name": kind.name,
        "type_uid": kind.uid * 100 + activity,
        "type_name": f"{kind.name}: {what}",
        "time": int(entry.at.timestamp() * 1000),
        "timezone_offset": 0,
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": status[0],
        "status": status[1],
        "message": f"{entry.type} {summary(entry)}",
        "actor": _actor(entry.actor),
        "metadata": _metadata(entry, kind, origin, product_version),
        "observables": list(_observables(entry)),
        "unmapped": {"index": entry.index, "leaf": leaf, "version": entry.version, "data": entry.data},
    }
    code = entry.data.get("code")
    if isinstance(code, str):
        event["status_code"] = code
    return event | _own(kind, entry, origin)


def class_of(entry: Entry) -> EventClass:
    """Choose the class of an entry: by its type, and a refusal by what was asked for."""
    if entry.type.startswith("login."):
        return AUTHENTICATION
    if entry.type.startswith("request."):
        route = str(entry.data.get("operation", "")).rpartition(" ")[2]
        return AUTHENTICATION if route.endswith(TOKEN_ROUTES) else API_ACTIVITY
    if entry.type in (EntryType.CHANNEL_MOVED, EntryType.RELEASE_REVOKED):
        return APPLICATION_LIFECYCLE
    return ENTITY_MANAGEMENT


def _activity(kind: EventClass, entry: Entry) -> int:
    if kind is AUTHENTICATION:
        return 1
    if kind is APPLICATION_LIFECYCLE:
        return 7 if entry.type == EntryType.RELEASE_REVOKED else 8
    if kind is API_ACTIVITY:
        return _METHODS.get(str(entry.data.get("operation", "")).partition(" ")[0], 99)
    return next((found for pattern, found in _ACTIVITIES if fnmatchcase(entry.type, pattern)), 99)


def _own(kind: EventClass, entry: Entry, origin: str) -> JsonObject:
    """Give what the class asks for beyond what every event has."""
    if kind is AUTHENTICATION:
        return {"user": _user(entry.actor), "service": {"name": origin}, "is_remote": True}
    if kind is API_ACTIVITY:
        operation = entry.data.get("operation", entry.type)
        # callers' addresses are not in the log: they are personal data, and nothing is decided by them
        return {
            "api": {"operation": str(operation), "service": {"name": origin}},
            "src_endpoint": {"name": "not recorded", "type_id": 0},
        }
    if kind is APPLICATION_LIFECYCLE:
        found = _entity(entry)
        application: JsonObject = {key: found[key] for key in ("name", "version", "uid") if key in found}
        return {"app": dict(application), "application": application}
    return {"entity": _entity(entry)}


def _entity(entry: Entry) -> JsonObject:
    """Say what an entry is about: a policy by its name, an agent's release by its digest, else what names it best."""
    data = entry.data
    policy = entry.type.startswith("policy.")
    name = data.get("policy") if policy else agent_of(entry)
    names = (name, data.get("name"), data.get("namespace"), data.get("root"), entry.type.partition(".")[0])
    uids = (data.get("digest"), data.get("subject"), data.get("promotion"), data.get("enrolment"), data.get("proposal"))
    versions = (data.get("version"), data.get("number"), data.get("channel"))
    found: JsonObject = {
        "name": next(str(each) for each in names if each),
        "type_id": 5 if policy else 99,
        "type": "Policy" if policy else entry.type.partition(".")[0],
    }
    uid = next((str(each) for each in uids if each), None)
    version = next((str(each) for each in versions if each), None)
    if uid is not None:
        found["uid"] = uid
    if version is not None:
        found["version"] = version
    if policy:
        found["policy"] = {key: found[key] for key in ("name", "uid", "version") if key in found}
    return found


def _actor(actor: Actor) -> JsonObject:
    found: JsonObject = {"user": _user(actor)}
    if actor.issuer:
        found["idp"] = {"name": actor.issuer, "issuer": actor.issuer}
    return found


def _user(actor: Actor) -> JsonObject:
    number, kind = _KINDS.get(actor.kind, (99, actor.kind))
    user: JsonObject = {"name": str(actor), "uid": actor.name, "type_id": number, "type": kind}
    return user | ({"domain": actor.issuer} if actor.issuer else {})


def _metadata(entry: Entry, kind: EventClass, origin: str, product_version: str) -> JsonObject:
    metadata: JsonObject = {
        "version": OCSF_VERSION,
        "uid": entry.id,
        "original_event_uid": entry.id,
        "original_time": moment_text(entry.at),
        "event_code": entry.type,
        "log_name": origin,
        "log_provider": "Tidegate",
        "sequence": entry.index,
        "product": {"name": "Tidegate", "vendor_name": "Tidegate", "version": product_version},
    }
    return metadata | ({"profiles": ["host"]} if kind is APPLICATION_LIFECYCLE else {})


def _status(entry: Entry) -> tuple[int, str]:
    failed = entry.type.startswith("request.") or entry.type.endswith((".failed", ".refused", ".object-missing"))
    return (2, "Failure") if failed or entry.data.get("allowed") is False else (1, "Success")


def _observables(entry: Entry) -> Iterator[JsonObject]:
    """Give what analysts search by: the digests wherever they stand, who did it, and the agent."""
    for where, value in islice(_digests(entry.data, "unmapped.data"), MAX_OBSERVABLES):
        yield {"name": where, "type_id": _HASH[0], "type": _HASH[1], "value": value}
    yield {"name": "actor.user.name", "type_id": _USER_NAME[0], "type": _USER_NAME[1], "value": str(entry.actor)}
    if (agent := agent_of(entry)) is not None:
        yield {"name": "unmapped.data.repository", "type_id": _RESOURCE[0], "type": _RESOURCE[1], "value": agent}


def _digests(value: JsonValue, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.startswith("sha256:") and len(value) == len("sha256:") + 64:
        yield where, value.removeprefix("sha256:")
    elif isinstance(value, list):
        for item in value:
            yield from _digests(item, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _digests(item, f"{where}.{key}")
