"""The embedded object store: it answers, checks what it is given, and is gone when it should be."""

from __future__ import annotations

import base64
import hashlib

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tidegate_registry.sandbox.s3 import S3Endpoint


def test_the_store_keeps_what_its_digest_says_once(s3: S3Endpoint) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3.url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )
    digest = base64.b64encode(hashlib.sha256(b"bytes").digest()).decode()

    def put(body: bytes) -> None:
        client.put_object(Bucket=s3.bucket, Key="test-s3/once", Body=body, ChecksumSHA256=digest, IfNoneMatch="*")

    with pytest.raises(ClientError) as wrong:
        put(b"other")
    assert wrong.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    put(b"bytes")
    with pytest.raises(ClientError) as again:
        put(b"bytes")
    assert again.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket=s3.bucket, Key="test-s3/once")["Body"].read() == b"bytes"
    client.close()
