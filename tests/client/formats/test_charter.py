"""Charters: rules match exactly, patterns mean what the page says, mistakes are told with file, line and path."""

from __future__ import annotations

import pytest

from tidegate.errors import TrustFileInvalid
from tidegate.formats.charter import Charter, CharterSet, Role, SignerRule, matches_ref, may_attest
from tidegate.formats.classes import RefClass, RunnerClass
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.types import PREDICATE_CYCLONEDX, PREDICATE_EVALUATION
from tidegate.formats.trustfile import parse_charter

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/agent/.github/workflows/release.yml"
TAG = "refs/tags/v1.2.0"
REPOSITORY = "https://github.com/acme/agent"

IDENTITY = CertificateIdentity(
    ISSUER,
    f"{WORKFLOW}@{TAG}",
    {
        ClaimName.SOURCE_REPOSITORY_REF: TAG,
        ClaimName.SOURCE_REPOSITORY_URI: REPOSITORY,
        ClaimName.BUILD_SIGNER_URI: f"{WORKFLOW}@{TAG}",
    },
)


def rule(**changes: object) -> SignerRule:
    members: dict[str, object] = {"name": "release", "root": "public-good", "issuer": ISSUER}
    members |= {"workflow": WORKFLOW, "refs": ["refs/tags/v*"]}
    return SignerRule.model_validate({key: value for key, value in (members | changes).items() if value is not None})


def charter(**changes: object) -> Charter:
    return Charter.model_validate({"agent": "acme/agent", "publishers": [rule()]} | changes)


def identity(san: str = IDENTITY.san, issuer: str = ISSUER, **claims: str) -> CertificateIdentity:
    changed = {ClaimName[key]: value for key, value in claims.items()}
    return CertificateIdentity(issuer, san, {**IDENTITY.claims, **changed})


def test_a_rule_matches_its_workflow_at_an_allowed_ref() -> None:
    assert rule().matches(IDENTITY)
    assert rule(workflow=None, identity=IDENTITY.san).matches(IDENTITY)
    assert rule(claims={"sourceRepositoryURI": REPOSITORY}).matches(IDENTITY)


@pytest.mark.parametrize(
    "who",
    [
        identity(issuer=f"{ISSUER}/hammer-time"),
        identity(issuer=ISSUER[:-1]),
        identity(issuer=ISSUER.upper()),
        identity(san=f"{WORKFLOW}@refs/tags/v1.2.1"),
        identity(san=f"{WORKFLOW}x@{TAG}"),
        identity(san=WORKFLOW),
        identity(san=f"{WORKFLOW}@refs/heads/v1", SOURCE_REPOSITORY_REF="refs/heads/v1"),
        CertificateIdentity(ISSUER, f"{WORKFLOW}@None"),
        CertificateIdentity(ISSUER, f"{WORKFLOW}@{TAG}"),
    ],
    ids=lambda who: f"{who.issuer[-12:]} {who.san[-20:]}",
)
def test_a_workflow_rule_matches_nothing_that_is_only_like_it(who: CertificateIdentity) -> None:
    assert not rule().matches(who)


@pytest.mark.parametrize(
    ("name", "value"), [("sourceRepositoryURI", REPOSITORY + "-x"), ("sourceRepositoryIdentifier", "1")]
)
def test_a_claim_that_differs_or_is_absent_does_not_match(name: str, value: str) -> None:
    assert not rule(claims={name: value}).matches(IDENTITY)


def test_differences_name_each_member_that_does_not_match() -> None:
    found = rule(claims={"buildTrigger": "push"}).differences(CertificateIdentity("https://other.example", "bob"))
    assert [text.split()[0] for text in found] == ["issuer", "identity", "source", "buildTrigger"]


@pytest.mark.parametrize(
    ("pattern", "ref", "matches"),
    [
        ("refs/tags/v*", "refs/tags/v1.2.0", True),
        ("refs/tags/v*", "refs/tags/v", False),
        ("refs/tags/v*", "refs/tags/v1/x", False),
        ("refs/tags/v*", "refs/heads/v1", False),
        ("refs/tags/v*", "xrefs/tags/v1", False),
        ("refs/tags/v*", "refs/tags/v1\n", True),  # such a ref cannot be in a certificate: values are printable
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/main", "refs/heads/main2", False),
        ("refs/heads/release/*/fix", "refs/heads/release/1/fix", True),
        ("refs/heads/a.b", "refs/heads/axb", False),
    ],
)
def test_ref_patterns(pattern: str, ref: str, matches: bool) -> None:  # noqa: FBT001
    assert matches_ref(pattern, ref) is matches


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("refs/tags/v1", RefClass.PROTECTED_TAG),
        ("refs/heads/main", RefClass.PROTECTED_BRANCH),
        ("refs/heads/other", RefClass.OTHER),
        ("refs/pull/7/merge", RefClass.OTHER),
        (None, RefClass.OTHER),
    ],
)
def test_classes_of_refs(ref: str | None, expected: RefClass) -> None:
    named = charter(protectedRefs=["refs/heads/main", "refs/tags/v*", "refs/pull/*/merge"])
    assert named.ref_class(ref) is expected


BUILDER = "https://github.com/acme/builder/.github/workflows/agent.yml"


@pytest.mark.parametrize(
    ("signer", "expected"),
    [
        (f"{BUILDER}@refs/tags/v2", 3),
        (f"{BUILDER}@refs/tags/v3.1", 2),
        (f"{BUILDER}@refs/heads/main", 1),
        (f"{BUILDER}x@refs/tags/v2", 1),
        (f"{WORKFLOW}@refs/tags/v1", 2),  # the table says 3, but it is the source repository's own
        (None, 0),
    ],
)
def test_builder_level_is_the_tables_and_at_most_2_in_the_job(signer: str | None, expected: int) -> None:
    table = {f"{BUILDER}@refs/tags/v2": 3, f"{BUILDER}@refs/tags/v*": 2, f"{WORKFLOW}@refs/tags/v*": 3}
    assert charter(builders=table).builder_level(signer, REPOSITORY) == expected


def test_a_builder_without_a_known_source_counts_as_in_the_job() -> None:
    assert charter(builders={f"{BUILDER}@refs/tags/v2": 3}).builder_level(f"{BUILDER}@refs/tags/v2", None) == 2


def test_publishers_may_say_what_a_build_says_and_attesters_what_they_list() -> None:
    plain, listed = rule(), rule(types=["evaluation", "https://corp.example/x/v1"])
    assert may_attest(Role.PUBLISHER, plain, PREDICATE_RELEASE)
    assert may_attest(Role.PUBLISHER, plain, PREDICATE_CYCLONEDX)
    assert not may_attest(Role.PUBLISHER, plain, PREDICATE_EVALUATION)
    assert may_attest(Role.ATTESTER, listed, PREDICATE_EVALUATION)
    assert may_attest(Role.ATTESTER, listed, "https://corp.example/x/v1")
    assert not may_attest(Role.ATTESTER, listed, PREDICATE_SLSA_PROVENANCE)
    assert not may_attest(Role.PUBLISHER, listed, PREDICATE_RELEASE)
    assert not may_attest(Role.ATTESTER, plain, PREDICATE_RELEASE)


def test_the_agents_own_charter_is_used_instead_of_its_namespaces() -> None:
    own, shared = charter(), charter(agent="acme/*")
    charters = CharterSet([own, shared])
    assert charters.for_agent("acme/agent") is own
    assert charters.for_agent("acme/other") is shared
    assert charters.for_agent("other/agent") is None
    assert shared.covers("acme/x")
    assert not shared.covers("acme2/x")
    assert not own.covers("acme/agent2")


def test_two_charters_that_cover_the_same_are_refused() -> None:
    with pytest.raises(TrustFileInvalid, match="two charters") as refused:
        CharterSet([charter(), charter()])
    assert refused.value.reasons[0].code == "trust-file-invalid"


def test_a_charters_digest_is_of_what_it_means() -> None:
    assert charter().digest == charter(version=1).digest
    assert charter().digest != charter(version=2).digest


def test_classes_know_the_names_they_have_in_files() -> None:
    assert [each.label for each in RefClass] == ["other", "protected-branch", "protected-tag"]
    assert RunnerClass.labelled("self-hosted") is RunnerClass.SELF_HOSTED
    with pytest.raises(ValueError, match="hosted2"):
        RunnerClass.labelled("hosted2")


GOOD = """\
agent: acme/agent
publishers:
  - name: release
    root: public-good
    issuer: https://issuer.example
    identity: bob@acme.example
"""


RULE = "publishers[0]"
ATTESTER = "attesters: [{name: a, root: public-good, issuer: https://i.example, identity: x}]"
WITH_REF = "workflow: https://x@refs/a\n    refs: [refs/a]"
BUILD = "https://b.example/x@refs/tags/v1"


@pytest.mark.parametrize(
    ("text", "line", "path", "says"),
    [
        (GOOD.replace("agent: acme/agent", "agent: acme"), 1, "agent", "neither"),
        (GOOD.replace("agent: acme/agent\n", ""), 1, "agent", "is missing"),
        (GOOD + "extra: 1\n", 7, "extra", "is not a key here"),
        (GOOD.replace("bob@acme.example", "https://x/*"), 3, RULE, "compared exactly"),
        (GOOD + "    workflow: https://x/y\n", 3, RULE, "exactly one of"),
        (GOOD.replace("    identity: bob@acme.example\n", ""), 3, RULE, "exactly one of"),
        (GOOD.replace("identity: bob@acme.example", "workflow: https://x/y"), 3, RULE, "needs `refs`"),
        (GOOD.replace("identity: bob@acme.example", WITH_REF), 3, RULE, "without its @ref"),
        (GOOD + "    refs: [main]\n", 7, f"{RULE}.refs[0]", "wrong form"),
        (GOOD + "    claims: {issuer: x}\n", 7, f"{RULE}.claims.issuer", "is not a key here"),
        (GOOD + "    claims: {buildTrigger: 5}\n", 7, f"{RULE}.claims.buildTrigger", "is not text"),
        (GOOD + "    types: [nonsense]\n", 7, f"{RULE}.types", "no such predicate type"),
        (GOOD + ATTESTER, 1, "", "lists no `types`"),
        (GOOD + f"builders: {{{BUILD}: 4}}\n", 7, f"builders.{BUILD}", "less than or equal to 3"),
        (GOOD + "builders: {x: 1}\n", 7, "builders.x", "is not a key here"),
        (GOOD + "format: tidegate/charter/v2\n", 7, "format", "not one of the values"),
        (GOOD.replace("publishers:", "publishers: []\nx:"), 2, "publishers", "at least 1"),
        (GOOD + GOOD.partition("publishers:\n")[2], 1, "", "two rules are called release"),
        (GOOD.replace("root: public-good", "root: other"), 4, f"{RULE}.root", "no such root"),
    ],
)
def test_a_mistake_is_told_with_line_and_path(text: str, line: int, path: str, says: str) -> None:
    with pytest.raises(TrustFileInvalid) as refused:
        parse_charter(text.encode(), name="acme.yaml", roots={"public-good": None})
    where = f"acme.yaml:{line}: {path}: " if path else f"acme.yaml:{line}: "
    messages = [reason.message for reason in refused.value.reasons]
    assert any(message.startswith(where) and says in message for message in messages), messages
    assert {reason.code for reason in refused.value.reasons} == {"trust-file-invalid"}


def test_every_mistake_is_told_at_once() -> None:
    text = GOOD.replace("issuer:", "isuer:").replace("version", "x") + "floor: {runner: cloud}\nunpinned: maybe\n"
    with pytest.raises(TrustFileInvalid) as refused:
        parse_charter(text.encode(), name="acme.yaml")
    assert len(refused.value.reasons) == 4
    assert "write issuer" in {reason.hint for reason in refused.value.reasons}


def test_the_example_in_the_page_is_a_charter() -> None:
    from pathlib import Path

    page = Path(__file__).parents[3] / "docs" / "spec" / "charter.md"
    text = page.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    parsed = parse_charter(text.encode(), name="charter.md", roots={"public-good": None, "company": None})
    assert parsed.floor.ref_class is RefClass.PROTECTED_TAG
    assert [each.name for _, each in parsed.rules] == ["release", "shared-builder", "evals", "alice"]


def test_a_copy_that_says_something_else_has_another_digest() -> None:
    whole = charter()
    known = whole.digest
    assert whole.model_copy(update={"version": whole.version + 1}).digest != known
    assert whole.model_copy().digest == known
