"""SLSA provenance v1, as far as the certificate that signed it can confirm it. Spec page: docs/spec/provenance.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidegate.errors import StatementInvalid
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.members import Members

BUILD_TYPE_TIDEGATE = "https://tidegate.dev/buildtype/ci/v1"
BUILD_TYPES: Final = frozenset(
    {
        BUILD_TYPE_TIDEGATE,
        "https://actions.github.io/buildtypes/workflow/v1",
        "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1",
    }
)
"""The build types whose `externalParameters.workflow` is known to hold `repository`, `ref` and `path`."""

MAX_MATERIALS = 10_000
MAX_URI_CHARACTERS = 2_048  # as of a certificate's claims: docs/spec/verification.md, A9
GIT_DIGESTS = ("gitCommit", "sha1")


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
        members = Members(predicate, "provenance-malformed", "the provenance cannot be read")
        definition, details = members.object("buildDefinition"), members.object("runDetails")
        build_type = definition.text("buildType", MAX_URI_CHARACTERS)
        if build_type not in BUILD_TYPES:
            raise StatementInvalid(
                "the provenance is of a build type whose parameters are not known",
                code="build-type-unknown",
                found=build_type[:160],
                expected=f"one of {', '.join(sorted(BUILD_TYPES))}",
            )
        workflow = definition.object("externalParameters").object("workflow")
        repository = workflow.text("repository", MAX_URI_CHARACTERS)
        ref = workflow.text("ref", MAX_URI_CHARACTERS)
        materials = _materials(definition)
        metadata = details.values.get("metadata")
        invocation = metadata.get("invocationId") if isinstance(metadata, dict) else None
        return cls(
            build_type=build_type,
            repository=repository,
            ref=ref,
            path=workflow.text("path", MAX_URI_CHARACTERS),
            commit=_commit(definition, materials, repository, ref),
            builder_id=details.object("builder").text("id", MAX_URI_CHARACTERS),
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

    def view(self) -> JsonObject:
        """Give what policies read: what A18 compared with the certificate. Which level a builder has, charters say."""
        result: JsonObject = {
            "buildType": self.build_type,
            "repository": self.repository,
            "ref": self.ref,
            "path": self.path,
            "commit": self.commit,
            "builderId": self.builder_id,
            "materials": len(self.materials),
        }
        return result | ({} if self.invocation_id is None else {"invocationId": self.invocation_id})


def _materials(definition: Members) -> tuple[Material, ...]:
    result = []
    for item in definition.objects("resolvedDependencies", MAX_MATERIALS):
        uri, digests = item.values.get("uri"), item.values.get("digest")
        # SLSA lets a dependency be named by digest or content alone; such a one cannot be the repository
        if isinstance(uri, str):
            known = digests.items() if isinstance(digests, dict) else ()
            result.append(Material(uri, {name: text for name, text in known if isinstance(text, str)}))
    return tuple(result)


def _commit(definition: Members, materials: tuple[Material, ...], repository: str, ref: str) -> str:
    commits = {
        material.digests[name]
        for material in materials
        if material.uri in (f"git+{repository}@{ref}", f"git+{repository}")
        for name in GIT_DIGESTS
        if name in material.digests
    }
    if len(commits) != 1:
        raise definition.refusal(
            f"resolvedDependencies must give one commit for git+{repository}@{ref}", found=f"{len(commits)} commits"
        )
    return commits.pop()
