"""Bundles that are not signed as they must be, or not by whom: steps A11 to A13."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509

from tests.forge_certificate import ISSUER_V2, leaf
from tests.vectorrecipes.common import (
    BUILDER,
    Json,
    Made,
    b64,
    entry_of,
    envelope_of,
    job_name,
    material_of,
    publishers,
    recipe,
    retire,
    texts_of_job,
)
from tests.workshop import AGENT, RELEASE_JOB, Workshop
from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest


@recipe("A11 outside-validity", "The certificate authority was retired before it issued the certificate.")
def authority_retired_before(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement()), change_root=lambda root: retire(root, "certificateAuthorities", w, 30))


@recipe("A11 outside-validity", "The certificate transparency log was retired before.")
def ct_log_retired_before(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement()), change_root=lambda root: retire(root, "ctlogs", w, 30))


@recipe("A11 outside-validity", "The transparency log was retired before.")
def log_retired_before(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement()), change_root=lambda root: retire(root, "tlogs", w, 30))


@recipe("A12 signature-invalid", "Signed under a Sigstore instance that the charter does not name.")
def another_sigstore(w: Workshop) -> Json:
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w)), instance=w.other)


@recipe("A12 certificate-untrusted", "The leaf says it was issued by the trusted authority, and was not signed by it.")
def forged_leaf(w: Workshop) -> Json:
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w), sign_with=w.other.fulcio.key))


@recipe("A12 signature-invalid", "The payload was changed after it was signed.")
def payload_changed(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    envelope_of(bundle)["payload"] = b64(w.release_statement(version="1.2.1"))
    return bundle


@recipe("A12 signature-invalid", "The signature of another statement by the same job.")
def signature_of_another_statement(w: Workshop) -> Json:
    bundle, other = w.sign(w.release_statement()), w.sign(w.release_statement(version="1.2.1"))
    envelope_of(bundle)["signatures"] = envelope_of(other)["signatures"]
    return bundle


@recipe("A12 signature-invalid", "The log entry of another signature: this one was never logged.")
def log_entry_of_another_signature(w: Workshop) -> Json:
    bundle, other = w.sign(w.release_statement()), w.sign(w.release_statement(version="1.2.1"))
    material_of(bundle)["tlogEntries"] = material_of(other)["tlogEntries"]
    return bundle


@recipe("A12 signature-invalid", "The timestamp of another signature: when this one was made is not known.")
def timestamp_of_another_signature(w: Workshop) -> Json:
    bundle, other = w.sign(w.release_statement()), w.sign(w.release_statement(version="1.2.1"))
    material_of(bundle)["timestampVerificationData"] = material_of(other)["timestampVerificationData"]
    return bundle


@recipe("A12 signature-invalid", "The timestamp authority was retired before it signed the time.")
def timestamp_authority_retired_before(w: Workshop) -> Made:
    return Made(w.sign(w.release_statement()), change_root=lambda root: retire(root, "timestampAuthorities", w, 30))


@recipe("A12 signature-invalid", "The proof is for another place in the log than the entry's.")
def inclusion_proof_of_another_index(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    proof = entry_of(bundle)["inclusionProof"]
    proof["logIndex"] = str(int(proof["logIndex"]) - 1)
    return bundle


@recipe("A12 signature-invalid", "No signed time at all.")
def no_timestamp(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    del material_of(bundle)["timestampVerificationData"]
    return bundle


@recipe("A12 certificate-untrusted", "Signed after the certificate had expired: the key was kept or stolen.")
def signed_after_expiry(w: Workshop) -> Json:
    start = w.now - timedelta(hours=2)
    return w.sign(w.release_statement(), at=start, timestamped_at=start + timedelta(minutes=11))


@recipe("A12 signature-invalid", "A checkpoint whose signature is not the log's.")
def checkpoint_of_another_log(w: Workshop) -> Json:
    bundle, other = w.sign(w.release_statement()), w.sign(w.release_statement(), instance=w.other)
    entry_of(bundle)["inclusionProof"] = entry_of(other)["inclusionProof"]
    return bundle


@recipe("A12 signature-invalid", "No certificate transparency: the authority may have issued it in secret.")
def no_sct(w: Workshop) -> Json:
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w), with_sct=False))


@recipe("A12 signature-invalid", "A certificate for TLS servers.")
def not_for_code_signing(w: Workshop) -> Json:
    usage = x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w), usage=usage))


@recipe("A13 identity-not-in-charter", "The issuer begins like the right one and goes on.")
def issuer_with_a_tail(w: Workshop) -> Json:
    issuer = w.main.issuer.ci_url + "/hammer-time"
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w) | {ISSUER_V2: issuer}))


@recipe("A13 identity-not-in-charter", "The right identity by another issuer of the same Sigstore.")
def another_issuer(w: Workshop) -> Json:
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w) | {ISSUER_V2: w.main.issuer.url}))


@recipe("A13 identity-not-in-charter", "A repository whose name begins like the right one.")
def repository_with_a_tail(w: Workshop) -> Json:
    return w.sign(w.release_statement(), JobRequest(repository=f"{AGENT}-x", ref="refs/tags/v1.2.0"))


@recipe("A13 identity-not-in-charter", "Another workflow of the right repository, say one that runs on pull requests.")
def another_workflow(w: Workshop) -> Json:
    return w.sign(w.release_statement(), RELEASE_JOB.model_copy(update={"workflow": ".ci/workflows/test.yml"}))


@recipe("A13 identity-not-in-charter", "The right workflow on a branch that anybody with write access can push.")
def another_ref(w: Workshop) -> Json:
    return w.sign(w.release_statement(), RELEASE_JOB.model_copy(update={"ref": "refs/heads/v1"}))


@recipe("A13 identity-not-in-charter", "The right workflow as it was at another ref than the source it builds.")
def workflow_of_another_ref(w: Workshop) -> Json:
    old = f"{AGENT}/.ci/workflows/release.yml@refs/tags/v0.9.0"
    return w.sign(w.release_statement(), RELEASE_JOB.model_copy(update={"job_workflow_ref": old}))


@recipe("A13 identity-not-in-charter", "The right names, but the repository was deleted and taken by someone else.")
def repository_name_taken_over(w: Workshop) -> Json:
    return w.sign(w.release_statement(), RELEASE_JOB.model_copy(update={"repository_id": "666"}))


@recipe("A13 identity-not-in-charter", "The shared builder, called by a repository the charter does not mean.")
def builder_called_by_another_repository(w: Workshop) -> Made:
    job = JobRequest(
        repository="mallory/agent", ref="refs/tags/v1.2.0", job_workflow_ref=BUILDER, job_workflow_sha="7b" * 20
    )
    rule = w.publisher.model_copy(update={"workflow": None, "identity": f"{SERVER_URL}/{BUILDER}"})
    return Made(w.sign(w.release_statement(), job), charter=publishers(w, rule))


@recipe(
    "A13 identity-not-in-charter", "The publisher's identity, vouched for by a root that the charter trusts for others."
)
def identity_under_another_root(w: Workshop) -> Made:
    bundle = w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w)), instance=w.other)
    elsewhere = w.attesters[1].model_copy(update={"root": "other"})
    charter = w.charter.model_copy(update={"attesters": (elsewhere,)})
    return Made(bundle, charter=charter, with_other=True)
