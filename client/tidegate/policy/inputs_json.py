"""The inputs of a decision as JSON and back: closed and bounded, as part of a decision's record.

Spec page: docs/spec/decision.md. Views were made by us, so they are taken as they are; a rate of 1.0 comes back as 1,
which conditions read by their schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.members import Members
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.inputs import (
    Approval,
    Attested,
    Caller,
    Channel,
    Difference,
    Inputs,
    Release,
    Request,
    Tenure,
)
from tidegate.policy.requirements import Change

CODE: Final = "decision-malformed"
MESSAGE: Final = "the decision record cannot be read"
MAX_EVIDENCE: Final = 2_000  # twice as many referrers as the verifier looks at, docs/spec/verification.md, V2
MAX_TENURES: Final = 10_000
MAX_DIGESTS: Final = 10_000
MAX_CLAIMS: Final = 200
MAX_VALUES: Final = 5_000  # groups in one claim; identity providers cut far below
MAX_CLAIM_CHARACTERS: Final = 4_096
MAX_ROOTS: Final = 100


def inputs_json(inputs: Inputs) -> JsonObject:
    """Write inputs; `parse_inputs` reads them back."""
    return {
        "request": _request_json(inputs.request),
        "release": _release_json(inputs.release),
        "channel": _channel_json(inputs.channel),
        "charter": None if inputs.charter is None else inputs.charter.model_dump(mode="json", by_alias=True),
        "attestations": [_attested_json(each) for each in inputs.attestations],
        "approvals": [_approval_json(each) for each in inputs.approvals],
        "difference": None if inputs.difference is None else _difference_json(inputs.difference),
        "tenures": [
            {
                "channel": each.channel,
                "since": moment_text(each.since),
                "until": None if each.until is None else moment_text(each.until),
            }
            for each in inputs.tenures
        ],
        "tasks": inputs.tasks,
        "roots": [{"name": name, "digest": str(digest)} for name, digest in inputs.roots],
    }


def parse_inputs(document: JsonObject) -> Inputs:
    """Read what `inputs_json` wrote. Raises StatementInvalid, code "decision-malformed"."""
    members = Members(document, CODE, MESSAGE, "inputs").closed(
        "request",
        "release",
        "channel",
        "charter",
        "attestations",
        "approvals",
        "difference",
        "tenures",
        "tasks",
        "roots",
    )
    return Inputs(
        request=_request(members.object("request")),
        release=_release(members.object("release")),
        channel=_channel(members.object("channel")),
        charter=charter_in(members, "charter") if members.has("charter") else None,
        attestations=tuple(_attested(each) for each in members.objects("attestations", MAX_EVIDENCE)),
        approvals=tuple(_approval(each) for each in members.objects("approvals", MAX_EVIDENCE)),
        difference=_difference(members.object("difference")) if members.has("difference") else None,
        tenures=tuple(_tenure(each) for each in members.objects("tenures", MAX_TENURES)),
        tasks=members.count("tasks") if members.has("tasks") else None,
        roots=tuple(
            (each.closed("name", "digest").text("name"), each.digest("digest"))
            for each in members.objects("roots", MAX_ROOTS)
        ),
    )


def caller_json(caller: Caller) -> JsonObject:
    """Write a caller; `parse_caller` reads it back."""
    return {
        "kind": caller.kind,
        "issuer": caller.issuer,
        "identity": caller.identity,
        "claims": {name: list(values) for name, values in caller.claims.items()},
    }


def parse_caller(members: Members) -> Caller:
    """Read what `caller_json` wrote. Raises StatementInvalid."""
    members.closed("kind", "issuer", "identity", "claims")
    claims = members.object("claims")
    if len(claims.values) > MAX_CLAIMS:
        raise members.refusal(f"there are more than {MAX_CLAIMS} claims", len(claims.values))
    values = {name: strings(claims, name, MAX_VALUES, MAX_CLAIM_CHARACTERS) for name in claims.values}
    issuer, identity = (members.text(name, MAX_CLAIM_CHARACTERS) for name in ("issuer", "identity"))
    return Caller(members.text("kind"), issuer, identity, values)


def charter_in(members: Members, name: str) -> Charter:
    """Read a charter out of a record. Raises StatementInvalid."""
    try:
        return Charter.model_validate(members.object(name).values, by_alias=True, by_name=False)
    except ValidationError as error:
        raise members.refusal("its charter is none", error.errors(include_url=False)[0]["msg"]) from error


def strings(members: Members, name: str, most: int, limit: int) -> tuple[str, ...]:
    """Give a list of at most `most` texts of at most `limit` characters; they may be empty, and the same twice."""
    value = members.values.get(name)
    items = value if isinstance(value, list) else []
    texts = tuple(item for item in items if isinstance(item, str) and len(item) <= limit)
    if not isinstance(value, list) or len(texts) != len(items) or len(items) > most:
        raise members.refusal(f"{name} is no list of at most {most:,} texts of at most {limit:,} characters")
    return texts


def _request_json(request: Request) -> JsonObject:
    return {
        "id": request.id,
        "action": request.action.value,
        "agent": request.agent,
        "source": request.source,
        "channel": request.channel,
        "sequence": request.sequence,
        "requester": caller_json(request.requester),
        "openedAt": moment_text(request.opened_at),
        "reason": request.reason,
        "glass": None if request.glass is None else _approval_json(request.glass),
    }


def _request(members: Members) -> Request:
    members.closed("id", "action", "agent", "source", "channel", "sequence", "requester", "openedAt", "reason", "glass")
    return Request(
        id=members.text("id"),
        action=Action(members.choice("action", tuple(Action))),
        agent=members.agent(),
        source=members.channel("source") if members.has("source") else None,
        channel=members.channel(),
        sequence=members.count("sequence"),
        requester=parse_caller(members.object("requester")),
        opened_at=members.moment("openedAt"),
        reason=_text_or_none(members, "reason"),
        glass=_approval(members.object("glass")) if members.has("glass") else None,
    )


def _release_json(release: Release) -> JsonObject:
    return {
        "version": release.version,
        "digest": str(release.digest),
        "author": None if release.author is None else caller_json(release.author),
        "admittedAt": moment_text(release.admitted_at),
        "facts": None if release.facts is None else release.facts.as_json(),
        "channels": list(release.channels),
        "opaque": release.opaque,
        "revoked": release.revoked,
    }


def _release(members: Members) -> Release:
    members.closed("version", "digest", "author", "admittedAt", "facts", "channels", "opaque", "revoked")
    return Release(
        version=members.version(),
        digest=members.digest("digest"),
        author=parse_caller(members.object("author")) if members.has("author") else None,
        admitted_at=members.moment("admittedAt"),
        facts=ReleaseFacts.parse(members.object("facts").values) if members.has("facts") else None,
        channels=strings(members, "channels", MAX_DIGESTS, MAX_CLAIM_CHARACTERS),
        opaque=members.truth("opaque"),
        revoked=_text_or_none(members, "revoked"),
    )


def _channel_json(channel: Channel) -> JsonObject:
    return {
        "name": channel.name,
        "serving": None if channel.serving is None else _release_json(channel.serving),
        "servingEvidence": [_attested_json(each) for each in channel.serving_evidence],
        "sequence": channel.sequence,
        "hold": channel.hold,
        "debts": list(channel.debts),
        "window": [str(digest) for digest in channel.window],
        "left": [str(digest) for digest in sorted(channel.left)],
    }


def _channel(members: Members) -> Channel:
    members.closed("name", "serving", "servingEvidence", "sequence", "hold", "debts", "window", "left")
    return Channel(
        name=members.channel("name"),
        serving=_release(members.object("serving")) if members.has("serving") else None,
        serving_evidence=tuple(_attested(each) for each in members.objects("servingEvidence", MAX_EVIDENCE)),
        sequence=members.count("sequence"),
        hold=_text_or_none(members, "hold"),
        debts=strings(members, "debts", MAX_EVIDENCE, MAX_CLAIM_CHARACTERS),
        window=members.digests("window", MAX_DIGESTS),
        left=frozenset(members.digests("left", MAX_DIGESTS)),
    )


def _attested_json(attested: Attested) -> JsonObject:
    return {
        "predicateType": attested.predicate_type,
        "root": attested.root,
        "issuer": attested.issuer,
        "identity": attested.identity,
        "signers": list(attested.signers),
        "signedAt": moment_text(attested.signed_at),
        "logIndex": attested.log_index,
        "payloadDigest": str(attested.payload_digest),
        "bundleDigest": str(attested.bundle_digest),
        "view": attested.view,
        "claims": dict(attested.claims),
    }


def _attested(members: Members) -> Attested:
    members.closed(
        "predicateType",
        "root",
        "issuer",
        "identity",
        "signers",
        "signedAt",
        "logIndex",
        "payloadDigest",
        "bundleDigest",
        "view",
        "claims",
    )
    return Attested(
        predicate_type=members.text("predicateType", MAX_CLAIM_CHARACTERS),
        root=members.text("root"),
        issuer=members.text("issuer", MAX_CLAIM_CHARACTERS),
        identity=members.text("identity", MAX_CLAIM_CHARACTERS),
        signers=members.texts("signers", MAX_CLAIMS),
        signed_at=members.moment("signedAt"),
        log_index=members.count("logIndex"),
        payload_digest=members.digest("payloadDigest"),
        bundle_digest=members.digest("bundleDigest"),
        view=members.object("view").values if members.has("view") else None,
        claims=_texts_by_name(members.object("claims")),
    )


def _approval_json(approval: Approval) -> JsonObject:
    return {
        "attested": _attested_json(approval.attested),
        "person": approval.person,
        "filedBy": None if approval.filed_by is None else caller_json(approval.filed_by),
        "knownAs": None if approval.known_as is None else caller_json(approval.known_as),
    }


def _approval(members: Members) -> Approval:
    members.closed("attested", "person", "filedBy", "knownAs")
    return Approval(
        attested=_attested(members.object("attested")),
        person=members.text("person"),
        filed_by=parse_caller(members.object("filedBy")) if members.has("filedBy") else None,
        known_as=parse_caller(members.object("knownAs")) if members.has("knownAs") else None,
    )


def _difference_json(difference: Difference) -> JsonObject:
    return {
        "changes": [change.value for change in sorted(difference.changes)],
        "details": dict(difference.details),
        "unknown": difference.unknown,
    }


def _difference(members: Members) -> Difference:
    members.closed("changes", "details", "unknown")
    known = {change.value for change in Change}
    named = members.texts("changes", len(known))
    if not known.issuperset(named):
        raise members.refusal("changes holds something that is no change", ", ".join(named), ", ".join(sorted(known)))
    return Difference(
        changes=frozenset(Change(name) for name in named),
        details=members.object("details").values,
        unknown=_text_or_none(members, "unknown"),
    )


def _tenure(members: Members) -> Tenure:
    members.closed("channel", "since", "until")
    return Tenure(members.channel(), members.moment("since"), members.moment_or_none("until"))


def _texts_by_name(members: Members) -> Mapping[str, str]:
    if len(members.values) > MAX_CLAIMS:
        raise members.refusal(f"there are more than {MAX_CLAIMS} claims", len(members.values))
    return {name: members.text(name, MAX_CLAIM_CHARACTERS) for name in members.values}


def _text_or_none(members: Members, name: str) -> str | None:
    value: JsonValue = members.values.get(name)
    return None if value is None else members.text(name, MAX_CLAIM_CHARACTERS)
