"""Trust comes from files that their owner wrote, whole or not at all; sandboxes only where they are allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.smalllog import ORIGIN, signer
from tests.vectorcase import VECTORS
from tidegate.errors import TrustFileInvalid
from tidegate.formats.trustfile import parse_charter
from tidegate.tlog.note import Algorithm
from tidegate.verify.trust import Root, Trust, load_log_trust, load_trust

CASE = VECTORS / "two-roots"
ROOT = (CASE / "trusted_root.json").read_bytes()
CHARTER = (CASE / "charter.yaml").read_text(encoding="utf-8")
THEN = datetime(2026, 6, 1, tzinfo=UTC)


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(ROOT)  # noqa: TID251 - our own
    return loaded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trust.yaml with two roots and two charters, one of them in its own file."""
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "main.json").write_bytes(ROOT)
    (tmp_path / "roots" / "other.json").write_bytes((CASE / "other_root.json").read_bytes())
    (tmp_path / "agent.yaml").write_text(CHARTER, encoding="utf-8")
    (tmp_path / "trust.yaml").write_text(
        "roots:\n"
        "  main: {file: roots/main.json, sandbox: true}\n"
        "  other: {file: roots/other.json}\n"
        "charters:\n"
        "  - file: agent.yaml\n"
        "  - agent: acme/*\n"
        "    publishers:\n"
        "      - {name: bob, root: other, issuer: https://id.example, identity: bob@acme.example}\n",
        encoding="utf-8",
    )
    return tmp_path


def test_a_trust_file_gives_roots_and_charters(folder: Path) -> None:
    trust = load_trust(folder / "trust.yaml", allow_sandbox=True)
    assert [root.name for root in trust.roots] == ["main", "other"]
    assert trust.root("main").digest.matches(ROOT)
    own, shared = trust.charters.for_agent("acme/support-agent"), trust.charters.for_agent("acme/x")
    assert own is not None
    assert shared is not None
    assert (own.agent, shared.agent) == ("acme/support-agent", "acme/*")


def test_a_sandbox_root_is_refused_unless_allowed(folder: Path) -> None:
    with pytest.raises(TrustFileInvalid) as refused:
        load_trust(folder / "trust.yaml", allow_sandbox=False)
    assert refused.value.reasons[0].code == "sandbox-root"


def test_an_authority_that_calls_itself_a_sandbox_is_one_whatever_the_file_says() -> None:
    renamed = document()
    for authority in renamed["certificateAuthorities"]:
        authority["subject"]["organization"] = "sigstore.dev"
    by_certificate = Root("main", json.dumps(renamed).encode(), sandbox=False)
    assert by_certificate.sandbox
    with pytest.raises(TrustFileInvalid) as refused:
        Trust.from_parts([by_certificate], [])
    assert refused.value.reasons[0].code == "sandbox-root"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("root: other,", "root: public,", r"trust.yaml:8: charters\[1\].publishers\[0\].root: no such root"),
        ("file: roots/other.json", "file: roots/none.json", "none.json: cannot be read"),
        ("file: agent.yaml", "file: none.yaml", "none.yaml: cannot be read"),
        ("  other: {file: roots/other.json}\n", "", "no such root"),
        ("agent: acme/*", "agent: acme/support-agent", "two charters cover the same"),
        ("charters:", "charter:", "trust.yaml:4: charter: is not a key here"),
        ("sandbox: true", "sandbox: yes", "trust.yaml:2: roots.main.sandbox"),
        ("roots:\n", "format: tidegate/trust/v2\nroots:\n", "trust.yaml:1: format"),
    ],
    ids=range(8),
)
def test_nothing_is_used_of_a_trust_file_with_a_mistake(folder: Path, old: str, new: str, says: str) -> None:
    path = folder / "trust.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TrustFileInvalid, match=says) as refused:
        load_trust(path, allow_sandbox=True)
    assert refused.value.reasons[0].code in {"trust-file-invalid", "trust-file-unreadable"}


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    (folder / "roots" / "main.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(TrustFileInvalid, match="too large"):
        load_trust(folder / "trust.yaml", allow_sandbox=True)


def test_a_missing_trust_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(TrustFileInvalid) as refused:
        load_trust(tmp_path / "trust.yaml", allow_sandbox=False)
    assert refused.value.reasons[0].code == "trust-file-unreadable"


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"[]",
        b"{",
        b'{"a":1,"a":1}',
        b'{"mediaType":"application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"}',
        json.dumps(document() | {"tlogs": []}).encode(),
        json.dumps(
            document() | {"certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": "AA=="}]}}]}
        ).encode(),
    ],
    ids=range(7),
)
def test_what_is_no_trusted_root_is_refused(raw: bytes) -> None:
    with pytest.raises(TrustFileInvalid) as refused:
        Root("main", raw)
    assert refused.value.reasons[0].code == "trust-file-invalid"


def test_a_trusted_root_with_members_of_its_own_is_refused_before_it_verifies_anything() -> None:
    root = Root("main", json.dumps(document() | {"extra": 1}).encode())
    with pytest.raises(TrustFileInvalid, match="malformed at extra"):
        root.verifier_at(THEN, THEN)


def test_two_roots_of_one_name_are_refused() -> None:
    with pytest.raises(TrustFileInvalid, match="two roots") as refused:
        Trust.from_parts([Root("main", ROOT), Root("main", ROOT)], [], allow_sandbox=True)
    assert refused.value.reasons[0].code == "trust-file-invalid"


def test_a_charter_of_an_unknown_root_is_refused_wherever_it_comes_from() -> None:
    charter = parse_charter(CHARTER.encode(), name="charter.yaml")
    with pytest.raises(TrustFileInvalid, match="names a root there is not"):
        Trust.from_parts([Root("main", ROOT)], [charter], allow_sandbox=True)
    with pytest.raises(TrustFileInvalid, match="no such root"):
        Trust.from_parts([Root("main", ROOT)], [], allow_sandbox=True).root("other")


def at(root: Root, year: int, month: int, day: int, *, days: int = 0) -> Any:
    issued = datetime(year, month, day, tzinfo=UTC)
    return root.verifier_at(issued, issued + timedelta(days=days))


@pytest.mark.parametrize("kind", ["certificateAuthorities", "ctlogs", "tlogs"])
def test_a_verifier_holds_only_what_was_valid_at_the_moment(kind: str) -> None:
    changed = document()
    young, old = json.loads(json.dumps(changed[kind][0])), json.loads(json.dumps(changed[kind][0]))  # noqa: TID251
    young.get("publicKey", young)["validFor"] = {"start": "2026-05-01T00:00:00Z"}
    old.get("publicKey", old)["validFor"] = {"start": "2025-05-01T00:00:00Z", "end": "2026-04-30T00:00:00Z"}
    changed[kind] = [old, young]
    root = Root("main", json.dumps(changed).encode())
    early, late = at(root, 2026, 4, 30), at(root, 2026, 5, 2)
    assert early is not late
    assert at(root, 2026, 4, 1) is early
    names = {"certificateAuthorities": "certificate_authorities"}

    def held(verifier: Any) -> list[bool]:
        instances = getattr(verifier._trusted_root._inner, names.get(kind, kind))
        return [(getattr(each, "valid_for", None) or each.public_key.valid_for).end is not None for each in instances]

    assert (held(early), held(late)) == ([True], [False])
    assert at(root, 2020, 1, 1) is None
    # a log that opens while the certificate lives may hold its entry; an authority that does cannot have issued it
    assert held(at(root, 2026, 4, 29, days=3)) == ([True, False] if kind == "tlogs" else [True])


def test_a_trust_file_says_how_the_audit_log_is_known(folder: Path) -> None:
    path = folder / "trust.yaml"
    with pytest.raises(TrustFileInvalid) as silent:
        load_log_trust(path)
    assert silent.value.reasons[0].code == "log-key-missing"
    own, witness = signer().key, replace(signer("w.example").key, algorithm=Algorithm.COSIGNATURE_ED25519)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}log: {{key: {own}, witnesses: {{need: 1, of: [{witness}]}}}}\n", encoding="utf-8")
    known = load_log_trust(path)
    assert load_trust(path, allow_sandbox=True).log == known
    assert (known.origin, known.key, known.witnesses, known.need) == (ORIGIN, own, (witness,), 1)
    for wrong in (str(own).replace("registry", "register"), str(witness)):
        path.write_text(f"{text}log: {{key: {wrong}}}\n", encoding="utf-8")
        with pytest.raises(TrustFileInvalid, match=r"^trust.yaml: log.key"):
            load_log_trust(path)


def pem_of(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_keys_of_summaries_are_read_with_it_and_only_of_kinds_that_are_verified(folder: Path) -> None:
    text = (folder / "trust.yaml").read_text()
    entry = "vsa: [{name: acme, verifier: 'https://registry.acme.example', key: {file: vsa.pem}}]\n"
    (folder / "trust.yaml").write_text(text + entry)
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    for good in (pem_of(p256), pem_of(ed25519.Ed25519PrivateKey.generate())):
        (folder / "vsa.pem").write_bytes(good)
        assert [key.name for key in load_trust(folder / "trust.yaml", allow_sandbox=True).vsa] == ["acme"]
    for bad in (pem_of(p384), pem_of(rsa.generate_private_key(65537, 2048)), b"no key"):
        (folder / "vsa.pem").write_bytes(bad)
        with pytest.raises(TrustFileInvalid) as refused:
            load_trust(folder / "trust.yaml", allow_sandbox=True)
        assert refused.value.reasons[0].code == "vsa-key-invalid"
