"""A release that never saw a registry: built, signed and attested in a layout, and verified there."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tidegate
from tests import forge
from tests.documents import evaluation
from tests.workshop import RELEASE_JOB, VERSION, WORKFLOW
from tidegate.attest import attest, open_target, sign_release
from tidegate.bundle.build import build
from tidegate.bundle.layout import Layout
from tidegate.credentials.sources import Credentials
from tidegate.credentials.store import LoginStore
from tidegate.errors import BundleRefused, InvalidInput, NotFound, SigningRefused, StatementInvalid, TidegateError
from tidegate.formats.charter import Charter, CharterSet, SignerRule
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, image_manifest
from tidegate.releases.offline import NetworkUsed
from tidegate.releases.verify import verify
from tidegate.signing.signer import Signer
from tidegate.signing.sigstore import load_sigstore
from tidegate.verify.trust import Root, Trust
from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest
from tidegate_registry.sandbox.serve import RunningSigstore

AGENT = "acme/support-agent"
EXAMPLE = Path(__file__).parents[2] / "examples" / "support-agent"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("built") / "layout"
    build(EXAMPLE, path)
    return path


@pytest.fixture
def layout(built: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(built, tmp_path / "layout"))


@pytest.fixture(scope="module")
def config(sigstore: RunningSigstore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "sandbox.json"
    path.write_text(json.dumps(sigstore.instance.client_trust_config()))
    return path


def signer_as(sigstore: RunningSigstore, config: Path, who: str | JobRequest, tmp_path: Path) -> Signer:
    environ: Mapping[str, str] = {} if isinstance(who, str) else {"GITHUB_SERVER_URL": SERVER_URL}
    credentials = Credentials(
        environ,
        clock=lambda: datetime.now(UTC),
        store=LoginStore(tmp_path),
        signing_token=sigstore.instance.mint_token(who),
    )
    return Signer(load_sigstore(config, allow_sandbox=True), credentials, clock=lambda: datetime.now(UTC))


@pytest.fixture
def job(sigstore: RunningSigstore, config: Path, tmp_path: Path) -> Signer:
    return signer_as(sigstore, config, RELEASE_JOB, tmp_path)


@pytest.fixture(scope="module")
def trust(sigstore: RunningSigstore) -> Trust:
    rule = SignerRule(
        name="release", root="main", issuer=f"{sigstore.url}/ci", workflow=WORKFLOW, refs=("refs/tags/v*",)
    )
    root = Root("main", json.dumps(sigstore.instance.trusted_root()).encode())
    return Trust.from_parts([root], [Charter(agent=AGENT, publishers=(rule,))], allow_sandbox=True)


def release(layout: Path, job: Signer) -> None:
    with open_target(str(layout)) as target:
        sign_release(target, job, ("canary",))
        attest(target, job, "provenance", None)


@pytest.fixture
def released(layout: Path, job: Signer) -> Path:
    release(layout, job)
    return layout


def test_a_signed_and_attested_layout_is_a_release_offline(layout: Path, job: Signer, trust: Trust) -> None:
    release(layout, job)
    verified = verify(str(layout), trust=trust, offline=True)
    assert (verified.release.agent, verified.release.version) == (AGENT, VERSION)
    assert verified.release.allowed.channels == ("canary",)
    told = verified.as_json()
    assert told["source"] == {
        "repository": f"{SERVER_URL}/{AGENT}",
        "ref": RELEASE_JOB.ref,
        "commit": RELEASE_JOB.sha,
    }
    numbers = [number for number, _ in verified.checked]
    assert numbers[:2] == ["V1", "V2"]
    assert {"B8", "A12", "A18", "R7"} <= set(numbers)
    assert all(title != number for number, title in verified.checked)
    assert tidegate.verify(str(layout), trust=trust).release.version == VERSION


def test_signing_again_changes_nothing_that_counts(layout: Path, job: Signer, trust: Trust) -> None:
    release(layout, job)
    release(layout, job)
    assert verify(str(layout), trust=trust).release.version == VERSION


@pytest.mark.parametrize(
    ("expected", "error", "code"),
    [
        (f"{AGENT}:1.3.0", BundleRefused, "version-mismatch"),
        ("acme/other:1.2.0", BundleRefused, "no-charter"),
        (f"{AGENT}@sha256:{'0' * 64}", NotFound, "blob-missing"),
    ],
)
def test_another_release_than_was_asked_for_is_refused(
    released: Path, trust: Trust, expected: str, error: type[TidegateError], code: str
) -> None:
    with pytest.raises(error) as caught:
        verify(str(released), trust=trust, expected=expected)
    assert caught.value.reasons[0].code == code


def test_an_unsigned_layout_is_refused_with_everything_it_lacks(layout: Path, trust: Trust) -> None:
    with pytest.raises(BundleRefused) as caught:
        verify(str(layout), trust=trust)
    assert {reason.code for reason in caught.value.reasons} == {"no-signature", "no-provenance"}


def test_a_person_cannot_attest_where_a_bundle_was_built(
    sigstore: RunningSigstore, config: Path, layout: Path, tmp_path: Path
) -> None:
    with open_target(str(layout)) as target, pytest.raises(SigningRefused) as caught:
        attest(target, signer_as(sigstore, config, "alice", tmp_path), "provenance", None)
    assert caught.value.reasons[0].code == "provenance-missing"


def test_an_altered_weights_file_is_noticed(layout: Path, job: Signer, trust: Trust) -> None:
    release(layout, job)
    opened = Layout.open(layout)
    weights = next(blob for blob in opened.root().layers if blob.media_type.endswith(".raw"))
    path = layout / "blobs" / "sha256" / weights.digest.hex
    path.chmod(0o644)
    raw = bytearray(path.read_bytes())
    raw[0] ^= 1
    path.unlink()
    path.write_bytes(raw)
    with pytest.raises(BundleRefused) as caught:
        verify(str(layout), trust=trust)
    assert caught.value.reasons[0].step == "B8"


def test_evidence_of_other_kinds_is_attached_and_named(layout: Path, job: Signer) -> None:
    with open_target(str(layout)) as target:
        made = attest(target, job, "evaluation", json.dumps(evaluation()).encode())
        assert made.as_json()["type"] == "evaluation"
        assert Layout.open(layout).referrers(target.manifest.digest)[0].digest == made.referrer
        uri = attest(target, job, "https://example.org/mine/v1", b"{}")
        assert uri.verified.predicate_type == "https://example.org/mine/v1"


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        (("evaluation", None), InvalidInput, "predicate-missing"),
        (("nonsense", b"{}"), StatementInvalid, "statement-malformed"),
        (("evaluation", b"[]"), InvalidInput, "json-invalid"),
        (("evaluation", b'{"a":1,"a":2}'), InvalidInput, "json-invalid"),
        (("evaluation", b"DSSEv1 28 application/vnd.in-toto+json 2 {}"), SigningRefused, "looks-like-pae"),
        (("release", b"{}"), StatementInvalid, "release-malformed"),
        (("evaluation", b'{"passRate":1.0}'), StatementInvalid, "evaluation-malformed"),
        (("vulnerabilities", b"{}"), StatementInvalid, "vulnerabilities-malformed"),
    ],
)
def test_what_cannot_be_attested_is_refused(
    layout: Path, job: Signer, said: tuple[str, bytes | None], error: type[TidegateError], code: str
) -> None:
    with open_target(str(layout)) as target, pytest.raises(error) as caught:
        attest(target, job, *said)
    assert caught.value.reasons[0].code == code


def test_a_file_that_begins_like_signed_dsse_bytes_is_no_target(tmp_path: Path) -> None:
    path = tmp_path / "statement"
    path.write_bytes(forge.pae(forge.IN_TOTO, b"{}"))
    with pytest.raises(SigningRefused) as caught, open_target(str(path)):
        pass
    assert caught.value.reasons[0].code == "looks-like-pae"


def test_a_channel_that_is_no_channel_is_not_signed(layout: Path, job: Signer) -> None:
    with open_target(str(layout)) as target, pytest.raises(StatementInvalid) as caught:
        sign_release(target, job, ("not a channel",))
    assert caught.value.reasons[0].code == "release-malformed"


def test_an_opaque_artifact_is_signed_by_the_name_it_is_given(
    sigstore: RunningSigstore, job: Signer, tmp_path: Path, trust: Trust
) -> None:
    layout = Layout.create(tmp_path / "opaque")
    layout.put(b"{}")
    layout.add_manifest(image_manifest(artifact_type="application/x", config=EMPTY_DESCRIPTOR, layers=()), version=None)
    with pytest.raises(InvalidInput) as caught, open_target(str(layout.path)):
        pass
    assert caught.value.reasons[0].code == "agent-unknown"
    with open_target(str(layout.path), called=f"{AGENT}:2.0.0") as target:
        sign_release(target, job)
        attest(target, job, "provenance", None)
    assert verify(str(layout.path), trust=trust, expected=f"{AGENT}:2.0.0").release.config is None
    with pytest.raises(InvalidInput):
        verify(str(layout.path), trust=trust)


def test_offline_nothing_is_looked_up(trust: Trust) -> None:
    with pytest.raises(InvalidInput) as caught:
        verify(f"127.0.0.1:1/{AGENT}:{VERSION}", trust=trust, offline=True)
    assert caught.value.reasons[0].code == "offline-reference"


class CallingHome(CharterSet):
    """Charters that look something up on the network, which nothing in a verification may do."""

    def for_agent(self, name: str) -> Charter | None:
        socket.create_connection(("127.0.0.1", 9))
        return super().for_agent(name)


def test_offline_nothing_in_a_verification_reaches_the_network(released: Path, trust: Trust) -> None:
    calling = Trust({root.name: root for root in trust.roots}, CallingHome(trust.charters))
    with pytest.raises(NetworkUsed) as caught:
        verify(str(released), trust=calling, offline=True)
    assert caught.value.reasons[0].code == "offline"
    with pytest.raises(ConnectionRefusedError):
        verify(str(released), trust=calling)
