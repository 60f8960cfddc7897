"""Sigstore bundles: bounded, closed at every level, base64 of one form. A good one is the starting point."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectorcase import VECTORS
from tidegate.errors import SigstoreBundleInvalid
from tidegate.formats.bundle import MAX_BUNDLE_BYTES, MAX_MEMBERS, SigstoreBundle, is_strict_base64

RAW = (VECTORS / "release" / "bundle.json").read_bytes()
Path = tuple[str | int, ...]


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(RAW)  # noqa: TID251 - our own
    return loaded


def members(value: object, path: Path = ()) -> Iterator[Path]:
    """Give the path of every member of every object in the bundle."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        if isinstance(key, str):
            yield (*path, key)
        yield from members(inner, (*path, key))


def at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def parsed(change: Callable[[dict[str, Any]], object]) -> SigstoreBundle:
    changed = document()
    change(changed)
    return SigstoreBundle.parse(json.dumps(changed).encode())


def test_a_good_bundle_passes_and_gives_its_parts() -> None:
    bundle = SigstoreBundle.parse(RAW)
    bundle.check_shape()
    bundle.check_base64()
    assert bundle.is_attestation
    assert (bundle.signature_count, bundle.payload_type) == (1, "application/vnd.in-toto+json")
    assert bundle.certificate.startswith(b"0\x82")
    assert bundle.digest.matches(RAW)
    assert json.loads(bundle.one_meaning()) == document()  # noqa: TID251 - our own


OPTIONAL = {"timestampVerificationData", "rfc3161Timestamps", "hashes", "keyid", "logIndex"}


def test_what_is_left_out_because_it_is_zero_is_read_as_zero() -> None:
    def leave_out(bundle: dict[str, Any]) -> None:
        entry = bundle["verificationMaterial"]["tlogEntries"][0]
        del entry["logIndex"], entry["inclusionProof"]["logIndex"], entry["inclusionProof"]["hashes"]

    bundle = parsed(leave_out)
    bundle.check_shape()
    entry = json.loads(bundle.one_meaning())["verificationMaterial"]["tlogEntries"][0]  # noqa: TID251 - our own
    assert (entry["logIndex"], entry["inclusionProof"]["logIndex"], entry["inclusionProof"]["hashes"]) == ("0", "0", [])


@pytest.mark.parametrize("path", list(members(document())), ids=lambda path: ".".join(map(str, path)))
def test_each_member_is_needed_and_of_its_type(path: Path) -> None:
    def drop(bundle: dict[str, Any]) -> None:
        del at(bundle, path[:-1])[path[-1]]

    def spoil(bundle: dict[str, Any]) -> None:
        at(bundle, path[:-1])[path[-1]] = 5

    if path[-1] in OPTIONAL:
        parsed(drop).check_shape()
    else:
        with pytest.raises(SigstoreBundleInvalid) as refused:
            parsed(drop).check_shape()
        assert refused.value.reasons[0].code == "bundle-malformed"
    with pytest.raises(SigstoreBundleInvalid) as refused:
        parsed(spoil).check_shape()
    assert refused.value.reasons[0].code == "bundle-malformed"


@pytest.mark.parametrize(
    "path",
    [(), *(path for path in members(document()) if isinstance(at(document(), path), dict))],
    ids=lambda path: ".".join(map(str, path)) or "bundle",
)
def test_no_level_takes_a_member_it_does_not_know(path: Path) -> None:
    with pytest.raises(SigstoreBundleInvalid) as refused:
        parsed(lambda bundle: at(bundle, path).update(log_index="0")).check_shape()
    assert refused.value.reasons[0].code == "bundle-malformed"


def _base64_members() -> list[Path]:
    names = {"payload", "sig", "rawBytes", "keyId", "rootHash", "canonicalizedBody", "signedTimestamp"}
    return [path for path in members(document()) if path[-1] in names]


@pytest.mark.parametrize("path", _base64_members(), ids=lambda path: ".".join(map(str, path)))
def test_every_base64_member_is_strict(path: Path) -> None:
    def spoil(bundle: dict[str, Any]) -> None:
        at(bundle, path[:-1])[path[-1]] += " "

    with pytest.raises(SigstoreBundleInvalid) as refused:
        parsed(spoil).check_base64()
    assert refused.value.reasons[0].code == "base64"


@pytest.mark.parametrize(
    ("text", "strict"),
    [
        ("", True),
        ("YQ==", True),
        ("YQ", False),
        ("YR==", False),  # bits that stand for nothing
        ("YQ==\n", False),
        ("Y Q==", False),
        ("-_-_", False),
        ("YQ==YQ==", False),
        ("ä", False),
    ],
)
def test_base64_has_one_form(text: str, strict: bool) -> None:  # noqa: FBT001
    assert is_strict_base64(text) is strict


@given(st.binary(max_size=100))
def test_what_the_standard_encoder_writes_is_strict(data: bytes) -> None:
    assert is_strict_base64(base64.b64encode(data).decode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'{"a":1,"a":1}', b" " * (MAX_BUNDLE_BYTES + 1)], ids=range(5))
def test_what_is_not_an_object_of_one_meaning_is_refused(raw: bytes) -> None:
    with pytest.raises(SigstoreBundleInvalid) as refused:
        SigstoreBundle.parse(raw)
    assert refused.value.reasons[0].code == "bundle-malformed"


def test_a_flood_of_small_members_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(SigstoreBundleInvalid, match="too many members") as refused:
        SigstoreBundle.parse(b'{"a":[' + b"{}," * MAX_MEMBERS + b"{}]}")
    assert refused.value.reasons[0].code == "bundle-malformed"


def test_too_many_timestamps_or_hashes_are_refused() -> None:
    def many(bundle: dict[str, Any]) -> None:
        bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] *= 33

    with pytest.raises(SigstoreBundleInvalid):
        parsed(many).check_shape()
    with pytest.raises(SigstoreBundleInvalid):
        parsed(lambda b: at(b, PROOF).update(hashes=[""] * 65)).check_shape()


PROOF: Path = ("verificationMaterial", "tlogEntries", 0, "inclusionProof")
