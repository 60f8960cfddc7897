"""Every setting of the registry: key, default, unit, meaning. Read once at start, frozen after.

`Settings` is a plain value that tests and the sandbox make directly; `load_settings` (settings_file.py) is the only
reader of the environment and of a settings file. docs/reference/settings.md is written from this module.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, IPvAnyNetwork, SecretStr, field_validator, model_validator

from tidegate.errors import ReferenceInvalid
from tidegate.formats.bundle import MAX_BUNDLE_BYTES
from tidegate.formats.manifest import MAX_MANIFEST_BYTES, MAX_REFERRERS
from tidegate.formats.reference import parse_channel
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.settings_log import LogSettings, VsaSettings
from tidegate_registry.settings_unit import Unit
from tidegate_registry.storage.parts import MAX_OBJECT_BYTES, MAX_SINGLE_PUT_BYTES, MIN_PART_BYTES

READ_CACHE_BYTES = 64 << 20  # some ten thousand manifests of the usual size


class Mode(StrEnum):
    """`production` refuses what only a trial may do: a store without its guarantees, sandbox roots, open migrations."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Downloads(StrEnum):
    """How a blob gets to who asked for it: by a link to the store, or through the registry."""

    REDIRECT = "redirect"
    STREAM = "stream"


class CredentialSource(StrEnum):
    """Where the object store's credentials come from: the settings, or whatever the machine has."""

    STATIC = "static"
    AMBIENT = "ambient"


class ObjectLock(StrEnum):
    """How the bucket keeps objects from being removed before their time."""

    OFF = "off"
    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


class Worker(StrEnum):
    """Where the worker runs: what integrates the audit log, signs checkpoints and sums up decisions."""

    INSIDE = "inside"
    SEPARATE = "separate"


class S3Settings(BaseModel, frozen=True, extra="forbid"):
    """The object store."""

    endpoint: Annotated[str | None, Field(description="URL of the S3 API; none means AWS for the region")] = None
    presign_endpoint: Annotated[
        str | None, Field(description="URL under which clients reach the store, put into redirects; none: `endpoint`")
    ] = None
    presign_endpoints: Annotated[
        dict[str, str],
        Field(
            description="The same by the registry's `host[:port]` as clients write it, where several networks see it "
            "under several names; others: `presign_endpoint`"
        ),
    ] = {}
    region: Annotated[str, Field(description="Region that requests are signed for")] = "us-east-1"
    bucket: Annotated[str, Field(description="Bucket that holds everything; it must exist", min_length=3)] = "tidegate"
    prefix: Annotated[
        str, Field(description="Put before every key, to share a bucket", pattern=r"^([a-zA-Z0-9._-]+/)*$")
    ] = ""
    credentials: Annotated[
        CredentialSource,
        Field(
            description="`static`: `access_key` and its secret; `ambient`: what the machine has, found as boto3 does"
        ),
    ] = CredentialSource.STATIC
    access_key: Annotated[SecretStr | None, Field(description="Access key")] = None
    secret_key: Annotated[SecretStr | None, Field(description="Secret key")] = None
    secret_key_file: Annotated[Path | None, Field(description="File that holds the secret key")] = None
    presign_seconds: Annotated[
        int, Unit("seconds"), Field(description="How long a link to the store works", ge=10, le=604_800)
    ] = 900
    single_put_bytes: Annotated[
        int,
        Unit("bytes"),
        Field(
            description="Largest blob that `tidegate publish` sends in one request; larger ones go in parts",
            ge=MIN_PART_BYTES,
            le=MAX_SINGLE_PUT_BYTES,
        ),
    ] = MAX_SINGLE_PUT_BYTES
    timeout_seconds: Annotated[
        int, Unit("seconds"), Field(description="Longest wait for the store to connect or to answer", ge=1, le=300)
    ] = 20

    object_lock: Annotated[
        ObjectLock, Field(description="What the bucket's default retention must be, looked at when the registry starts")
    ] = ObjectLock.OFF
    object_lock_days: Annotated[
        int, Unit("days"), Field(description="How long it must keep objects; nothing younger is collected", ge=0)
    ] = 0

    @model_validator(mode="after")
    def _lock_has_days(self) -> Self:
        if (self.object_lock is ObjectLock.OFF) != (self.object_lock_days == 0):
            raise ValueError("object_lock and object_lock_days go together")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret_key is not None and self.secret_key_file is not None:
            raise ValueError("set secret_key or secret_key_file, not both")
        if (self.access_key is None) != (self.secret_key is None and self.secret_key_file is None):
            raise ValueError("access_key and its secret go together")
        if self.credentials is CredentialSource.AMBIENT and self.access_key is not None:
            raise ValueError("with credentials=ambient there is no access_key")
        return self

    @field_validator("endpoint", "presign_endpoint")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        return None if value is None else _plain_url(value)

    @field_validator("presign_endpoints")
    @classmethod
    def _origins(cls, value: dict[str, str]) -> dict[str, str]:
        return {host.lower(): _plain_url(url) for host, url in value.items()}


class Limits(BaseModel, frozen=True, extra="forbid"):
    """What one caller may ask for."""

    manifest_bytes: Annotated[
        int, Unit("bytes"), Field(description="Largest manifest", ge=4_000_000, le=MAX_MANIFEST_BYTES)
    ] = MAX_MANIFEST_BYTES
    blob_bytes: Annotated[
        int,
        Unit("bytes"),
        Field(description="Largest blob; not every store copies more than 5 GiB", ge=1 << 20, le=MAX_OBJECT_BYTES),
    ] = MAX_SINGLE_PUT_BYTES
    evidence_bytes: Annotated[
        int,
        Unit("bytes"),
        Field(description="Largest Sigstore bundle, and largest blob of an attester", ge=1 << 16, le=MAX_BUNDLE_BYTES),
    ] = MAX_BUNDLE_BYTES
    evidence_per_decision: Annotated[
        int, Field(description="Most signatures that one admission verifies; publishers' come first", ge=8, le=1000)
    ] = 100
    referrers_per_subject: Annotated[
        int, Field(description="Most referrers that one manifest may have", ge=1, le=MAX_REFERRERS)
    ] = MAX_REFERRERS
    uploads_in_flight: Annotated[int, Field(description="Most unfinished uploads of one caller", ge=1)] = 64
    staged_bytes: Annotated[
        int, Unit("bytes"), Field(description="Most bytes of one caller's unfinished uploads together", ge=1 << 20)
    ] = 64 << 30
    upload_session_seconds: Annotated[
        int, Unit("seconds"), Field(description="An upload that nobody continued for so long is dropped", ge=60)
    ] = 86_400
    pending_tag_seconds: Annotated[
        int,
        Unit("seconds"),
        Field(description="How long a version tag may wait for its signature, where the charter lets it", ge=60),
    ] = 86_400
    upload_seconds: Annotated[
        int, Unit("seconds"), Field(description="Longest time that one request may send a blob's bytes", ge=10)
    ] = 3600
    request_seconds: Annotated[
        int, Unit("seconds"), Field(description="Longest time for any other request body to arrive", ge=1)
    ] = 60
    idle_seconds: Annotated[int, Unit("seconds"), Field(description="Longest pause within a request body", ge=1)] = 30
    page_entries: Annotated[int, Field(description="Most entries of one page of a list", ge=1, le=10_000)] = 1000
    refusals_per_minute: Annotated[
        int, Field(description="Refusals of one caller that get an audit entry each; more are counted in one", ge=1)
    ] = 60
    anonymous_refusals_per_minute: Annotated[
        int, Field(description="The same, of all callers without a credential that counts together", ge=1)
    ] = 600


class Keeping(BaseModel, frozen=True, extra="forbid"):
    """How long what nobody needs is kept, and how much a namespace may keep."""

    grace_hours: Annotated[
        int, Unit("hours"), Field(description="A blob that no manifest names is not collected before", ge=4)
    ] = 24
    quarantine_hours: Annotated[
        int, Unit("hours"), Field(description="A manifest that was never named is not collected before", ge=24)
    ] = 720
    orphan_hours: Annotated[
        int, Unit("hours"), Field(description="A referrer whose subject never came is not collected before", ge=24)
    ] = 168
    quota_bytes: Annotated[
        int | None,
        Unit("bytes"),
        Field(description="Most bytes that a namespace may keep, in blobs and manifests; none: no bound", ge=0),
    ] = None
    quotas: Annotated[
        dict[str, Annotated[int, Field(ge=0)]],
        Field(description="The same for single namespaces, by name; others: `quota_bytes`"),
    ] = {}


class Settings(BaseModel, frozen=True, extra="forbid"):
    """All settings."""

    mode: Annotated[Mode, Field(description="`production`, or `sandbox`: accepts demo keys and migrates by itself")] = (
        Mode.PRODUCTION
    )
    public_url: Annotated[
        str, Field(description="The registry's URL as clients write it; also the audience of tokens made for it")
    ] = "http://127.0.0.1:5000"
    listen_host: Annotated[str, Field(description="Address to listen on")] = "127.0.0.1"
    listen_port: Annotated[int, Field(description="Port to listen on", ge=0, le=65_535)] = 5000
    trusted_proxies: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(
            description="Networks of reverse proxies whose `X-Forwarded-For` is believed; none: the peer is the caller"
        ),
    ] = ()
    database_url: Annotated[
        SecretStr, Field(description="`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`")
    ] = SecretStr("sqlite:///tidegate-registry.db")
    s3: Annotated[S3Settings, Field(description="The object store")] = S3Settings()
    trust_file: Annotated[
        Path | None, Field(description="trust.yaml: the Sigstore roots and the charters that decide about admission")
    ] = None
    allow_sandbox_roots: Annotated[bool, Field(description="Accept roots that are marked as sandbox roots")] = False
    issuers: Annotated[tuple[IssuerRule, ...], Field(description="OIDC issuers whose tokens are accepted")] = ()
    token_key_file: Annotated[
        Path | None, Field(description="Private key (PEM) that signs registry tokens; the same for all replicas")
    ] = None
    accepted_token_key_files: Annotated[
        tuple[Path, ...],
        Field(description="Public keys (PEM) whose registry tokens count beside our own, while keys are rotated"),
    ] = ()
    token_lifetime_seconds: Annotated[
        int, Unit("seconds"), Field(description="Life of a registry token", ge=60, le=3600)
    ] = 300
    anonymous_pull: Annotated[bool, Field(description="Whether releases may be read without a credential")] = False
    authenticated_pull: Annotated[
        bool, Field(description="Whether everyone with a credential may read releases of every agent")
    ] = True
    channels: Annotated[
        tuple[str, ...], Field(description="Names that only a promotion moves; no tag may be called so", min_length=1)
    ] = ("dev", "staging", "canary", "stable")
    downloads: Annotated[
        Downloads,
        Field(
            description="`redirect` sends clients to the store; `stream` passes the bytes on, both ways, for a store "
            "that they cannot reach"
        ),
    ] = Downloads.REDIRECT
    read_cache_bytes: Annotated[
        int,
        Unit("bytes"),
        Field(description="Memory of each process for released manifests that are read again; 0 keeps none", ge=0),
    ] = READ_CACHE_BYTES
    limits: Annotated[Limits, Field(description="What one caller may ask for")] = Limits()
    keeping: Annotated[Keeping, Field(description="What is collected, and what a namespace may keep")] = Keeping()
    log: Annotated[LogSettings, Field(description="The audit log as static files")] = LogSettings()
    vsa: Annotated[VsaSettings, Field(description="Signed summaries of decisions")] = VsaSettings()
    worker: Annotated[
        Worker,
        Field(
            description="`inside`: `serve` runs the worker as well; `separate`: `tidegate-registry worker` does, and "
            "alone needs its keys"
        ),
    ] = Worker.INSIDE

    @property
    def log_origin(self) -> str:
        """The log's name: what is set, or what `public_url` gives."""
        return self.log.origin or f"{urlsplit(self.public_url).netloc}/log"

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        return _plain_url(value)

    @field_validator("channels")
    @classmethod
    def _are_channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(parse_channel(name) for name in value)
        except ReferenceInvalid as error:
            (reason,) = error.reasons
            raise ValueError(f"{reason.message}: {reason.found}; expected {reason.expected}") from error

    @field_validator("trusted_proxies")
    @classmethod
    def _are_some(cls, value: tuple[IPvAnyNetwork, ...]) -> tuple[IPvAnyNetwork, ...]:
        if any(network.prefixlen == 0 for network in value):
            raise ValueError("everybody is no proxy: with that, each caller would choose their own address")
        return value

    @model_validator(mode="after")
    def _production_is_strict(self) -> Self:
        if self.mode is Mode.PRODUCTION and self.allow_sandbox_roots:
            raise ValueError("allow_sandbox_roots needs mode=sandbox: anyone can get a sandbox certificate")
        return self


def _plain_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("not a URL of the form https://host[:port]")
    if parts.path not in ("", "/"):
        raise ValueError("a path does not work here: OCI clients expect /v2/ at the top of the host")
    return value.rstrip("/")
