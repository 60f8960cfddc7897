"""The trust floor: a release may not fall below the charter's least, nor below the release before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.client.verify.plain import BUILDER, ISSUER, WORKFLOW, charter, identity, rule
from tidegate.errors import StatementInvalid
from tidegate.formats.classes import RefClass, RunnerClass
from tidegate.formats.identity import CertificateIdentity
from tidegate.policy.floor import (
    ReleaseFacts,
    facts_of,
    judge_builder,
    judge_ref,
    judge_runner,
    judge_signer,
)

FACTS = ReleaseFacts(
    root="main",
    issuer=ISSUER,
    workflow=WORKFLOW,
    ref="refs/tags/v1.2.0",
    commit="5a" * 20,
    ref_class=RefClass.PROTECTED_TAG,
    runner_class=RunnerClass.HOSTED,
    builder_level=2,
)


def test_facts_come_from_the_certificate_and_the_charter() -> None:
    assert facts_of("main", identity(), charter()) == FACTS
    laptop = facts_of("main", CertificateIdentity(ISSUER, "bob@acme.example"), charter())
    assert (laptop.ref_class, laptop.runner_class, laptop.builder_level) == (RefClass.OTHER, RunnerClass.SELF_HOSTED, 0)
    assert laptop.workflow == "bob@acme.example"


@pytest.mark.parametrize(
    ("runner", "expected"),
    [
        ("github-hosted", RunnerClass.HOSTED),
        ("gitlab-hosted", RunnerClass.HOSTED),
        ("self-hosted", RunnerClass.SELF_HOSTED),
        ("Github-Hosted", RunnerClass.SELF_HOSTED),
        ("cloud", RunnerClass.SELF_HOSTED),
    ],
)
def test_a_machine_nobody_knows_is_somebodys_own(runner: str, expected: RunnerClass) -> None:
    assert facts_of("main", identity(runner=runner), charter()).runner_class is expected


def test_only_a_builder_outside_the_repository_reaches_level_3() -> None:
    assert facts_of("main", identity(workflow=BUILDER), charter()).builder_level == 3
    own = charter(builders={f"{WORKFLOW}@refs/tags/v*": 3})
    assert facts_of("main", identity(), own).builder_level == 2


@pytest.mark.parametrize("before", list(RefClass))
@pytest.mark.parametrize("now", list(RefClass))
@pytest.mark.parametrize("least", list(RefClass))
def test_the_refs_class_may_not_fall(before: RefClass, now: RefClass, least: RefClass) -> None:
    reasons = judge_ref(
        replace(FACTS, ref_class=now), charter(floor={"ref": least.label}), replace(FACTS, ref_class=before)
    )
    assert [reason.code for reason in reasons] == ["ref-too-low"] * (now < least) + ["ref-fell"] * (now < before)
    assert {reason.step for reason in reasons} <= {"R8"}


@pytest.mark.parametrize("before", list(RunnerClass))
@pytest.mark.parametrize("now", list(RunnerClass))
@pytest.mark.parametrize("least", list(RunnerClass))
def test_the_machines_class_may_not_fall(before: RunnerClass, now: RunnerClass, least: RunnerClass) -> None:
    reasons = judge_runner(
        replace(FACTS, runner_class=now), charter(floor={"runner": least.label}), replace(FACTS, runner_class=before)
    )
    assert [reason.code for reason in reasons] == ["runner-too-low"] * (now < least) + ["runner-fell"] * (now < before)
    assert {reason.step for reason in reasons} <= {"R9"}


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("now", range(4))
@pytest.mark.parametrize("least", range(4))
def test_the_builders_level_may_not_fall(before: int, now: int, least: int) -> None:
    reasons = judge_builder(
        replace(FACTS, builder_level=now), charter(floor={"builderLevel": least}), replace(FACTS, builder_level=before)
    )
    assert [reason.code for reason in reasons] == ["builder-too-low"] * (now < least) + ["builder-fell"] * (
        now < before
    )
    assert {reason.step for reason in reasons} <= {"R10"}


@pytest.mark.parametrize("judge", [judge_ref, judge_runner, judge_builder, judge_signer])
def test_a_first_release_is_measured_by_the_charter_alone(judge: Any) -> None:
    low = replace(FACTS, ref_class=RefClass.OTHER, runner_class=RunnerClass.SELF_HOSTED, builder_level=0)
    assert judge(low, charter(), None) == ()


OLD = "https://git.example/acme/agent/.ci/old.yml"


@pytest.mark.parametrize(
    ("previous", "listed", "allowed"),
    [
        (FACTS, [rule()], True),
        (replace(FACTS, workflow=OLD), [rule(), rule(OLD).model_copy(update={"name": "old"})], True),
        (replace(FACTS, workflow=OLD), [rule()], False),
        (replace(FACTS, issuer="https://old.example"), [rule()], False),
        (replace(FACTS, root="old"), [rule()], False),
        (replace(FACTS, workflow=OLD), [rule(), rule(OLD, root="old").model_copy(update={"name": "old"})], False),
        (
            replace(FACTS, workflow=OLD),
            [rule(), rule(OLD, issuer="https://x.example").model_copy(update={"name": "old"})],
            False,
        ),
    ],
    ids=range(7),
)
def test_another_signer_needs_both_in_the_charter(
    previous: ReleaseFacts,
    listed: list[Any],
    allowed: bool,  # noqa: FBT001
) -> None:
    reasons = judge_signer(FACTS, charter(publishers=listed), previous)
    assert [(reason.code, reason.step) for reason in reasons] == ([] if allowed else [("signer-changed", "R11")])


def test_a_publisher_by_exact_identity_is_listed_under_its_workflow() -> None:
    exact = {"name": "x", "root": "main", "issuer": ISSUER, "identity": f"{OLD}@refs/tags/v1"}
    listed = charter(publishers=[rule(), exact])
    assert judge_signer(FACTS, listed, replace(FACTS, workflow=OLD)) == ()


@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, ref=None, commit=None)], ids=["build", "person"])
def test_facts_go_to_json_and_back(facts: ReleaseFacts) -> None:
    assert ReleaseFacts.parse(facts.as_json()) == facts


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("root", None),
        ("ref", 5),
        ("refClass", "best"),
        ("runnerClass", "HOSTED"),
        ("builderLevel", "2"),
        ("builderLevel", True),
        ("builderLevel", 4),
    ],
    ids=range(7),
)
def test_facts_of_another_form_are_refused(key: str, value: Any) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ReleaseFacts.parse(FACTS.as_json() | {key: value})
    assert refused.value.reasons[0].code == "facts-malformed"


@pytest.mark.parametrize("missing", FACTS.as_json())
def test_facts_lack_nothing(missing: str) -> None:
    with pytest.raises(StatementInvalid):
        ReleaseFacts.parse({key: value for key, value in FACTS.as_json().items() if key != missing})
