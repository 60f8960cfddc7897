"""What botocore signs for us is what boto3 would sign, wherever the bucket is and whatever its keys are called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from tidegate.digest import Digest
from tidegate_registry.settings import CredentialSource, S3Settings
from tidegate_registry.storage import bucket
from tidegate_registry.storage.blobs import OCTETS
from tidegate_registry.storage.bucket import make_client
from tidegate_registry.storage.presign import Presigner, checksum
from tidegate_registry.storage.signing import QuickRequests, Signer

DIGEST = Digest.of(b"bytes")
KEYS = {"access_key": SecretStr("AKIDEXAMPLE"), "secret_key": SecretStr("secret")}
STATIC = [
    S3Settings(endpoint="http://127.0.0.1:9000", bucket="registry", **KEYS),
    S3Settings(endpoint="https://store.example:8443", bucket="registry", region="eu-west-1", **KEYS),
    S3Settings(endpoint=None, bucket="my-registry", region="eu-central-1", **KEYS),
    S3Settings(endpoint=None, bucket="my-registry", **KEYS),
    S3Settings(endpoint=None, bucket="my.registry", region="us-west-2", **KEYS),
]
PATHS = ["blobs/acme/sha256/ab/abcd", "an odd+prefix/ä=1&b~/blobs/x"]
ATTEMPTS = 5  # two links are made in the same second, sooner or later


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Settings]:
    """A machine with temporary keys, which come with a token."""
    for name, value in {"ACCESS_KEY_ID": "ASIAEXAMPLE", "SECRET_ACCESS_KEY": "s", "SESSION_TOKEN": "a+token/="}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    _forget_sessions()
    yield S3Settings(endpoint=None, bucket="my-registry", region="eu-central-1", credentials=CredentialSource.AMBIENT)
    _forget_sessions()


def _forget_sessions() -> None:
    bucket.boto_session.cache_clear()
    bucket._core_session.cache_clear()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("settings", STATIC, ids=lambda each: f"{each.endpoint} {each.bucket} {each.region}")
def test_links_are_those_that_boto3_signs(settings: S3Settings, path: str) -> None:
    check_links(settings, path)


def test_links_of_a_role_carry_its_token(role: S3Settings) -> None:
    check_links(role, PATHS[0])


def check_links(settings: S3Settings, path: str) -> None:
    client = make_client(settings, settings.endpoint)
    presigner = Presigner(Signer(client, settings), settings)
    where = {"Bucket": settings.bucket, "Key": path}
    content = {"ContentLength": 5, "ChecksumSHA256": checksum(DIGEST)}
    for _ in range(ATTEMPTS):
        ours = [
            presigner.get(path, ""),
            presigner.put(path, size=5, sha256=DIGEST, host=None, mark="m" * 32).url,
            presigner.part(path, "up/load+1", 7, size=5, sha256=DIGEST, host=None).url,
        ]
        theirs = [
            client.generate_presigned_url(name, Params=where | params, ExpiresIn=settings.presign_seconds)
            for name, params in (
                ("get_object", {"ResponseContentType": OCTETS, "ResponseContentEncoding": "identity"}),
                ("put_object", {**content, "IfNoneMatch": "*", "Metadata": {"tidegate-mark": "m" * 32}}),
                ("upload_part", {**content, "UploadId": "up/load+1", "PartNumber": 7}),
            )
        ]
        if ours == theirs:
            return
    assert ours == theirs


def test_a_store_that_is_not_there_gives_no_answer() -> None:
    settings = STATIC[0].model_copy(update={"endpoint": "http://127.0.0.1:9"})
    client = make_client(settings, settings.endpoint)
    requests = QuickRequests(Signer(client, settings), client, settings)
    assert requests.send("HeadObject", PATHS[0], headers={}) is None
