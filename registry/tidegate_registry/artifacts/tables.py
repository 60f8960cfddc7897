"""The rows of the artifacts room: what is stored, what it reaches, what is named."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from tidegate_registry.columns import Moment, bytewise_text

NAME = bytewise_text(255)
SHA256 = bytewise_text(71)  # sha256: and 64 hexadecimal digits: what we compute
DIGEST = bytewise_text(135)  # sha512: and 128 hexadecimal digits
TAG = bytewise_text(128)
SORT_KEY = bytewise_text(257)


class RepositoryRow(SQLModel, table=True):
    """An agent. Its row is the lock that orders what is written about it."""

    __tablename__ = "repository"

    name: str = Field(primary_key=True, sa_type=NAME)
    created_at: datetime = Field(sa_type=Moment)


class BlobRow(SQLModel, table=True):
    """A blob that the store holds under `blobs/<namespace>/…`."""

    __tablename__ = "blob"

    namespace: str = Field(primary_key=True, sa_type=NAME)
    digest: str = Field(primary_key=True, sa_type=DIGEST)
    size: int = Field(sa_type=BigInteger)
    created_at: datetime = Field(sa_type=Moment)


class BlobLinkRow(SQLModel, table=True):
    """A blob was pushed to, or mounted into, a repository: its signers may use it there."""

    __tablename__ = "blob_link"
    __table_args__ = (
        ForeignKeyConstraint(["namespace", "digest"], ["blob.namespace", "blob.digest"]),
        Index("blob_link_by_digest", "namespace", "digest"),
    )

    repository: str = Field(primary_key=True, sa_type=NAME, foreign_key="repository.name")
    digest: str = Field(primary_key=True, sa_type=DIGEST)
    namespace: str = Field(sa_type=NAME)


class ManifestRow(SQLModel, table=True):
    """A manifest, byte for byte. `released`: reachable from a name, so no longer in quarantine; never unset."""

    __tablename__ = "manifest"
    __table_args__ = (Index("manifest_by_subject", "repository", "subject", "digest"),)

    repository: str = Field(primary_key=True, sa_type=NAME, foreign_key="repository.name")
    digest: str = Field(primary_key=True, sa_type=DIGEST)
    media_type: str = Field(max_length=255)
    artifact_type: str | None = Field(default=None, max_length=255)
    subject: str | None = Field(default=None, sa_type=DIGEST)
    descriptor: bytes
    raw: bytes
    released: bool = False
    created_at: datetime = Field(sa_type=Moment)


class ManifestEdgeRow(SQLModel, table=True):
    """A manifest names content: a blob (config, layers) or another manifest of the same repository."""

    __tablename__ = "manifest_edge"
    __table_args__ = (
        ForeignKeyConstraint(["repository", "parent"], ["manifest.repository", "manifest.digest"]),
        Index("manifest_edge_by_child", "child", "repository"),
    )

    repository: str = Field(primary_key=True, sa_type=NAME)
    parent: str = Field(primary_key=True, sa_type=DIGEST)
    child: str = Field(primary_key=True, sa_type=DIGEST)


class ReleaseRow(SQLModel, table=True):
    """A manifest admitted under a version, for ever. `facts`: canonical JSON of what the trust floor remembers.

    `number` counts an agent's releases in the order of admission, whatever the clocks of replicas say.
    """

    __tablename__ = "release"
    __table_args__ = (
        ForeignKeyConstraint(["repository", "digest"], ["manifest.repository", "manifest.digest"]),
        Index("release_in_order", "repository", "sort_key"),
        UniqueConstraint("repository", "number"),
    )

    repository: str = Field(primary_key=True, sa_type=NAME)
    version: str = Field(primary_key=True, sa_type=TAG)
    sort_key: str = Field(sa_type=SORT_KEY)
    digest: str = Field(sa_type=DIGEST)
    number: int
    facts: bytes
    event_id: str = Field(max_length=36)
    admitted_at: datetime = Field(sa_type=Moment)


class PendingTagRow(SQLModel, table=True):
    """A version tag that came before its signature and waits for it. It reserves nothing: each publisher has their own.

    `owner`: sha256 of whose it is; `publisher`: canonical JSON of that identity, which must still be a publisher's when
    the version is named.
    """

    __tablename__ = "pending_tag"
    __table_args__ = (
        ForeignKeyConstraint(["repository", "digest"], ["manifest.repository", "manifest.digest"]),
        Index("pending_tag_by_digest", "repository", "digest"),
    )

    repository: str = Field(primary_key=True, sa_type=NAME)
    version: str = Field(primary_key=True, sa_type=TAG)
    owner: str = Field(primary_key=True, sa_type=SHA256)
    digest: str = Field(sa_type=DIGEST)
    publisher: bytes
    event_id: str = Field(max_length=36)
    tagged_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment, index=True)


class WorkingTagRow(SQLModel, table=True):
    """A movable tag for those who may publish; never a release."""

    __tablename__ = "working_tag"
    __table_args__ = (
        ForeignKeyConstraint(["repository", "digest"], ["manifest.repository", "manifest.digest"]),
        Index("working_tag_in_order", "repository", "sort_key"),
    )

    repository: str = Field(primary_key=True, sa_type=NAME)
    tag: str = Field(primary_key=True, sa_type=TAG)
    sort_key: str = Field(sa_type=SORT_KEY)
    digest: str = Field(sa_type=DIGEST)
    moved_at: datetime = Field(sa_type=Moment)


class UploadRow(SQLModel, table=True):
    """An unfinished upload. `busy_until`: a request is writing to it, and dead if that moment has passed.

    `size`: bytes that count. `digest`: announced before the bytes, by a client that sends them straight to the store;
    `reserved` of them. `multipart`: the store's id of the upload to `staging/<id>/body`, in parts of `part_bytes`.
    """

    __tablename__ = "upload"

    id: str = Field(primary_key=True, max_length=36)
    repository: str = Field(sa_type=NAME)
    owner: str = Field(index=True, max_length=1200)
    size: int = Field(default=0, sa_type=BigInteger)
    continued_at: datetime = Field(sa_type=Moment, index=True)
    busy_until: datetime | None = Field(default=None, sa_type=Moment)
    digest: str | None = Field(default=None, sa_type=DIGEST)
    reserved: int = Field(default=0, sa_type=BigInteger)
    multipart: str | None = Field(default=None, max_length=1024)
    part_bytes: int = Field(default=0, sa_type=BigInteger)


class UploadPartRow(SQLModel, table=True):
    """What a client said the sha256 of a part is when it asked for a link: the store wants to hear it at the end."""

    __tablename__ = "upload_part"

    upload: str = Field(primary_key=True, max_length=36)
    number: int = Field(primary_key=True)
    sha256: str = Field(sa_type=DIGEST)
