"""Bundles that real publishers made with Sigstore's own instances verify, and with a character more in a rule do not.

They are test assets in the source distribution of `pypi-attestations`, which pip fetches by name, version and hash
into a cache; nothing of it is kept in this repository. The trusted roots, public-good and staging, are those that the
installed sigstore package carries, read as data and pinned by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.vectorcase import VECTORS
from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.bundle import SigstoreBundle
from tidegate.formats.charter import Charter, SignerRule
from tidegate.formats.identity import CertificateIdentity, ClaimName, parse_certificate
from tidegate.formats.mediatypes import INTOTO_PAYLOAD, SIGSTORE_BUNDLE
from tidegate.formats.predicates.provenance import Provenance
from tidegate.formats.statement import Statement
from tidegate.verify.attestation import compare_provenance
from tidegate.verify.signature import SignedPayload, verify_signature
from tidegate.verify.trust import Root, Trust

pytestmark = pytest.mark.network

NAME, VERSION = "pypi-attestations", "0.0.30"
FILE = "pypi_attestations-0.0.30.tar.gz"
SHA256 = "14ff13c76bbef02a483c2b77532da02bfd746b5141b881f355e06b9807434423"
ASSETS = "pypi_attestations-0.0.30/test/assets"
PATIENCE = 180  # seconds; pip retries within it
ROOTS = {
    "public-good": (
        "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev",
        "6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66",
    ),
    "staging": (
        "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev",
        "81f5af777952d2c3955062ad56924c05ca916b5d49f3a0bce945faa475a8b1cc",
    ),
}

CIRCLE = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
SPT3G = "spt3g-1.0-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
BUNDLES = {
    f"{CIRCLE}.provenance": "https://oidc.circleci.com",
    f"{CIRCLE}.publish.attestation": "https://oidc.circleci.com",
    "gcb_attestation_test-0.0.0.tar.gz.provenance": "https://accounts.google.com",
    "gitlab_oidc_project-0.0.3.tar.gz.publish.attestation": "https://gitlab.com",
    "pypi_attestation_models-0.0.4a2.tar.gz.attestation": "https://token.actions.githubusercontent.com",
    "pypi_attestation_models-0.0.4a2.tar.gz.sigstore": "https://token.actions.githubusercontent.com",
    "pypi_attestations-0.0.19.tar.gz.provenance": "https://token.actions.githubusercontent.com",
    "pypi_attestations-0.0.19.tar.gz.publish.attestation": "https://token.actions.githubusercontent.com",
    "pypi_attestations-0.0.19.tar.gz.slsa.attestation": "https://token.actions.githubusercontent.com",
    "rfc8785-0.1.2-py3-none-any.whl.attestation": "https://github.com/login/oauth",
    "rfc8785-0.1.2-py3-none-any.whl.publish.attestation": "https://github.com/login/oauth",
    "rfc8785-0.1.2-py3-none-any.whl.sigstore": "https://github.com/login/oauth",
    f"{SPT3G}.publish.attestation": "https://github.com/login/oauth",
}
STAGING_ISSUER = "https://github.com/login/oauth"  # of those bundles that were made with the staging instance
SLSA = "pypi_attestations-0.0.19.tar.gz.slsa.attestation"


def fetch(cache: Path) -> str:
    """Fetch the source distribution into `cache`; give what went wrong, or nothing."""
    pinned = cache / "requirement.txt"
    pinned.write_text(f"{NAME}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", NAME, "--require-hashes"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(cache), "--requirement", str(pinned)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no answer in {PATIENCE} s"
    if done.returncode == 0 and (cache / FILE).is_file():
        return ""
    return (done.stderr.strip().splitlines() or ["pip gave no file"])[-1]


@pytest.fixture(scope="module")
def assets() -> dict[str, bytes]:
    """The files under the distribution's test assets, by name; skipped where the package index is out of reach."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate-tests"
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / FILE
    if not archive.is_file() or hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        problem = fetch(cache)
        if problem:
            pytest.skip(f"{NAME} {VERSION} could not be fetched: {problem}")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.startswith(f"{ASSETS}/") else None
            if file is not None:
                found[member.name.rpartition("/")[2]] = file.read()
    return found


@pytest.fixture(scope="module")
def roots() -> dict[str, Root]:
    """Sigstore's trusted roots: pinned files, as for any host."""
    spec = importlib.util.find_spec("sigstore")
    assert spec is not None
    assert spec.origin is not None
    found = {}
    for name, (folder, pinned) in ROOTS.items():
        raw = (Path(spec.origin).parent / "_store" / folder / "trusted_root.json").read_bytes()
        assert hashlib.sha256(raw).hexdigest() == pinned
        found[name] = Root(name, raw)
    return found


def root_of(name: str) -> str:
    return "staging" if BUNDLES[name] == STAGING_ISSUER else "public-good"


def bundle_of(name: str, raw: bytes) -> bytes:
    """Give a Sigstore bundle: as it is, or made of a PEP 740 attestation, which has the same parts in other places."""
    document: dict[str, Any] = json.loads(raw)  # noqa: TID251 - pinned by hash
    if name.endswith(".sigstore"):
        return raw
    if name.endswith(".provenance"):
        document = document["attestation_bundles"][0]["attestations"][0]
    material, envelope = document["verification_material"], document["envelope"]
    bundle = {
        "mediaType": SIGSTORE_BUNDLE,
        "verificationMaterial": {
            "certificate": {"rawBytes": _canonical(material["certificate"])},
            "tlogEntries": material["transparency_entries"],
        },
        "dsseEnvelope": {
            "payload": _canonical(envelope["statement"]),
            "payloadType": INTOTO_PAYLOAD,
            "signatures": [{"sig": _canonical(envelope["signature"])}],
        },
    }
    return json.dumps(bundle).encode()


def _canonical(text: str) -> str:
    return base64.b64encode(base64.b64decode(text)).decode()  # PEP 740 lets base64 be wrapped in lines


def identity_of(bundle: bytes) -> CertificateIdentity:
    return parse_certificate(SigstoreBundle.parse(bundle).certificate)


def verify(bundle: bytes, root: Root, **changes: Any) -> SignedPayload:
    who = identity_of(bundle)
    members = {"name": "publisher", "root": root.name, "issuer": who.issuer, "identity": who.san, "claims": who.claims}
    charter = Charter(agent="acme/agent", publishers=(SignerRule.model_validate(members | changes),))
    return verify_signature(bundle, charter=charter, trust=Trust.from_parts([root], [charter], allow_sandbox=True))


def test_there_are_thirteen(assets: dict[str, bytes]) -> None:
    kinds = (".attestation", ".provenance", ".sigstore")
    assert {name for name in assets if name.endswith(kinds)} == BUNDLES.keys()


@pytest.mark.parametrize("name", BUNDLES)
def test_a_real_bundle_verifies_by_its_exact_identity_and_claims(
    name: str, assets: dict[str, bytes], roots: dict[str, Root]
) -> None:
    signed = verify(bundle_of(name, assets[name]), roots[root_of(name)])
    assert signed.identity.issuer == BUNDLES[name]
    statement = Statement.parse(signed.payload)
    artifact = assets.get(str(statement.subject.name))
    assert artifact is not None or name.startswith("spt3g")
    if artifact is not None:
        assert statement.subject.digest == Digest.of(artifact)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_real_bundle_is_refused_by_a_rule_that_is_only_like_it(
    name: str, assets: dict[str, bytes], roots: dict[str, Root]
) -> None:
    bundle = bundle_of(name, assets[name])
    who = identity_of(bundle)
    for changes in (
        {"issuer": f"{who.issuer}/hammer-time"},
        {"issuer": who.issuer[:-1]},
        {"identity": f"{who.san}x"},
        {"identity": who.san[:-1]},
        {"claims": {**who.claims, ClaimName.BUILD_TRIGGER: "schedule"}},
        {"refs": ["refs/heads/nowhere"]},
    ):
        with pytest.raises(EvidenceRefused) as refused:
            verify(bundle, roots[root_of(name)], **changes)
        assert (refused.value.reasons[0].step, refused.value.reasons[0].code) == ("A13", "identity-not-in-charter")


@pytest.mark.parametrize("name", BUNDLES)
def test_a_real_bundle_is_refused_when_its_payload_or_its_root_is_another(
    name: str, assets: dict[str, bytes], roots: dict[str, Root]
) -> None:
    bundle = bundle_of(name, assets[name])
    document = json.loads(bundle)  # noqa: TID251 - our own
    document["dsseEnvelope"]["payload"] = base64.b64encode(b'{"_type":"https://in-toto.io/Statement/v1"}').decode()
    with pytest.raises(EvidenceRefused) as refused:
        verify(json.dumps(document).encode(), roots[root_of(name)])
    assert (refused.value.reasons[0].step, refused.value.reasons[0].code) == ("A12", "signature-invalid")
    sandbox = Root("sandbox", (VECTORS / "release" / "trusted_root.json").read_bytes())
    for other in (sandbox, *(root for root in roots.values() if root.name != root_of(name))):
        with pytest.raises(EvidenceRefused) as refused:
            verify(bundle, other)
        assert refused.value.reasons[0].step in {"A11", "A12"}


def test_the_provenance_that_a_forge_writes_says_what_its_certificate_says(
    assets: dict[str, bytes], roots: dict[str, Root]
) -> None:
    signed = verify(bundle_of(SLSA, assets[SLSA]), roots["public-good"])
    provenance = Provenance.parse(Statement.parse(signed.payload).predicate)
    compare_provenance(provenance, signed.identity)
    assert provenance.repository == "https://github.com/trailofbits/pypi-attestations"
