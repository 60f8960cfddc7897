"""Bundles that say the wrong thing, or at the wrong time: steps A14 to A19."""

from __future__ import annotations

from datetime import timedelta

from tests.documents import evaluation, json_example
from tests.vectorrecipes.common import (
    BUILDER,
    OTHER_DIGEST,
    Json,
    Made,
    deciders,
    measurers,
    publishers,
    recipe,
    replace_rule,
    with_statement,
)
from tests.workshop import AGENT, EVALS_JOB, Workshop
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE
from tidegate.formats.predicates.types import (
    PREDICATE_APPROVAL,
    PREDICATE_BREAK_GLASS,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_TEST_RESULT,
    PREDICATE_VULNERABILITIES,
)
from tidegate_registry.sandbox.jobs import SERVER_URL


@recipe("A14 statement-malformed", "Two subjects' digests under one key.")
def statement_with_repeated_key(w: Workshop) -> Json:
    payload = w.release_statement().replace(b'"subject":', b'"subject":[],"subject":')
    return w.sign(payload)


@recipe("A14 statement-malformed", "A statement of a version to come.")
def statement_of_version_2(w: Workshop) -> Json:
    return w.sign(w.release_statement().replace(b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v2"))


@recipe("A14 statement-malformed", "The payload is itself the bytes that a DSSE signature covers.")
def payload_is_a_pae(w: Workshop) -> Json:
    return w.sign(b"DSSEv1 28 application/vnd.in-toto+json 2 {}")


@recipe("A14 subject-count", "Two subjects: one honest, one not.")
def two_subjects(w: Workshop) -> Json:
    return w.sign(with_statement(w, lambda s: s["subject"].append({"digest": {"sha256": OTHER_DIGEST.hex}})))


@recipe("A14 subject-digest", "The digest in capitals: other readers compare text.")
def subject_digest_in_capitals(w: Workshop) -> Json:
    return w.sign(with_statement(w, lambda s: s["subject"][0]["digest"].update(sha256=w.subject.hex.upper())))


@recipe("A14 subject-digest", "A subject by sha512 alone.")
def subject_without_sha256(w: Workshop) -> Json:
    return w.sign(with_statement(w, lambda s: s["subject"][0].update(digest={"sha512": "0" * 128})))


@recipe("A15 subject-mismatch", "Replay: an honest statement about another manifest.")
def another_manifest(w: Workshop) -> Json:
    predicate = w.release_predicate(digest=OTHER_DIGEST)
    return w.sign(w.statement(PREDICATE_RELEASE, predicate, subject=OTHER_DIGEST))


@recipe("A16 subject-name", "Replay: the same manifest, signed for another agent.")
def another_agent(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_COSIGN_SIGN, {}, name="acme/other-agent"))


@recipe("A16 subject-name", "A slash before the agent's name, and no registry before it.")
def subject_name_without_host(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_COSIGN_SIGN, {}, name=f"/{AGENT}"))


@recipe("A16 subject-name", "A path before the agent's name that is no registry.")
def subject_name_in_a_path(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_COSIGN_SIGN, {}, name=f"registry.example/mirror/{AGENT}"))


@recipe("A16 subject-name", "Only cosign's signature may go without a name.")
def provenance_without_name(w: Workshop) -> Json:
    return w.sign(with_statement(w, lambda s: s["subject"][0].pop("name"), payload=w.provenance_statement()))


@recipe("A16 wrong-charter", "The charter of one agent says nothing of another.")
def charter_of_another_agent(w: Workshop) -> Made:
    bundle = w.sign(w.statement(PREDICATE_COSIGN_SIGN, {}, name="acme/other-agent"))
    return Made(bundle, agent="acme/other-agent")


@recipe("A17 predicate-type-not-allowed", "An attester of evaluations signs a release.")
def release_by_attester(w: Workshop) -> Json:
    return w.sign(w.release_statement(), EVALS_JOB)


@recipe("A17 predicate-type-not-allowed", "The publisher marks its own homework.")
def evaluation_by_publisher(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_EVALUATION, evaluation()))


@recipe("A17 predicate-type-not-allowed", "The publisher approves its own release.")
def approval_by_publisher(w: Workshop) -> Made:
    return Made(w.sign(w.statement(PREDICATE_APPROVAL, w.approval_predicate())), charter=deciders(w))


@recipe("A17 predicate-type-not-allowed", "Who may break the glass approves.")
def approval_by_who_may_break_the_glass(w: Workshop) -> Made:
    return Made(w.sign(w.statement(PREDICATE_APPROVAL, w.approval_predicate()), "carol"), charter=deciders(w))


@recipe("A17 predicate-type-not-allowed", "An approver breaks the glass.")
def break_glass_by_approver(w: Workshop) -> Made:
    return Made(w.sign(w.statement(PREDICATE_BREAK_GLASS, w.break_glass_predicate()), "bob"), charter=deciders(w))


@recipe("A18 approval-mismatch", "The subject is right, what is approved is another digest.")
def approval_of_another_digest(w: Workshop) -> Made:
    predicate = w.approval_predicate(digest=OTHER_DIGEST)
    return Made(w.sign(w.statement(PREDICATE_APPROVAL, predicate), "bob"), charter=deciders(w))


@recipe("A18 approval-mismatch", "The subject is right, what is approved is another agent.")
def approval_of_another_agent(w: Workshop) -> Made:
    predicate = w.approval_predicate(agent="acme/other-agent")
    return Made(w.sign(w.statement(PREDICATE_APPROVAL, predicate), "bob"), charter=deciders(w))


@recipe("A18 approval-malformed", "An approval that never ends.")
def approval_without_expiry(w: Workshop) -> Made:
    predicate = w.approval_predicate()
    del predicate["expiresAt"]
    return Made(w.sign(w.statement(PREDICATE_APPROVAL, predicate), "bob"), charter=deciders(w))


@recipe("A18 break-glass-mismatch", "The subject is right, the predicate names another digest.")
def break_glass_of_another_digest(w: Workshop) -> Made:
    predicate = w.break_glass_predicate(digest=OTHER_DIGEST)
    return Made(w.sign(w.statement(PREDICATE_BREAK_GLASS, predicate), "carol"), charter=deciders(w))


@recipe("A18 review-mismatch", "The subject is right, what was reviewed is another digest.")
def review_of_another_digest(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_REVIEW, w.review_predicate(digest=OTHER_DIGEST)), "bob")


@recipe("A18 shadow-mismatch", "The subject is right, what was compared is another digest.")
def shadow_comparison_of_another_digest(w: Workshop) -> Made:
    predicate = w.shadow_predicate(digest=OTHER_DIGEST)
    return Made(w.sign(w.statement(PREDICATE_SHADOW, predicate), EVALS_JOB), charter=measurers(w))


@recipe("A18 vulnerabilities-malformed", "A scan without its list, which is not a scan that found nothing.")
def scan_without_its_list(w: Workshop) -> Made:
    predicate = json_example("evidence-of-others", 0)
    del predicate["scanner"]["result"]
    return Made(w.sign(w.statement(PREDICATE_VULNERABILITIES, predicate), EVALS_JOB), charter=measurers(w))


@recipe("A18 test-result-malformed", "A test failed, and the result says that all passed.")
def test_result_that_contradicts_itself(w: Workshop) -> Made:
    predicate = json_example("evidence-of-others", 1) | {"result": "PASSED"}
    return Made(w.sign(w.statement(PREDICATE_TEST_RESULT, predicate), EVALS_JOB), charter=measurers(w))


@recipe("A18 evaluation-mismatch", "Eleven of twelve runs passed, and the predicate claims that all did.")
def evaluation_with_a_better_rate(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_EVALUATION, evaluation(claimed={"passRate": 1.0})), EVALS_JOB)


@recipe("A18 evaluation-malformed", "Three of two runs passed.")
def evaluation_with_too_many_passes(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_EVALUATION, evaluation(repeats=2)), EVALS_JOB)


@recipe("A18 release-mismatch", "The subject is right, the predicate names another agent.")
def release_of_another_agent(w: Workshop) -> Json:
    return w.sign(w.release_statement(agent="acme/other-agent"))


@recipe("A18 release-mismatch", "The subject is right, the predicate names another digest.")
def release_of_another_digest(w: Workshop) -> Json:
    return w.sign(w.release_statement(digest=OTHER_DIGEST))


@recipe("A18 release-malformed", "A release statement with a promise that nobody keeps.")
def release_with_unknown_member(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_RELEASE, w.release_predicate() | {"expires": "never"}))


@recipe("A18 provenance-mismatch", "The predicate names another repository than the certificate.")
def provenance_of_another_repository(w: Workshop) -> Json:
    return w.sign(w.provenance_statement(repository=f"{SERVER_URL}/acme/trusted"))


@recipe("A18 provenance-mismatch", "The predicate names a protected ref, the certificate another.")
def provenance_of_another_ref(w: Workshop) -> Json:
    return w.sign(w.provenance_statement(ref="refs/tags/v9.9.9"))


@recipe("A18 provenance-mismatch", "The predicate names a reviewed commit, the certificate another.")
def provenance_of_another_commit(w: Workshop) -> Json:
    return w.sign(w.provenance_statement(commit="ab" * 20))


@recipe("A18 provenance-mismatch", "The predicate claims a better builder than the one that signed.")
def provenance_of_another_builder(w: Workshop) -> Json:
    return w.sign(w.provenance_statement(builder_id=f"{SERVER_URL}/{BUILDER}"))


@recipe("A18 provenance-mismatch", "The predicate names another run.")
def provenance_of_another_run(w: Workshop) -> Json:
    return w.sign(w.provenance_statement(invocation_id=f"{SERVER_URL}/{AGENT}/actions/runs/9/attempts/1"))


@recipe("A18 provenance-mismatch", "Provenance by a person: the certificate proves no build.")
def provenance_by_person(w: Workshop) -> Made:
    rule = replace_rule(w.attesters[1], name="bob", types=())
    return Made(w.sign(w.provenance_statement(), "bob"), charter=publishers(w, rule))


@recipe("A18 build-type-unknown", "A build type whose parameters may mean anything.")
def provenance_of_unknown_build_type(w: Workshop) -> Json:
    return w.sign(w.provenance_statement(build_type="https://build.example/v1"))


@recipe("A19 signed-in-the-future", "Issued an hour from now.")
def from_the_future(w: Workshop) -> Json:
    return w.sign(w.release_statement(), at=w.now + timedelta(hours=1))


@recipe("A19 too-old", "A month old where the caller takes a week.")
def too_old(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement(), at=w.now - timedelta(days=30)), max_age_days=7)
