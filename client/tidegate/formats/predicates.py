"""The kinds of evidence Tidegate knows, and the two whose content it reads: release and SLSA provenance.

Spec pages: docs/spec/release.md, docs/spec/provenance.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, ReferenceInvalid, StatementInvalid
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.reference import may_name_channel, parse_agent_name, parse_version

PREDICATE_EVALUATION = "https://tidegate.dev/predicate/evaluation/v1"
PREDICATE_APPROVAL = "https://tidegate.dev/predicate/approval/v1"
PREDICATE_REVIEW = "https://tidegate.dev/predicate/review/v1"
PREDICATE_BREAK_GLASS = "https://tidegate.dev/predicate/break-glass/v1"
PREDICATE_SHADOW = "https://tidegate.dev/predicate/shadow-comparison/v1"
PREDICATE_VULNERABILITIES = "https://in-toto.io/attestation/vulns/v0.2"
PREDICATE_TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
PREDICATE_CYCLONEDX = "https://cyclonedx.org/bom"
PREDICATE_SPDX = "https://spdx.dev/Document"

PREDICATE_TYPES: Final[Mapping[str, str]] = {
    "release": PREDICATE_RELEASE,
    "provenance": PREDICATE_SLSA_PROVENANCE,
    "signature": PREDICATE_COSIGN_SIGN,
    "evaluation": PREDICATE_EVALUATION,
    "vulnerabilities": PREDICATE_VULNERABILITIES,
    "sbom-cyclonedx": PREDICATE_CYCLONEDX,
    "sbom-spdx": PREDICATE_SPDX,
    "approval": PREDICATE_APPROVAL,
    "break-glass": PREDICATE_BREAK_GLASS,
    "review": PREDICATE_REVIEW,
    "shadow": PREDICATE_SHADOW,
    "test-result": PREDICATE_TEST_RESULT,
}
"""Short names, as `tidegate attest --type` and charters take them."""

SIGNATURE_TYPES: Final = frozenset({PREDICATE_RELEASE, PREDICATE_COSIGN_SIGN})
"""What counts as the signature of a release."""

# what a build says of its own output; anything else it says, it says as an attester
PUBLISHER_TYPES: Final = (
    PREDICATE_RELEASE,
    PREDICATE_COSIGN_SIGN,
    PREDICATE_SLSA_PROVENANCE,
    PREDICATE_CYCLONEDX,
    PREDICATE_SPDX,
)

APPROVER_TYPES: Final = (PREDICATE_APPROVAL, PREDICATE_REVIEW)
BREAK_GLASS_TYPES: Final = (PREDICATE_BREAK_GLASS,)
RESERVED_TYPES: Final = frozenset({PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS})
"""What only a charter's approvers and break-glass identities may sign, whatever another rule lists."""

BUILD_TYPE_TIDEGATE = "https://tidegate.dev/buildtype/ci/v1"
BUILD_TYPES: Final = frozenset(
    {
        BUILD_TYPE_TIDEGATE,
        "https://actions.github.io/buildtypes/workflow/v1",
        "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
    }
)
"""The build types whose `externalParameters.workflow` is known to hold `repository`, `ref` and `path`."""

MAX_CHANNELS = 32
MAX_MATERIALS = 10_000
GIT_DIGESTS = ("gitCommit", "sha1")


def predicate_type(name: str) -> str:
    """Give the predicate type for a short name; a URI is given back as it is. Raises StatementInvalid."""
    if name in PREDICATE_TYPES:
        return PREDICATE_TYPES[name]
    if "://" in name and name.isprintable() and " " not in name:
        return name
    known = ", ".join(PREDICATE_TYPES)
    raise StatementInvalid("no such predicate type", found=name[:160], expected=f"a URI, or one of {known}")


def short_name(uri: str) -> str:
    """Give the short name of a predicate type, or the type itself."""
    return next((name for name, known in PREDICATE_TYPES.items() if known == uri), uri)


def parse_channel(text: str) -> str:
    """Check that `text` can name a channel: a tag that is no version and looks like none. Raises ReferenceInvalid."""
    if may_name_channel(text):
        return text
    raise ReferenceInvalid(
        "that is no name of a channel",
        code="channel-invalid",
        found=text[:160],
        expected="a tag that does not look like a version, such as stable",
    )


@dataclass(frozen=True, slots=True)
class ReleasePredicate:
    """The promise: this digest is this version of this agent. `channels`: where it may go without further approval."""

    agent: str
    version: str
    digest: Digest
    behaviour: Digest | None = None
    channels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, predicate: JsonObject) -> ReleasePredicate:
        """Read the predicate; unknown members are refused, as each would be a promise nobody keeps.

        Raises StatementInvalid (code "release-malformed").
        """
        extra = predicate.keys() - {"agent", "version", "digest", "behaviour", "channels"}
        if extra:
            raise _malformed_release("it has a member that means nothing", ", ".join(sorted(extra))[:160])
        try:
            agent = parse_agent_name(_text(predicate, "agent"))
            version = parse_version(_text(predicate, "version"))
            digest = Digest.parse(_text(predicate, "digest"))
            behaviour = predicate.get("behaviour")
            parsed_behaviour = None if behaviour is None else Digest.parse(_text(predicate, "behaviour"))
        except (ReferenceInvalid, DigestInvalid) as error:
            raise _malformed_release(str(error), error.reasons[0].found) from error
        channels = predicate.get("channels", [])
        if not isinstance(channels, list) or len(channels) > MAX_CHANNELS:
            raise _malformed_release("channels is not a list of channel names", str(channels)[:80])
        texts = tuple(channel for channel in channels if isinstance(channel, str))
        if len(texts) != len(channels) or len(set(texts)) != len(texts):
            raise _malformed_release("channels holds something else than distinct channel names", str(channels)[:80])
        try:
            named = tuple(parse_channel(channel) for channel in texts)
        except ReferenceInvalid as error:
            raise _malformed_release(str(error), error.reasons[0].found) from error
        return cls(agent, version, digest, parsed_behaviour, named)

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {"agent": self.agent, "version": self.version, "digest": str(self.digest)}
        if self.behaviour is not None:
            result["behaviour"] = str(self.behaviour)
        if self.channels:
            result["channels"] = list(self.channels)
        return result


@dataclass(frozen=True, slots=True)
class Material:
    """Something a build took in: where it came from, and its digests by algorithm."""

    uri: str
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provenance:
    """SLSA provenance v1, as far as it is compared with the certificate that signed it.

    `repository`: URL without `git+`; `ref`: full, such as `refs/tags/v1.2.0`; `commit`: of the material that is the
    repository; `path`: the workflow file.
    """

    build_type: str
    repository: str
    ref: str
    path: str
    commit: str
    builder_id: str
    invocation_id: str | None = None
    materials: tuple[Material, ...] = ()

    @classmethod
    def parse(cls, predicate: JsonObject) -> Provenance:
        """Read the predicate. Members that are not needed are not looked at, as the SLSA specification asks.

        Raises StatementInvalid (code "provenance-malformed", or "build-type-unknown").
        """
        definition, details = _object(predicate, "buildDefinition"), _object(predicate, "runDetails")
        build_type = _text(definition, "buildType")
        if build_type not in BUILD_TYPES:
            raise StatementInvalid(
                "the provenance is of a build type whose parameters are not known",
                code="build-type-unknown",
                found=build_type[:160],
                expected=f"one of {', '.join(sorted(BUILD_TYPES))}",
            )
        workflow = _object(_object(definition, "externalParameters"), "workflow")
        repository, ref = _text(workflow, "repository"), _text(workflow, "ref")
        materials = _materials(definition.get("resolvedDependencies"))
        metadata = details.get("metadata")
        invocation = metadata.get("invocationId") if isinstance(metadata, dict) else None
        return cls(
            build_type=build_type,
            repository=repository,
            ref=ref,
            path=_text(workflow, "path"),
            commit=_commit(materials, repository, ref),
            builder_id=_text(_object(details, "builder"), "id"),
            invocation_id=invocation if isinstance(invocation, str) else None,
            materials=materials,
        )

    def as_json(self) -> JsonObject:
        """Give the predicate; the repository at its commit is the first of the resolved dependencies."""
        source = Material(f"git+{self.repository}@{self.ref}", {"gitCommit": self.commit})
        others = [material for material in self.materials if material.uri != source.uri]
        details: JsonObject = {"builder": {"id": self.builder_id}}
        if self.invocation_id is not None:
            details["metadata"] = {"invocationId": self.invocation_id}
        return {
            "buildDefinition": {
                "buildType": self.build_type,
                "externalParameters": {"workflow": {"repository": self.repository, "ref": self.ref, "path": self.path}},
                "resolvedDependencies": [
                    {"uri": material.uri, "digest": dict(material.digests)} for material in (source, *others)
                ],
            },
            "runDetails": details,
        }


def _materials(value: JsonValue) -> tuple[Material, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_MATERIALS:
        raise _malformed_provenance("resolvedDependencies is not a list of materials")
    result = []
    for item in value:
        uri = item.get("uri") if isinstance(item, dict) else None
        digests = item.get("digest") if isinstance(item, dict) else None
        # SLSA lets a dependency be named by digest or content alone; such a one cannot be the repository
        if isinstance(uri, str):
            known = digests.items() if isinstance(digests, dict) else ()
            result.append(Material(uri, {name: text for name, text in known if isinstance(text, str)}))
    return tuple(result)


def _commit(materials: tuple[Material, ...], repository: str, ref: str) -> str:
    commits = {
        material.digests[name]
        for material in materials
        if material.uri in (f"git+{repository}@{ref}", f"git+{repository}")
        for name in GIT_DIGESTS
        if name in material.digests
    }
    if len(commits) != 1:
        raise _malformed_provenance(
            f"resolvedDependencies must give one commit for git+{repository}@{ref}", found=f"{len(commits)} commits"
        )
    return commits.pop()


def _object(document: JsonObject, key: str) -> JsonObject:
    value = document.get(key)
    if not isinstance(value, dict):
        raise _malformed_provenance(f"{key} is missing or not an object", found=type(value).__name__)
    return value


def _text(document: JsonObject, key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise StatementInvalid(f"{key} is missing or not text", code="predicate-malformed", found=str(value)[:80])
    return value


def _malformed_release(message: str, found: object) -> StatementInvalid:
    return StatementInvalid(f"the release statement cannot be read: {message}", code="release-malformed", found=found)


def _malformed_provenance(message: str, found: object = None) -> StatementInvalid:
    return StatementInvalid(f"the provenance cannot be read: {message}", code="provenance-malformed", found=found)
