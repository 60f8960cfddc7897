"""Bundles that must verify."""

from __future__ import annotations

from datetime import timedelta

from tests.documents import evaluation, json_example
from tests.vectorrecipes.common import (
    BUILDER,
    Json,
    Made,
    deciders,
    entry_of,
    measurers,
    publishers,
    recipe,
    retire,
)
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB, Workshop
from tidegate.formats.charter import SignerRule
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN
from tidegate.formats.predicates.types import (
    PREDICATE_APPROVAL,
    PREDICATE_BREAK_GLASS,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_VULNERABILITIES,
)
from tidegate_registry.sandbox.jobs import SERVER_URL


@recipe("verified", "A release statement by the charter's publisher.")
def release(w: Workshop) -> Json:
    return w.sign(w.release_statement(version="1.2.0"))


@recipe("verified", "SLSA provenance that says of repository, ref, commit, builder and run what the certificate says.")
def provenance(w: Workshop) -> Json:
    return w.sign(w.provenance_statement())


@recipe("verified", "cosign v3 names no subject; the digest is bound, agent and version are bound elsewhere.")
def cosign_signature_without_name(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_COSIGN_SIGN, {}, name=None))


@recipe("verified", "Tools that sign what they pushed put the registry before the agent's name.")
def subject_name_with_registry(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_COSIGN_SIGN, {}, name=f"registry.example:5000/{AGENT}"))


@recipe(
    "verified", "The build steps are a reusable workflow of another repository; the charter pins whose build it is."
)
def reusable_workflow(w: Workshop) -> Made:
    job = RELEASE_JOB.model_copy(update={"job_workflow_ref": BUILDER, "job_workflow_sha": "7b" * 20})
    rule = SignerRule(
        name="shared-builder",
        root="main",
        issuer=w.main.issuer.ci_url,
        identity=f"{SERVER_URL}/{BUILDER}",
        refs=("refs/tags/v*",),
        claims={"sourceRepositoryURI": f"{SERVER_URL}/{AGENT}"},
    )
    return Made(w.sign(w.provenance_statement(job), job), charter=publishers(w, rule))


@recipe("verified", "An evaluation by another repository's CI, which the charter lists as an attester of evaluations.")
def evaluation_by_attester(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_EVALUATION, evaluation()), EVALS_JOB)


@recipe("verified", "A person's review: an e-mail identity without build claims.")
def review_by_person(w: Workshop) -> Json:
    return w.sign(w.statement(PREDICATE_REVIEW, w.review_predicate()), "bob")


@recipe("verified", "An approval by a person whom the charter lists as an approver.")
def approval(w: Workshop) -> Made:
    return Made(w.sign(w.statement(PREDICATE_APPROVAL, w.approval_predicate()), "bob"), charter=deciders(w))


@recipe("verified", "A shadow comparison by a pipeline that the charter lists for it.")
def shadow_comparison(w: Workshop) -> Made:
    return Made(w.sign(w.statement(PREDICATE_SHADOW, w.shadow_predicate()), EVALS_JOB), charter=measurers(w))


@recipe("verified", "A vulnerability scan in in-toto's form.")
def scan(w: Workshop) -> Made:
    predicate = json_example("evidence-of-others", 0)
    return Made(w.sign(w.statement(PREDICATE_VULNERABILITIES, predicate), EVALS_JOB), charter=measurers(w))


@recipe("verified", "A break-glass statement by a person whom the charter lists for it.")
def break_glass(w: Workshop) -> Made:
    return Made(w.sign(w.statement(PREDICATE_BREAK_GLASS, w.break_glass_predicate()), "carol"), charter=deciders(w))


@recipe("verified", "Members that are null are members that are absent, as protobuf's JSON has it.")
def null_members(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    bundle["messageSignature"] = None
    entry_of(bundle)["inclusionPromise"] = None
    return bundle


@recipe("verified", "The charter names two roots; each signer's own root vouches for it.")
def two_roots(w: Workshop) -> Made:
    bundle = w.sign(w.release_statement(), instance=w.other)
    other = w.publisher.model_copy(update={"name": "elsewhere", "root": "other", "issuer": w.other.issuer.ci_url})
    return Made(bundle, charter=publishers(w, w.publisher, other), with_other=True)


@recipe("verified", "A statement of the type of 2021, with the same members, as `cosign attest` writes it.")
def statement_of_version_0(w: Workshop) -> Json:
    return w.sign(w.release_statement().replace(b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v0.1"))


@recipe("verified", "A client trust config stands for the trusted root in it.")
def client_trust_config(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement()), client_trust_config=True)


@recipe("verified", "Old, but the caller sets no age.")
def old_signature(w: Workshop) -> Json:
    return w.sign(w.release_statement(), at=w.now - timedelta(days=300))


@recipe("verified", "An authority that was retired after it issued the certificate.")
def authority_retired_later(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement()), change_root=lambda root: retire(root, "certificateAuthorities", w, 0))
