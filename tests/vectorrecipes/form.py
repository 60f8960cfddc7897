"""Bundles of the wrong form, or whose certificate names nobody: steps A2 to A9."""

from __future__ import annotations

from cryptography import x509

from tests.forge import dump, sign_blob
from tests.forge_certificate import ISSUER_V1, ISSUER_V2, leaf
from tests.vectorrecipes.common import (
    Json,
    entry_of,
    envelope_of,
    job_name,
    material_of,
    recipe,
    texts_of_job,
)
from tests.workshop import RELEASE_JOB, WORKFLOW, Workshop


@recipe("A2 bundle-malformed", "Two payloads under one key: one parser reads the first, another the last.")
def repeated_key(w: Workshop) -> bytes:
    raw = dump(w.sign(w.release_statement()))
    return raw.replace(b'"payloadType"', b'"payload": "e30=", "payloadType"', 1)


@recipe("A2 bundle-malformed", "Not JSON.")
def not_json(w: Workshop) -> bytes:
    return dump(w.sign(w.release_statement()))[:-1]


@recipe("A3 bundle-media-type", "An older bundle format, whose rules are others.")
def media_type_v02(w: Workshop) -> Json:
    return w.sign(w.release_statement()) | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"}


@recipe("A3 bundle-media-type", "The alternative spelling of 0.3, which the library takes and we do not.")
def media_type_v03_alternative(w: Workshop) -> Json:
    return w.sign(w.release_statement()) | {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.3"}


@recipe("A4 not-an-attestation", "A signature over the manifest's bytes as a file: it names neither agent nor version.")
def blob_signature(w: Workshop) -> Json:
    return sign_blob(w.main, RELEASE_JOB, w.manifest.raw, issued_at=w.now, timestamped_at=w.now)


@recipe("A4 not-an-attestation", "An envelope and a message signature: which of the two would be meant?")
def envelope_and_blob_signature(w: Workshop) -> Json:
    blob = sign_blob(w.main, RELEASE_JOB, w.manifest.raw, issued_at=w.now, timestamped_at=w.now)
    return w.sign(w.release_statement()) | {"messageSignature": blob["messageSignature"]}


@recipe("A4 not-an-attestation", "Verification material with nothing to verify.")
def no_content(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    del bundle["dsseEnvelope"]
    return bundle


@recipe("A5 bundle-malformed", "A second envelope under the name that sigstore-python takes as well.")
def second_envelope_in_snake_case(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    other = w.sign(w.release_statement(version="9.9.9"))
    return bundle | {"dsse_envelope": other["dsseEnvelope"]}


@recipe("A5 bundle-malformed", "A member nobody knows.")
def unknown_member(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    entry_of(bundle)["note"] = "hello"
    return bundle


@recipe("A5 bundle-malformed", "Two log entries.")
def two_log_entries(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    material_of(bundle)["tlogEntries"] *= 2
    return bundle


@recipe(
    "A5 bundle-malformed", "A chain of certificates in place of the leaf: authorities come from the trusted root alone."
)
def certificate_chain(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    material = material_of(bundle)
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    return bundle


@recipe("A5 bundle-malformed", "A public key in place of a certificate: it names nobody.")
def public_key(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    material_of(bundle)["publicKey"] = {"hint": "key-1"}
    del material_of(bundle)["certificate"]
    return bundle


@recipe("A6 signature-count", "Two signatures, of which only one is verified.")
def two_signatures(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    envelope_of(bundle)["signatures"] *= 2
    return bundle


@recipe("A6 signature-count", "The signature was taken off.")
def no_signature(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    envelope_of(bundle)["signatures"] = []
    return bundle


@recipe("A7 payload-type", "Signed as plain text, so whoever signed did not mean it as a statement.")
def payload_type_text(w: Workshop) -> Json:
    return w.sign(w.release_statement(), payload_type="text/plain")


@recipe("A8 base64", "Bytes after the padding, which the library's decoder skips.")
def base64_with_a_tail(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    envelope_of(bundle)["payload"] += "\n!!"
    return bundle


@recipe("A8 base64", "The URL-safe alphabet, whose characters the library's decoder drops.")
def base64_of_another_alphabet(w: Workshop) -> Json:
    bundle = w.sign(w.release_statement())
    proof = entry_of(bundle)["inclusionProof"]
    proof["rootHash"] = "-_" + proof["rootHash"]
    return bundle


@recipe("A9 identity-malformed", "Two subject names: the holder could be whichever of the two a rule asks for.")
def two_subject_names(w: Workshop) -> Json:
    names = [x509.UniformResourceIdentifier(f"{WORKFLOW}@refs/tags/v1.2.0"), x509.RFC822Name("bob@sandbox.example")]
    return w.sign(w.release_statement(), leaf(names, texts_of_job(w)))


@recipe("A9 identity-malformed", "A DNS name: not a kind of identity that a charter can name.")
def dns_subject_name(w: Workshop) -> Json:
    return w.sign(w.release_statement(), leaf([x509.DNSName("agent.example")], texts_of_job(w)))


@recipe("A9 identity-malformed", "No issuer extension, so the name could be any provider's.")
def no_issuer(w: Workshop) -> Json:
    texts = {number: text for number, text in texts_of_job(w).items() if number != ISSUER_V2}
    return w.sign(w.release_statement(), leaf(job_name(), texts))


@recipe("A9 identity-malformed", "The deprecated issuer extension names another issuer than the current one.")
def two_issuers(w: Workshop) -> Json:
    raw = {ISSUER_V1: b"https://issuer.example"}
    return w.sign(w.release_statement(), leaf(job_name(), texts_of_job(w), raw=raw))


@recipe("A9 identity-malformed", "The issuer is raw text where a DER UTF8String belongs.")
def issuer_not_der(w: Workshop) -> Json:
    texts = {number: text for number, text in texts_of_job(w).items() if number != ISSUER_V2}
    return w.sign(w.release_statement(), leaf(job_name(), texts, raw={ISSUER_V2: w.main.issuer.ci_url.encode()}))
