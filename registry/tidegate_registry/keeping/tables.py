"""The rows of the keeping room: who relies on which blob, and the locks that order what is counted."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from tidegate_registry.columns import Moment, bytewise_text

NAME = bytewise_text(255)
DIGEST = bytewise_text(135)  # sha512: and 128 hexadecimal digits


class BlobClaimRow(SQLModel, table=True):
    """Somebody relies on a blob since `claimed_at`, or it is on its way out since `deleting_at`: see claims.py.

    There may be a claim where there is no blob yet, and a blob without one that nobody touched for long.
    """

    __tablename__ = "blob_claim"

    namespace: str = Field(primary_key=True, sa_type=NAME)
    digest: str = Field(primary_key=True, sa_type=DIGEST)
    claimed_at: datetime = Field(sa_type=Moment)
    deleting_at: datetime | None = Field(default=None, sa_type=Moment, index=True)


class NamespaceRow(SQLModel, table=True):
    """A namespace. Its row is the lock under which its bytes are counted against its quota."""

    __tablename__ = "namespace"

    name: str = Field(primary_key=True, sa_type=NAME)
