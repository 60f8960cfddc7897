"""The verification summary of one decision, SLSA VSA v1. Spec page: docs/spec/vsa.md.

Source: https://slsa.dev/verification_summary/v1. A reader of it must let unknown members pass, and so do we.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.members import Members

SLSA_VERSION: Final = "1.1"
PASSED: Final = "PASSED"
ADMITTED: Final = "TIDEGATE_ADMITTED"
BROKE_GLASS: Final = "TIDEGATE_BREAK_GLASS"
MAX_LEVELS: Final = 64
MAX_INPUTS: Final = 1_000  # as many referrers as the verifier looks at: docs/spec/verification.md, V2
MAX_URI_CHARACTERS: Final = 2_048
DECISION: Final = "tidegate_decision"  # SLSA: a producer's own members are called `<producer>_<name>`


def build_level(level: int) -> str:
    """Give the SLSA word for a level of the build track."""
    return f"SLSA_BUILD_LEVEL_{level}"


def promoted_level(channel: str) -> str:
    """Give our word for: a channel was let serve it."""
    return f"TIDEGATE_PROMOTED_{channel}"


def resource_uri(registry: str, agent: str, digest: Digest) -> str:
    """Name a manifest of an agent in a registry. `registry`: its URL, or `host[:port]`."""
    return f"oci://{registry.partition('://')[2] or registry}/{agent}@{digest}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Which decision is summed up: its entry in the audit log, its record, and what was asked.

    `channel`: None for an admission. `action`: `admit`, `promote` or `rollback`.
    """

    entry: str
    record: Digest
    version: str
    action: str
    channel: str | None = None

    @classmethod
    def parse(cls, members: Members) -> Decision:
        """Read the object. Raises StatementInvalid."""
        return cls(
            members.text("entry"),
            members.digest("record"),
            members.version("version"),
            members.text("action"),
            members.channel("channel") if members.has("channel") else None,
        )

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {
            "entry": self.entry,
            "record": str(self.record),
            "version": self.version,
            "action": self.action,
        }
        if self.channel is not None:
            result["channel"] = self.channel
        return result


@dataclass(frozen=True, slots=True)
class VsaPredicate:
    """What a verifier says of one artifact. `decision` is ours; None in a summary by another verifier.

    `policy`: digest of the policy that was in force. `inputs`: digests of the Sigstore bundles it rests on.
    """

    verifier: str
    verified_at: datetime
    resource_uri: str
    policy_uri: str | None
    policy: Digest | None
    result: str
    levels: tuple[str, ...]
    inputs: tuple[Digest, ...] = ()
    decision: Decision | None = None
    version: str | None = None

    @classmethod
    def parse(cls, predicate: JsonObject) -> VsaPredicate:
        """Read the predicate. Raises StatementInvalid (code "vsa-malformed")."""
        members = Members(predicate, "vsa-malformed", "the verification summary cannot be read")
        policy = members.object("policy")
        return cls(
            verifier=members.object("verifier").text("id", MAX_URI_CHARACTERS),
            verified_at=members.any_moment("timeVerified"),
            resource_uri=members.text("resourceUri", MAX_URI_CHARACTERS),
            policy_uri=policy.text("uri", MAX_URI_CHARACTERS) if policy.has("uri") else None,
            policy=_sha256(policy),
            result=members.text("verificationResult"),
            levels=members.texts("verifiedLevels", MAX_LEVELS),
            inputs=tuple(_digests(members.objects("inputAttestations", MAX_INPUTS))),
            decision=Decision.parse(members.object(DECISION)) if members.has(DECISION) else None,
        )

    def as_json(self) -> JsonObject:
        """Give the members that are set. `dependencyLevels` is left out: nothing was verified of dependencies."""
        verifier: JsonObject = {"id": self.verifier}
        if self.version is not None:
            verifier["version"] = {"tidegate": self.version}
        policy: JsonObject = {}
        if self.policy_uri is not None:
            policy["uri"] = self.policy_uri
        if self.policy is not None:
            policy["digest"] = {"sha256": self.policy.hex}
        result: JsonObject = {
            "verifier": verifier,
            "timeVerified": moment_text(self.verified_at),
            "resourceUri": self.resource_uri,
            "policy": policy,
            "inputAttestations": [{"digest": {"sha256": digest.hex}} for digest in self.inputs],
            "verificationResult": self.result,
            "verifiedLevels": list(self.levels),
            "slsaVersion": SLSA_VERSION,
        }
        if self.decision is not None:
            result[DECISION] = self.decision.as_json()
        return result


def _digests(inputs: Iterable[Members]) -> Iterable[Digest]:
    for each in inputs:
        digest = _sha256(each)
        if digest is not None:
            yield digest


def _sha256(resource: Members) -> Digest | None:
    """Give the sha256 of a resource descriptor, if it has one."""
    if not resource.has("digest"):
        return None
    digests = resource.object("digest")
    if not digests.has("sha256"):
        return None
    text = digests.text("sha256")
    try:
        return Digest.parse(f"sha256:{text}")
    except DigestInvalid as error:
        raise digests.refusal("its sha256 is none", text, "64 lower-case hexadecimal digits") from error
