"""The bucket as boto3 sees it: clients, keys below the prefix, and the store's faults as our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session as CoreSession

from tidegate_registry.storage.blobs import ObjectKey, StoreFull, StoreUnavailable
from tidegate_registry.storage.credentials import store_keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tidegate_registry.settings import S3Settings

POOL_CONNECTIONS = 40  # as many as there are threads for handlers
ATTEMPTS = 3
COPY_SECONDS = 900  # a copy of 5 GiB within the store takes it half a minute, and it may be busy
PRECONDITION_FAILED, CONFLICT, NOT_FOUND = 412, 409, 404  # S3 may answer 409 to a create-only PUT that raced another
EXISTS = frozenset({PRECONDITION_FAILED, CONFLICT})
INSUFFICIENT_STORAGE = 507
FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})


class S3Bucket:
    """One bucket and prefix. Thread-safe, as boto3's low-level clients are.

    `client` answers within the time-out of the settings; `patient` is for copies within the store.
    """

    def __init__(self, settings: S3Settings) -> None:
        self.bucket = settings.bucket
        self.prefix = settings.prefix
        self.settings = settings
        self.client = make_client(settings, settings.endpoint)
        self.patient = make_client(settings, settings.endpoint, read_seconds=COPY_SECONDS)

    def full_key(self, key: ObjectKey) -> str:
        """Give the object's key in the bucket."""
        return self.prefix + key.path


def make_client(settings: S3Settings, endpoint: str | None, read_seconds: int | None = None) -> S3Client:
    """Make a client for `endpoint`; None is AWS for the region."""
    keys = store_keys(settings, boto_session())
    return boto_session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.region,
        aws_access_key_id=keys.access if keys else None,
        aws_secret_access_key=keys.secret if keys else None,
        config=Config(
            signature_version="s3v4",  # boto3 presigns SigV2 on custom endpoints by default
            # over TLS the default stores `Content-Encoding: aws-chunked` on some engines
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if endpoint else "auto"},
            max_pool_connections=POOL_CONNECTIONS,
            connect_timeout=settings.timeout_seconds,
            read_timeout=read_seconds or settings.timeout_seconds,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        ),
    )


def authorities_file() -> str | None:
    """Give the file of certificate authorities that boto3 was told to trust (AWS_CA_BUNDLE, or its configuration)."""
    found: str | None = _core_session().get_config_variable("ca_bundle")
    return found


@lru_cache(maxsize=1)
def _core_session() -> CoreSession:
    return CoreSession()


@lru_cache(maxsize=1)
def boto_session() -> boto3.session.Session:
    """Give the one session of this process: it holds the parsed service model, which takes longer than all else."""
    return boto3.session.Session(botocore_session=_core_session())


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into StoreUnavailable or StoreFull. `doing`: what the store would not do."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = status_of(error)
        raise store_fault(doing, status=status, code=code) from error
    except BotoCoreError as error:
        raise StoreUnavailable(
            f"the object store did not {doing}", found=type(error).__name__, hint="try again in a moment"
        ) from error


def store_fault(doing: str, *, status: int, code: str = "") -> StoreUnavailable:
    """Make the error for an answer of the store that is none of those foreseen."""
    if status == INSUFFICIENT_STORAGE or code in FULL:
        return StoreFull("the object store has no room left", found=f"{status} {code}", hint="tell the operator")
    return StoreUnavailable(
        f"the object store would not {doing}", found=f"{status} {code}".strip(), hint="try again in a moment"
    )


def status_of(error: ClientError) -> int:
    """Give the HTTP status of an answer that boto3 took for an error; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
