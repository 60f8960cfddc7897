"""Requests that botocore signs and sends, without its client around them: a third of the processor time for each.

A push asks the store hundreds of small questions. boto3 spends most of each on its service model, events and parsers,
which say nothing new for the same three requests. What is here is botocore's own signer, endpoint and connections;
whatever is no plain answer is for boto3 to ask again, which waits, retries, and tells what went wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies, percent_encode

from tidegate_registry.storage.bucket import POOL_CONNECTIONS, authorities_file, boto_session
from tidegate_registry.storage.credentials import store_keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tidegate_registry.settings import S3Settings

SERVICE = "s3"
METHODS = {"HeadObject": "HEAD", "PutObject": "PUT", "DeleteObject": "DELETE"}
PATH_SAFE = "/~"  # as boto3 writes keys in URLs


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store said. `headers`: names are lower-case."""

    status: int
    headers: Mapping[str, str]


class Signer:
    """Signs requests for the objects of one bucket, exactly as `client` would. Thread-safe.

    Blocks only while the machine's own role is asked for fresh keys.
    """

    def __init__(self, client: S3Client, settings: S3Settings) -> None:
        keys = store_keys(settings, boto_session())
        self._keys = ReadOnlyCredentials(keys.access, keys.secret, None) if keys else None
        self._region = client.meta.region_name
        # asked once: whether the bucket is in the path or in the host's name is for boto3 to know
        link = client.generate_presigned_url("get_object", Params={"Bucket": settings.bucket, "Key": "k"})
        self.base = link.partition("?")[0].removesuffix("k")

    def link(
        self, method: str, key: str, *, headers: Mapping[str, str], query: Mapping[str, str], seconds: int
    ) -> tuple[str, datetime]:
        """Sign a link for whoever sends `headers`; give it, and when it expires. Raises BotoCoreError without keys."""
        request = self._request(method, key, headers, query)
        S3SigV4QueryAuth(self._credentials(), SERVICE, self._region, expires=seconds).add_auth(request)
        signed_at = datetime.strptime(request.context["timestamp"], SIGV4_TIMESTAMP).replace(tzinfo=UTC)
        return str(request.url), signed_at + timedelta(seconds=seconds)

    def sign(self, method: str, key: str, *, headers: Mapping[str, str], body: bytes = b"") -> AWSRequest:
        """Sign a request of our own. Raises BotoCoreError without keys."""
        request = self._request(method, key, headers, {}, body)
        S3SigV4Auth(self._credentials(), SERVICE, self._region).add_auth(request)
        return request

    def _credentials(self) -> ReadOnlyCredentials:
        if self._keys is not None:
            return self._keys
        ambient = boto_session().get_credentials()
        if ambient is None:
            raise NoCredentialsError
        return ambient.get_frozen_credentials()

    def _request(
        self, method: str, key: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes = b""
    ) -> AWSRequest:
        url = self.base + percent_encode(key, safe=PATH_SAFE)
        return AWSRequest(method=method, url=url, headers=dict(headers), data=body, params=dict(query))


class QuickRequests:
    """Sends one request, once, past whoever listens to what `client` sends. Thread-safe."""

    def __init__(self, signer: Signer, client: S3Client, settings: S3Settings) -> None:
        self._signer = signer
        self._events = client.meta.events
        self._session = URLLib3Session(
            verify=authorities_file() or True,  # type: ignore[arg-type] # a file, too
            proxies=get_environ_proxies(signer.base),
            timeout=settings.timeout_seconds,  # to connect, and between bytes
            max_pool_connections=POOL_CONNECTIONS,
        )

    def send(self, operation: str, key: str, *, headers: Mapping[str, str], body: bytes = b"") -> Answer | None:
        """Do one of METHODS to `key`, and give the store's answer; None where there was none."""
        try:
            request = self._signer.sign(METHODS[operation], key, headers=headers, body=body).prepare()
            said = self._events.emit(f"before-send.{SERVICE}.{operation}", request=request)
            instead = next((answer for _, answer in said if answer is not None), None)
            answer = instead or self._session.send(request)
        except BotoCoreError:
            return None
        return Answer(answer.status_code, {name.lower(): text for name, text in answer.headers.items()})
