"""A registry lies about a request, to get somebody's signature for something else: it gets none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.attacks.promising import POLICY, REQUEST, Office, Releases, attach, digest_of, make_releases, open_office
from tests.documents import evaluation
from tests.forge import dump
from tests.workshop import AGENT, EVALS_JOB, Workshop
from tidegate.cli.checklist import checklist
from tidegate.errors import BundleRefused, SigningRefused, Unreachable
from tidegate.formats.charter import ApproverRule
from tidegate.formats.predicates.approval import Action, ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.review import Flips, ReviewPredicate, ReviewVerdict
from tidegate.formats.predicates.types import PREDICATE_APPROVAL, PREDICATE_CYCLONEDX, PREDICATE_EVALUATION
from tidegate.policy.load import load_policy
from tidegate.policy.verdict import State
from tidegate.promotion.approve import file_break_glass, file_review, flips_of
from tidegate.promotion.examine import ApprovalRefused, Workplace, charter_of
from tidegate_registry.sandbox.jobs import SERVER_URL


@pytest.fixture(scope="module")
def releases(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return make_releases(workshop, tmp_path_factory.mktemp("releases"))


@pytest.fixture
def office(workshop: Workshop, releases: Releases) -> Office:
    return open_office(workshop, releases)


def test_an_honest_request_is_approved_with_what_was_computed_here(office: Office) -> None:
    filed = office.approve(reason="the flipped cases were wrong before")
    (statement,) = office.pen.signed
    said = ApprovalPredicate.parse(statement.predicate)
    rule = load_policy(POLICY.encode()).rule(AGENT, "dev", "staging")
    assert rule is not None
    assert statement.predicate_type == PREDICATE_APPROVAL
    assert statement.subject.digest == office.candidate.digest
    assert (said.agent, said.version, said.digest) == (AGENT, "1.3.0", office.candidate.digest)
    assert (said.channel, said.sequence, said.rule) == ("staging", 7, rule.digest)
    assert (said.not_full_before - office.now).total_seconds() == 3 * 3600
    assert (said.expires_at - office.now).days == 90
    assert said.computed.difference is not None
    assert said.computed.difference.against == office.serving.digest
    assert {"capability-raised", "model-moved", "prompt-changed"} <= set(said.computed.difference.changes)
    assert len(said.computed.evidence) == 3
    assert office.filed == [f'{{"manifest":"{filed.referrer}"}}']


def test_what_only_the_registry_can_know_is_shown_as_not_seen(office: Office) -> None:
    _, found = office.examine()
    states = {finding.id: finding.state for finding in found.findings}
    assert states["sbom"] is State.MET
    assert states["reviewed"] is State.INCONCLUSIVE
    assert "requester" not in states


def test_a_way_back_is_approved_as_what_it_is(office: Office) -> None:
    decision = office.request["decision"]
    assert isinstance(decision, dict)
    office.request |= {"action": "rollback", "source": None, "decision": decision | {"findings": []}}
    office.approve()
    said = ApprovalPredicate.parse(office.pen.signed[0].predicate)
    assert (said.action, said.channel, said.sequence) == (Action.ROLLBACK, "staging", 7)


def test_words_of_a_policy_cannot_steer_the_terminal(office: Office) -> None:
    evil = "\x1b[2J\x9b1A\u202eapproved"
    text = POLICY.replace("{id: sbom, sbom", f'{{id: sbom, message: "{escaped(evil)}", sbom')
    office.serve_policy(text)
    office.hide_evidence(PREDICATE_CYCLONEDX)
    office.find("sbom")["state"] = "unmet"
    _, found = office.examine()
    assert any(evil in finding.message for finding in found.findings)
    shown = "".join(checklist(found.findings, lambda line, *_: line))
    assert not set(evil[:1] + "\x9b\u202e") & set(shown)
    assert "approved" in shown


def escaped(text: str) -> str:
    """Write it as a double-quoted YAML string does."""
    return "".join(char if " " <= char <= "~" else f"\\u{ord(char):04x}" for char in text)


def other_version(office: Office) -> None:
    office.request["version"] = "1.4.0"


def other_digest(office: Office) -> None:
    office.request["digest"] = office.serving.digest


def other_agent(office: Office) -> None:
    office.request["agent"] = "acme/another-agent"


def serving_another_version(office: Office) -> None:
    office.channel["serving"] |= {"version": "1.1.0"}  # type: ignore[operator]


@pytest.mark.parametrize("lie", [other_version, other_digest, serving_another_version])
def test_a_release_that_does_not_verify_as_what_it_is_called_is_never_signed(
    office: Office, lie: Callable[[Office], None]
) -> None:
    lie(office)
    with pytest.raises(BundleRefused) as caught:
        office.approve()
    assert "version-mismatch" in {reason.code for reason in caught.value.reasons}
    assert office.pen.signed == []
    assert office.filed == []


def other_rule(office: Office) -> None:
    office.request["ruleDigest"] = digest_of("another rule")


def weaker_policy(office: Office) -> None:
    office.serve_policy(POLICY.replace("count: 1", "count: 2"))


def other_times(office: Office) -> None:
    office.request["notFullBefore"] = "2026-06-01T12:00:00Z"


def from_the_future(office: Office) -> None:
    office.request["openedAt"], office.request["notFullBefore"] = "2036-06-01T12:00:00Z", "2036-06-01T15:00:00Z"


def passed_sequence(office: Office) -> None:
    office.request["sequence"] = 6


def request_is_over(office: Office) -> None:
    office.request["state"] = "done"


def no_such_transition(office: Office) -> None:
    office.request["source"] = "stable"


def evidence_that_is_not_there(office: Office) -> None:
    office.hide_evidence(PREDICATE_CYCLONEDX)


def charter_without_the_channel(office: Office) -> None:
    findings = office.request["decision"]["findings"]  # type: ignore[index]
    findings.append({"id": "charter", "kind": "rule", "state": "met", "message": "it has the channel"})
    charter = office.trust.charters.for_agent(AGENT)
    assert charter is not None
    office.trust = office.shop.trusting(charter.model_copy(update={"approvals": {"dev": 0}}))


@pytest.mark.parametrize(
    "lie",
    [
        other_rule,
        weaker_policy,
        other_times,
        from_the_future,
        passed_sequence,
        request_is_over,
        no_such_transition,
        evidence_that_is_not_there,
        charter_without_the_channel,
    ],
)
def test_a_word_that_differs_from_what_is_computed_here_gets_no_signature(
    office: Office, lie: Callable[[Office], None]
) -> None:
    lie(office)
    with pytest.raises(ApprovalRefused) as caught:
        office.approve()
    assert {reason.code for reason in caught.value.reasons} == {"approval-mismatch"}
    assert office.pen.signed == []
    assert office.filed == []


def test_every_lie_is_told(office: Office) -> None:
    for lie in (other_rule, passed_sequence, evidence_that_is_not_there):
        lie(office)
    with pytest.raises(ApprovalRefused) as caught:
        office.approve()
    assert len(caught.value.reasons) == 3
    assert all(reason.found and reason.expected for reason in caught.value.reasons)


def test_what_is_compared_with_is_what_the_statement_names(office: Office) -> None:
    # which release a channel serves only the registry knows; a lie about it stays in the public log
    office.channel["serving"] = None
    office.approve()
    said = ApprovalPredicate.parse(office.pen.signed[0].predicate)
    assert said.computed.difference is None


def test_an_agent_without_a_charter_of_the_approvers_own_is_refused(office: Office) -> None:
    other_agent(office)
    office.trust = office.shop.trusting(office.shop.charter.model_copy(update={"agent": "other/agent"}))
    with pytest.raises(ApprovalRefused) as caught:
        office.approve()
    assert caught.value.reasons[0].code == "approval-no-charter"


def test_somebody_whom_the_charter_does_not_list_signs_nothing(office: Office) -> None:
    office.pen.who = "alice"
    with pytest.raises(SigningRefused) as caught:
        office.approve()
    assert caught.value.reasons[0].code == "not-in-charter"
    assert office.pen.signed == []


def test_a_request_of_another_id_is_refused(office: Office) -> None:
    office.request["id"] = REQUEST.replace("1", "2")
    with pytest.raises(Unreachable) as caught:
        office.approve()
    assert caught.value.reasons[0].code == "answer-malformed"
    assert office.pen.signed == []


def test_a_pipeline_that_the_charter_lists_approves_as_a_person_does(office: Office) -> None:
    charter, rule = charter_of(office.trust, AGENT), office.shop.attesters[0]
    gate = ApproverRule(name="gate", root="main", issuer=rule.issuer, workflow=rule.workflow, refs=rule.refs)
    office.trust = office.pen.trust = office.shop.trusting(charter.model_copy(update={"approvers": (gate,)}))
    office.pen.who = EVALS_JOB
    filed = office.approve()
    assert filed.identity.san.startswith(str(rule.workflow))
    assert len(office.pen.signed) == len(office.filed) == 1


def test_an_emergency_moves_only_what_verifies_here(office: Office) -> None:
    place = Workplace(office.fake.registry(), office.trust, lambda: office.now)
    other_digest(office)
    request = place.promotions.get(REQUEST)
    with pytest.raises(BundleRefused):
        place.verify(request.agent, request.version, request.digest)


def test_an_approver_does_not_break_the_glass(office: Office) -> None:
    place, found = office.examine()
    with pytest.raises(SigningRefused) as caught:
        file_break_glass(place, found.request, found.release, office.pen, reason="now")
    assert caught.value.reasons[0].code == "not-in-charter"
    assert office.pen.signed == []


def test_whoever_may_breaks_the_glass_for_the_one_release_that_was_verified(office: Office) -> None:
    charter = charter_of(office.trust, AGENT)
    office.trust = office.pen.trust = office.shop.trusting(
        charter.model_copy(update={"break_glass": charter.approvers})
    )
    place, found = office.examine()
    file_break_glass(place, found.request, found.release, office.pen, reason="orders are lost")
    (statement,) = office.pen.signed
    said = BreakGlassPredicate.parse(statement.predicate)
    assert statement.subject.digest == said.digest == office.candidate.digest
    assert (said.version, said.channel, said.sequence, said.reason) == ("1.3.0", "staging", 7, "orders are lost")
    assert said.expires_at <= office.now + timedelta(hours=1)
    assert len(office.filed) == 1


def with_evaluations(office: Office, before: dict[str, int], after: dict[str, int]) -> Office:
    """Ask for a review of what flipped, and attach evaluations of both releases."""
    shop = office.shop
    charter = office.trust.charters.for_agent(AGENT)
    assert charter is not None
    office.trust = office.pen.trust = shop.trusting(charter.model_copy(update={"attesters": shop.attesters}))
    workflow = f"workflow: {SERVER_URL}/acme/evals/.ci/workflows/run.yml, refs: [refs/heads/main]"
    signer = f"{{root: main, issuer: {shop.main.issuer.ci_url}, {workflow}}}"
    text = POLICY.replace("editors:", f"signers: {{evals: {signer}}}\neditors:").replace(
        "      - {id: reviewed,",
        "      - {id: looked-at, review: {evaluation: evals, role: reviewer}}\n      - {id: reviewed,",
    )
    office.serve_policy(text)
    rule = load_policy(text.encode()).rule(AGENT, "dev", "staging")
    assert rule is not None
    office.request["ruleDigest"] = rule.digest
    for manifest, outcomes in ((office.serving, before), (office.candidate, after)):
        about = replace(shop, manifest=manifest)
        payload = about.statement(PREDICATE_EVALUATION, evaluation(outcomes=outcomes, repeats=1))
        raw = dump(about.sign(payload, EVALS_JOB))
        attach(office.fake, manifest, raw, PREDICATE_EVALUATION)
    return office


def test_a_review_speaks_of_the_cases_that_flipped_by_what_was_verified_here(office: Office) -> None:
    with_evaluations(office, {"a": 1, "b": 1, "c": 0}, {"a": 1, "b": 0, "c": 1})
    place, found = office.examine()
    (flips,) = flips_of(found)
    assert flips == Flips("support-regression", office.serving.digest, ("b", "c"))
    seen = {finding.id: finding for finding in found.findings}["looked-at"]
    assert seen.state is State.INCONCLUSIVE
    assert seen.message.startswith("2 cases flipped against what staging serves; ")
    filed = file_review(place, found, office.pen, flips, verdict=ReviewVerdict.ACCEPTED, reason="both were wrong")
    said = ReviewPredicate.parse(office.pen.signed[-1].predicate)
    assert (said.flips, said.digest, said.verdict) == (flips, office.candidate.digest, ReviewVerdict.ACCEPTED)
    assert office.filed == [f'{{"manifest":"{filed.referrer}"}}']


def test_nothing_is_reviewed_where_nothing_flipped(office: Office) -> None:
    with_evaluations(office, {"a": 1, "b": 1}, {"a": 1, "b": 1})
    assert flips_of(office.examine()[1]) == ()
