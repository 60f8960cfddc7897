"""The transparency log: what it takes, what it proves, what it serves, and sixteen writers at once."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.client.tlog.oracle import root_from_inclusion, roots_from_consistency
from tidegate.tlog.merkle import leaf_hash
from tidegate_registry.sandbox.rekor import KEY_DETAILS, Rekor
from tidegate_registry.sandbox.serve import RunningSigstore, start_sigstore
from tidegate_registry.sandbox.sigstore import SigstoreInstance

WRITERS, ENTRIES_EACH = 16, 12
KEY = ec.generate_private_key(ec.SECP256R1())
DER = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def http(sigstore: RunningSigstore) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as client:
        yield client


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def entry(content: bytes) -> dict[str, object]:
    signature = KEY.sign(content, ec.ECDSA(hashes.SHA256()))
    verifier = {"publicKey": {"rawBytes": text(DER)}, "keyDetails": KEY_DETAILS}
    return {
        "hashedRekordRequestV002": {
            "digest": text(hashlib.sha256(content).digest()),
            "signature": {"content": text(signature), "verifier": verifier},
        }
    }


def check(answer: dict[str, object], rekor: Rekor) -> tuple[int, int, bytes]:
    """Check proof and checkpoint of a TransparencyLogEntry; gives index, size and root."""
    proof = answer["inclusionProof"]
    assert isinstance(proof, dict)
    index, size, root = int(proof["logIndex"]), int(proof["treeSize"]), base64.b64decode(proof["rootHash"])
    nodes = [base64.b64decode(node) for node in proof["hashes"]]
    leaf = leaf_hash(base64.b64decode(str(answer["canonicalizedBody"])))
    assert root_from_inclusion(leaf, index, size, nodes) == root
    assert answer["logIndex"] == proof["logIndex"] == str(index)
    assert answer["logId"] == {"keyId": text(rekor.log_id)}
    assert read_checkpoint(proof["checkpoint"]["envelope"], rekor) == (size, root)
    return index, size, root


def read_checkpoint(note: str, rekor: Rekor) -> tuple[int, bytes]:
    """Verify a C2SP checkpoint."""
    body, _, signatures = note.rpartition("\n\n")
    origin, size, root = body.split("\n")
    found = re.fullmatch(r"— (\S+) (\S+)\n", signatures)
    assert found
    assert origin == found[1] == rekor.origin
    signature = base64.b64decode(found[2])
    assert signature[:4] == rekor.log_id[:4]
    rekor.key.public_key().verify(signature[4:], f"{body}\n".encode())
    return int(size), base64.b64decode(root)


def test_an_entry_comes_back_with_its_proof(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    answer = http.post("/api/v2/log/entries", json=entry(b"content"))
    assert answer.status_code == 201
    body = answer.json()
    assert body["kindVersion"] == {"kind": "hashedrekord", "version": "0.0.2"}
    check(body, sigstore.instance.rekor)


def test_the_checkpoint_covers_all_entries_and_grows_consistently(
    http: httpx2.Client, sigstore: RunningSigstore
) -> None:
    rekor = sigstore.instance.rekor
    first = check(http.post("/api/v2/log/entries", json=entry(b"one")).json(), rekor)
    second = check(http.post("/api/v2/log/entries", json=entry(b"two")).json(), rekor)
    size, root = read_checkpoint(http.get("/api/v2/checkpoint").text, rekor)
    assert size >= second[1] > first[1]
    for old_size, old_root in (first[1:], second[1:]):
        proof = rekor._log.consistency(old_size, size)
        if proof:
            assert roots_from_consistency(old_size, size, old_root, proof) == (old_root, root)


def wrong_signature() -> dict[str, object]:
    request, other = entry(b"content"), entry(b"other")
    inner, foreign = request["hashedRekordRequestV002"], other["hashedRekordRequestV002"]
    assert isinstance(inner, dict)
    assert isinstance(foreign, dict)
    return {"hashedRekordRequestV002": {**inner, "digest": foreign["digest"]}}


def changed(**verifier: object) -> dict[str, object]:
    inner = entry(b"content")["hashedRekordRequestV002"]
    assert isinstance(inner, dict)
    signature = inner["signature"]
    return {
        "hashedRekordRequestV002": {**inner, "signature": {**signature, "verifier": signature["verifier"] | verifier}}
    }


P384 = ec.generate_private_key(ec.SECP384R1()).public_key()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (wrong_signature(), "signature-invalid"),
        (changed(keyDetails="PKIX_ED25519"), "invalid-input"),
        (changed(publicKey=None), "invalid-input"),
        (changed(x509Certificate={"rawBytes": text(DER)}), "invalid-input"),
        (changed(publicKey={"rawBytes": "***"}), "invalid-input"),
        (changed(publicKey={"rawBytes": text(b"junk")}), "invalid-input"),
        (changed(publicKey=None, x509Certificate={"rawBytes": text(b"junk")}), "invalid-input"),
        (changed(publicKey={"rawBytes": text(P384.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))}),
         "invalid-input"),
        ({"hashedRekordRequestV002": {"digest": text(b"short"), "signature": {"content": "", "verifier": {
            "keyDetails": KEY_DETAILS, "publicKey": {"rawBytes": text(DER)}}}}}, "invalid-input"),
        ({"dsseRequestV002": {}}, "invalid-input"),
        ({}, "invalid-input"),
    ],
    ids=["signature", "algorithm", "no-key", "two-keys", "no-base64", "no-der", "no-certificate", "p384", "digest",
         "dsse-kind", "empty"],
)  # fmt: skip
def test_the_log_refuses_what_does_not_verify(
    http: httpx2.Client, sigstore: RunningSigstore, body: dict[str, object], code: str
) -> None:
    before = sigstore.instance.rekor.size
    answer = http.post("/api/v2/log/entries", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (400, 3, code)
    assert sigstore.instance.rekor.size == before


def test_sixteen_writers_get_contiguous_indices_and_valid_proofs(tmp_path: Path) -> None:
    with start_sigstore(tmp_path / "state") as running:

        def write(writer: int) -> list[dict[str, object]]:
            with httpx2.Client(base_url=running.url, trust_env=False) as http:
                answers = [
                    http.post("/api/v2/log/entries", json=entry(b"%d/%d" % (writer, number)))
                    for number in range(ENTRIES_EACH)
                ]
            assert {answer.status_code for answer in answers} == {201}
            return [answer.json() for answer in answers]

        with ThreadPoolExecutor(WRITERS) as pool:
            answers = [answer for batch in pool.map(write, range(WRITERS)) for answer in batch]
        rekor = running.instance.rekor
        seen = sorted(check(answer, rekor) for answer in answers)
        assert [index for index, _, _ in seen] == list(range(WRITERS * ENTRIES_EACH))
        size, root = read_checkpoint(rekor.checkpoint(), rekor)
        for _, old_size, old_root in seen[:-1]:
            proof = rekor._log.consistency(old_size, size)
            assert roots_from_consistency(old_size, size, old_root, proof) == (old_root, root)
    with closing(SigstoreInstance(tmp_path / "state", running.url)) as again:
        assert read_checkpoint(again.rekor.checkpoint(), again.rekor) == (size, root)


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigstore]:
    """A log with one full tile and three entries more."""
    with start_sigstore(tmp_path_factory.mktemp("tall")) as running:
        for number in range(259):
            running.instance.rekor.add_unchecked(b"entry %d" % number)
        yield running


def test_tiles_are_where_clients_look_for_them(tall: RunningSigstore) -> None:
    leaves = [leaf_hash(b"entry %d" % number) for number in range(259)]
    with httpx2.Client(base_url=tall.url, trust_env=False) as http:
        full = http.get("/api/v2/tile/0/000")
        assert full.content == b"".join(leaves[:256])
        assert "immutable" in full.headers["cache-control"]
        assert http.get("/api/v2/tile/0/001.p/3").content == b"".join(leaves[256:])
        _, root = read_checkpoint(http.get("/api/v2/checkpoint").text, tall.instance.rekor)
        top = http.get("/api/v2/tile/1/000.p/1").content
        partial = hashlib.sha256(
            b"\x01" + hashlib.sha256(b"\x01" + leaves[256] + leaves[257]).digest() + leaves[258]
        ).digest()
        assert hashlib.sha256(b"\x01" + top + partial).digest() == root
        bundle = http.get("/api/v2/tile/entries/001.p/3").content
        assert bundle == b"".join(struct.pack("!H", 9) + b"entry %d" % number for number in range(256, 259))


@pytest.mark.parametrize(
    "path",
    [
        "0/001", "0/001.p/4", "0/000.p/256", "0/000.p/257", "0/000.p/0", "0/000.p/01", "1/001", "64/000", "99/000",
        "0/x000", "0/00", "0/0000", "0/x001/x000", "-1/000", "entries/002", "entries/001.p/4", "", "0/000/", "00/000",
        "0/²²²", "0/" + "x000/" * 1500 + "000",
    ],
)  # fmt: skip
def test_a_tile_that_is_not_there_is_not_found(tall: RunningSigstore, path: str) -> None:
    with httpx2.Client(base_url=tall.url, trust_env=False) as http:
        assert http.get(f"/api/v2/tile/{path}").status_code == 404
