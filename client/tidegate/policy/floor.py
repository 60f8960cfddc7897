"""The trust floor: what a release may not fall below, compared with the one before it and with the charter's least.

Pure. Source: docs/spec/verification.md, steps R8 to R11. A version that suddenly comes from a laptop, a branch or
another workflow is what a stolen token looks like; it is refused even though it is signed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import Reason, StatementInvalid
from tidegate.formats.charter import MAX_LEVEL, Charter
from tidegate.formats.classes import RefClass, RunnerClass
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import JsonObject

# what forges' issuers write for machines they run themselves; everything else is somebody's own machine
HOSTED_RUNNERS = frozenset({"github-hosted", "gitlab-hosted", "sandbox-hosted"})


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What the floor needs to remember of a release: who built it, from what kind of ref, where, at which level.

    `workflow` is the certificate's subject without its ref. Classes and level are as the charter of that day gave them.
    """

    root: str
    issuer: str
    workflow: str
    ref: str | None
    commit: str | None
    ref_class: RefClass
    runner_class: RunnerClass
    builder_level: int

    def as_json(self) -> JsonObject:
        """Give all members; `parse` reads it back."""
        return {
            "root": self.root,
            "issuer": self.issuer,
            "workflow": self.workflow,
            "ref": self.ref,
            "commit": self.commit,
            "refClass": self.ref_class.label,
            "runnerClass": self.runner_class.label,
            "builderLevel": self.builder_level,
        }

    @classmethod
    def parse(cls, document: JsonObject) -> ReleaseFacts:
        """Read what `as_json` wrote. Raises StatementInvalid, code "facts-malformed"."""
        try:
            return cls(
                root=_text(document["root"]),
                issuer=_text(document["issuer"]),
                workflow=_text(document["workflow"]),
                ref=_text_or_none(document["ref"]),
                commit=_text_or_none(document["commit"]),
                ref_class=RefClass.labelled(_text(document["refClass"])),
                runner_class=RunnerClass.labelled(_text(document["runnerClass"])),
                builder_level=_level(document["builderLevel"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StatementInvalid("the facts of a release cannot be read", code="facts-malformed") from error


def facts_of(root: str, identity: CertificateIdentity, charter: Charter) -> ReleaseFacts:
    """Give the facts of a build from the certificate of its provenance: never from what the predicate says."""
    runner = identity.claim(ClaimName.RUNNER_ENVIRONMENT)
    ref = identity.claim(ClaimName.SOURCE_REPOSITORY_REF)
    return ReleaseFacts(
        root=root,
        issuer=identity.issuer,
        workflow=identity.workflow,
        ref=ref,
        commit=identity.claim(ClaimName.SOURCE_REPOSITORY_DIGEST),
        ref_class=charter.ref_class(ref),
        runner_class=RunnerClass.HOSTED if runner in HOSTED_RUNNERS else RunnerClass.SELF_HOSTED,
        builder_level=charter.builder_level(
            identity.claim(ClaimName.BUILD_SIGNER_URI), identity.claim(ClaimName.SOURCE_REPOSITORY_URI)
        ),
    )


def judge_ref(facts: ReleaseFacts, charter: Charter, previous: ReleaseFacts | None) -> tuple[Reason, ...]:
    """R8: the class of the git ref is at least the charter's, and not below the previous release's."""
    least = charter.floor.ref_class
    found = f"{facts.ref_class.label} ({facts.ref or 'no ref'})"
    hint = "release from a tag or branch that the charter lists in protectedRefs"
    reasons = []
    if facts.ref_class < least:
        reasons.append(Reason("ref-too-low", _REF_LOW, found, least.label, hint, "R8"))
    if previous is not None and facts.ref_class < previous.ref_class:
        expected = f"{previous.ref_class.label}, as {previous.ref} was"
        reasons.append(Reason("ref-fell", _REF_FELL, found, expected, hint, "R8"))
    return tuple(reasons)


def judge_runner(facts: ReleaseFacts, charter: Charter, previous: ReleaseFacts | None) -> tuple[Reason, ...]:
    """R9: so is the class of the machine that built it."""
    hint = "build on the forge's own machines"
    reasons = []
    if facts.runner_class < charter.floor.runner_class:
        least = charter.floor.runner_class.label
        reasons.append(Reason("runner-too-low", _RUNNER_LOW, facts.runner_class.label, least, hint, "R9"))
    if previous is not None and facts.runner_class < previous.runner_class:
        least = previous.runner_class.label
        reasons.append(Reason("runner-fell", _RUNNER_FELL, facts.runner_class.label, least, hint, "R9"))
    return tuple(reasons)


def judge_builder(facts: ReleaseFacts, charter: Charter, previous: ReleaseFacts | None) -> tuple[Reason, ...]:
    """R10: so is the SLSA level of its builder, by the charter's table."""
    hint = "build with a reusable workflow that the charter's `builders` table lists"
    found = f"SLSA build level {facts.builder_level}"
    reasons = []
    if facts.builder_level < charter.floor.builder_level:
        least = f"level {charter.floor.builder_level}"
        reasons.append(Reason("builder-too-low", "the builder's level is too low", found, least, hint, "R10"))
    if previous is not None and facts.builder_level < previous.builder_level:
        least = f"level {previous.builder_level}, as the previous release had"
        reasons.append(Reason("builder-fell", "the builder's level has fallen", found, least, hint, "R10"))
    return tuple(reasons)


def judge_signer(facts: ReleaseFacts, charter: Charter, previous: ReleaseFacts | None) -> tuple[Reason, ...]:
    """R11: root, issuer and workflow are the previous release's, or both are publishers of the charter."""
    if previous is None:
        return ()
    before = (previous.root, previous.issuer, previous.workflow)
    if before == (facts.root, facts.issuer, facts.workflow) or any(
        (rule.root, rule.issuer, rule.subject) == before for rule in charter.publishers
    ):
        return ()  # the new one is a publisher of the charter, or its provenance would not have counted
    return (
        Reason(
            "signer-changed",
            "the release comes from another workflow than the previous one, which the charter no longer lists",
            f"{facts.workflow} (issuer {facts.issuer}, root {facts.root})",
            f"{previous.workflow} (issuer {previous.issuer}, root {previous.root})",
            "list the old publisher beside the new one in the charter until the move is made",
            "R11",
        ),
    )


_REF_LOW = "the git ref is less protected than the charter asks"
_REF_FELL = "the git ref is less protected than the previous release's"
_RUNNER_LOW = "the machine that built it is not of the class the charter asks for"
_RUNNER_FELL = "the machine that built it is of a lower class than the previous release's"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _level(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_LEVEL:
        raise ValueError
    return value
