"""The worker's keys: files, and signers of securesystemslib, whose public tables tests may extend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, SecretsHandler

from tidegate.errors import Conflict, InvalidInput, Unreachable
from tidegate.tlog.note import VerifierKey, sign_note, verify_note
from tidegate_registry.audit.keys import Algorithm, KeyMissing, open_key, open_log_signer, open_vsa_key
from tidegate_registry.cli import main
from tidegate_registry.key_files import create_private_key
from tidegate_registry.settings import Settings
from tidegate_registry.settings_log import LogSettings, VsaSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


def public_file(folder: Path, public: PublicKeyTypes) -> Path:
    path = folder / "public.pem"
    path.write_bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


def keep_in_service(monkeypatch: pytest.MonkeyPatch, scheme: str, private: ed25519.Ed25519PrivateKey | None) -> None:
    """Have `scheme:` sign with `private`, as a service would; None: the service does not answer."""

    class Service(CryptoSigner):
        @classmethod
        def from_priv_key_uri(cls, uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None) -> Self:
            assert uri.startswith(f"{scheme}:")
            assert public_key.keytype == "ed25519"
            assert secrets_handler is not None
            return cls(private or ed25519.Ed25519PrivateKey.generate())

        def sign(self, payload: bytes) -> object:  # type: ignore[override]
            if private is None:
                raise OSError("no route to host")
            return super().sign(payload)

    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, scheme, Service)


def test_without_a_key_the_worker_is_told_how_to_make_one() -> None:
    with pytest.raises(KeyMissing) as log:
        open_log_signer(Settings(log=LogSettings()))
    with pytest.raises(KeyMissing) as vsa:
        open_vsa_key(VsaSettings())
    assert [caught.value.reasons[0].code for caught in (log, vsa)] == ["log-key-missing", "vsa-key-missing"]
    assert all("tidegate-registry keys make-" in str(caught.value.hint) for caught in (log, vsa))


def test_a_key_in_a_file_signs_as_its_public_part_verifies(tmp_path: Path) -> None:
    create_private_key(tmp_path / "log.pem", ed25519.Ed25519PrivateKey.generate())
    create_private_key(tmp_path / "vsa.pem", ec.generate_private_key(ec.SECP256R1()))
    log = open_log_signer(Settings(log=LogSettings(key=f"file:{tmp_path}/log.pem")))
    vsa = open_vsa_key(VsaSettings(key=f"file:{tmp_path}/vsa.pem"))
    assert vsa.algorithm is Algorithm.ECDSA_P256
    note = sign_note(b"127.0.0.1:5000/log\n0\n", [log])
    assert verify_note(note, [VerifierKey.parse(str(log.key))]).by == {log.key: None}
    public = serialization.load_pem_public_key(vsa.public_pem.encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(vsa.sign(b"a summary"), b"a summary", ec.ECDSA(SHA256()))


def test_a_key_file_that_others_may_read_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    create_private_key(tmp_path / "log.pem", ed25519.Ed25519PrivateKey.generate())
    (tmp_path / "log.pem").chmod(0o644)
    with pytest.raises(InvalidInput) as caught:
        open_log_signer(Settings(log=LogSettings(key=f"file:{tmp_path}/log.pem")))
    assert caught.value.reasons[0].code == "key-file-mode"
    create_private_key(tmp_path / "p384.pem", ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(InvalidInput) as caught:
        open_vsa_key(VsaSettings(key=f"file:{tmp_path}/p384.pem"))
    assert caught.value.reasons[0].code == "key-file-invalid"


def test_the_log_refuses_a_key_that_cannot_sign_notes(tmp_path: Path) -> None:
    create_private_key(tmp_path / "vsa.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(InvalidInput) as caught:
        open_log_signer(Settings(log=LogSettings(key=f"file:{tmp_path}/vsa.pem")))
    assert caught.value.reasons[0].code == "log-key-algorithm"


def test_a_key_that_stays_where_it_is_kept_signs_through_securesystemslib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    keep_in_service(monkeypatch, "hv", private)
    settings = LogSettings(key="hv:tidegate-log/1", public_key_file=public_file(tmp_path, private.public_key()))
    assert open_log_signer(Settings(log=settings)).sign(b"a note\n") == private.sign(b"a note\n")


def test_what_does_not_verify_under_the_configured_public_key_is_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_in_service(monkeypatch, "hv", ed25519.Ed25519PrivateKey.generate())
    other = public_file(tmp_path, ed25519.Ed25519PrivateKey.generate().public_key())
    with pytest.raises(InvalidInput) as caught:
        open_log_signer(Settings(log=LogSettings(key="hv:tidegate-log/1", public_key_file=other)))
    assert caught.value.reasons[0].code == "signing-key-other"


def test_a_service_that_does_not_answer_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_in_service(monkeypatch, "hv", None)
    public = public_file(tmp_path, ed25519.Ed25519PrivateKey.generate().public_key())
    with pytest.raises(Unreachable) as caught:
        open_log_signer(Settings(log=LogSettings(key="hv:tidegate-log/1", public_key_file=public)))
    assert caught.value.reasons[0].code == "signing-key-unreachable"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("hv:no-hvac-here/1", "signing-key-library"),
        ("hsm:2", "signing-key-library"),
        ("gpg:0123", "signing-key-kind"),
    ],
)
def test_what_cannot_sign_here_is_refused_with_what_to_do(tmp_path: Path, uri: str, code: str) -> None:
    public = public_file(tmp_path, ec.generate_private_key(ec.SECP256R1()).public_key())
    with pytest.raises(InvalidInput) as caught:
        open_key(uri, what="VSA key", public_key_file=public)
    assert caught.value.reasons[0].code == code


def test_a_key_that_is_no_file_needs_its_public_key_of_a_kind_that_is_used(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_vsa_key(VsaSettings(key="awskms:alias/vsa"))
    assert caught.value.reasons[0].code == "signing-key-public"
    large = public_file(tmp_path, rsa.generate_private_key(65537, 2048).public_key())
    with pytest.raises(InvalidInput) as caught:
        open_vsa_key(VsaSettings(key="awskms:alias/vsa", public_key_file=large))
    assert caught.value.reasons[0].code == "key-file-invalid"


def test_the_command_makes_keys_once_and_tells_what_others_must_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["keys", "make-log-key", "--origin", "registry.acme.example/log", "--out", str(tmp_path / "log.pem")]
    assert main(made) == 0
    vkey = capsys.readouterr().out.strip()
    assert vkey.startswith("registry.acme.example/log+")
    assert main(made) == 1
    assert "key-file-exists" in capsys.readouterr().err
    assert main(["keys", "make-vsa-key", "--out", str(tmp_path / "vsa.pem")]) == 0
    pem = capsys.readouterr().out
    monkeypatch.setenv("TIDEGATE_REGISTRY_PUBLIC_URL", "https://registry.acme.example")
    assert main(["keys", "show"]) == 2
    assert "log-key-missing" in capsys.readouterr().err
    monkeypatch.setenv("TIDEGATE_REGISTRY_LOG__KEY", f"file:{tmp_path}/log.pem")
    monkeypatch.setenv("TIDEGATE_REGISTRY_VSA__KEY", f"file:{tmp_path}/vsa.pem")
    assert main(["keys", "show"]) == 0
    assert capsys.readouterr().out == f"{vkey}\n{pem}"
    with pytest.raises(Conflict):
        create_private_key(tmp_path / "vsa.pem", ed25519.Ed25519PrivateKey.generate())
