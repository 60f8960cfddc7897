from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tidegate.digest import Digest, Hasher
from tidegate.errors import DigestInvalid

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_nothing_is_the_known_one() -> None:
    assert Digest.of(b"") == EMPTY
    assert Digest.parse(EMPTY).raw == hashlib.sha256(b"").digest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        EMPTY.upper(),
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY + "\n",
        " " + EMPTY,
        "md5:" + "0" * 32,
        "sha512:" + "0" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "\N{FULLWIDTH DIGIT ONE}" * 64,
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid) as caught:
        Digest.parse(text)
    assert caught.value.reasons[0].code == "digest-invalid"


@given(st.binary(max_size=4096), st.sampled_from(["sha256", "sha512"]), st.integers(1, 100))
def test_hashing_in_pieces_equals_hashing_at_once(data: bytes, algorithm: str, piece: int) -> None:
    hasher = Hasher(algorithm)
    for start in range(0, len(data), piece):
        hasher.update(data[start : start + piece])
    assert hasher.digest == Digest.of(data, algorithm) == Digest.parse(f"{algorithm}:{hasher.digest.hex}")
    assert hasher.size == len(data)
    assert hasher.digest.matches(data)
    assert not hasher.digest.matches(data + b"x")


def test_a_file_hashes_like_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"bytes" * 1000)
    assert Digest.of_file(tmp_path / "f") == Digest.of(b"bytes" * 1000)


def test_pydantic_models_check_digests() -> None:
    adapter = TypeAdapter(Digest)
    assert isinstance(adapter.validate_python(EMPTY), Digest)
    with pytest.raises(ValidationError):
        adapter.validate_python("sha256:abc")
    assert adapter.dump_json(Digest(EMPTY)) == f'"{EMPTY}"'.encode()
