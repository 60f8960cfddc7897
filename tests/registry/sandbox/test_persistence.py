"""A second start on the same folder has the same keys and everything that was logged."""

from __future__ import annotations

import base64
import json
import stat
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier, policy

from tests import forge
from tests.client.tlog.oracle import roots_from_consistency
from tests.registry.sandbox.test_rekor import read_checkpoint
from tidegate.errors import Unauthenticated
from tidegate.formats.jcs import parse_object
from tidegate_registry.sandbox.files import FILE_MODE, create_file, ensure_secret
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.sigstore import SigstoreInstance

URL = "http://127.0.0.1:1"
ALICE = policy.Identity(identity="alice@sandbox.example", issuer=URL)
CONTENT = b"content"


def verifier(instance: SigstoreInstance) -> Verifier:
    trust = ClientTrustConfig.from_json(json.dumps(instance.client_trust_config()))
    return Verifier(trusted_root=trust.trusted_root)


def signed(instance: SigstoreInstance) -> Bundle:
    return Bundle.from_json(forge.dump(forge.sign_blob(instance, "alice", CONTENT)))


def test_what_was_signed_before_a_restart_verifies_after_it(tmp_path: Path) -> None:
    with closing(SigstoreInstance(tmp_path / "state", URL)) as first:
        old, trust, token = signed(first), first.trusted_root(), first.mint_token("alice")
        size, root = read_checkpoint(first.rekor.checkpoint(), first.rekor)
        head = first.ct_log.signed_tree_head()
    with closing(SigstoreInstance(tmp_path / "state", URL)) as second:
        assert second.trusted_root() == trust
        assert second.admin_secret == first.admin_secret
        assert second.issuer.verify(token, "sigstore").text("email") == "alice@sandbox.example"
        verifier(second).verify_artifact(CONTENT, old, ALICE)
        assert read_checkpoint(second.rekor.checkpoint(), second.rekor) == (size, root)
        again = second.ct_log.signed_tree_head()
        assert (again["tree_size"], again["sha256_root_hash"]) == (head["tree_size"], head["sha256_root_hash"])
        new = signed(second)
        verifier(second).verify_artifact(CONTENT, new, ALICE)
        assert new.log_entry._inner.log_index == size
        grown, grown_root = read_checkpoint(second.rekor.checkpoint(), second.rekor)
        proof = second.rekor._log.consistency(size, grown)
        assert roots_from_consistency(size, grown, root, proof) == (root, grown_root)


def test_a_torn_entry_is_forgotten_and_the_log_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with closing(SigstoreInstance(state, URL)) as first:
        old = signed(first)
        before = first.rekor.checkpoint()
        first.rekor.add_unchecked(b"never answered")
    log = state / "sigstore" / "rekor.log"
    log.write_bytes(log.read_bytes()[:-5])
    with closing(SigstoreInstance(state, URL)) as second:
        assert second.rekor.checkpoint() == before
        verifier(second).verify_artifact(CONTENT, old, ALICE)
        verifier(second).verify_artifact(CONTENT, signed(second), ALICE)


def test_another_folder_is_another_trust(tmp_path: Path) -> None:
    with (
        closing(SigstoreInstance(tmp_path / "one", URL)) as one,
        closing(SigstoreInstance(tmp_path / "two", URL)) as two,
    ):
        with pytest.raises(VerificationError):
            verifier(two).verify_artifact(CONTENT, signed(one), ALICE)
        with pytest.raises(Unauthenticated) as refused:
            two.issuer.verify(one.mint_token("alice"), "sigstore")
        assert refused.value.reasons[0].code == "unauthenticated"


def test_keys_are_their_owners_alone_and_say_what_they_are(tmp_path: Path) -> None:
    SigstoreInstance(tmp_path / "state", URL).close()
    state = tmp_path / "state"
    for folder in (state, *(each for each in state.rglob("*") if each.is_dir())):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    files = [each for each in state.rglob("*") if each.is_file()]
    assert len(files) >= 12
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        if file.suffix in (".key", ".secret"):
            assert file.read_text().startswith("# SANDBOX KEY"), file
        if file.suffix == ".crt":
            assert file.read_text().startswith("# SANDBOX CERTIFICATE"), file


def test_the_trust_documents_say_sandbox(tmp_path: Path) -> None:
    with closing(SigstoreInstance(tmp_path / "state", URL)) as instance:
        raw = json.dumps(instance.client_trust_config()).encode()
    document = parse_object(raw, limit=len(raw), what="the trust config")
    root, signing = document["trustedRoot"], document["signingConfig"]
    assert isinstance(root, dict)
    assert isinstance(signing, dict)
    for name in ("certificateAuthorities", "timestampAuthorities"):
        authorities = root[name]
        assert isinstance(authorities, list)
        assert all("sandbox" in json.dumps(authority["subject"]) for authority in authorities)  # type: ignore[index, call-overload]
    for name in ("caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls"):
        services = signing[name]
        assert isinstance(services, list)
        assert [service["operator"] for service in services] == ["sandbox"]  # type: ignore[index, call-overload]


def test_a_file_is_made_once_and_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert create_file(path, b"first")
    assert not create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == FILE_MODE
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
    made = ensure_secret(tmp_path / "token", lambda size: b"\xab" * size, 4)
    assert made == "abababab" == ensure_secret(tmp_path / "token", lambda size: b"\xcd" * size, 4)


def test_a_key_of_another_kind_is_not_used(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path)
    keys.ec_key("one", ec.SECP256R1())
    for wrong in (
        lambda: keys.ec_key("one", ec.SECP384R1()),
        lambda: keys.ed25519_key("one"),
        lambda: keys.rsa_key("one"),
    ):
        with pytest.raises(TypeError, match=r"one\.key is not"):
            wrong()


def test_the_log_file_holds_what_the_entries_say(tmp_path: Path) -> None:
    with closing(SigstoreInstance(tmp_path / "state", URL)) as instance:
        instance.rekor.add_unchecked(b"body")
    line = (tmp_path / "state" / "sigstore" / "rekor.log").read_bytes()
    assert base64.b64decode(line.split()[1]) == b"body"
