"""The rows of the audit room."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from tidegate_registry.columns import SERIAL, Moment


class AuditEventRow(SQLModel, table=True):
    """An entry. `body` is the canonical JSON, byte for byte: the leaf of the log.

    `position` is the order of writing; on PostgreSQL a lower one may be committed after a higher one. `idx` is the
    entry's place in the log, None until the integrator gives it one (audit/sequence.py, and nobody else).
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("audit_event_by_index", "idx", unique=True),
        Index(
            "audit_event_without_index",
            "position",
            postgresql_where=text("idx IS NULL"),
            sqlite_where=text("idx IS NULL"),
        ),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=SERIAL)
    id: str = Field(unique=True, max_length=36)
    type: str = Field(index=True, max_length=64)
    at: datetime = Field(sa_type=Moment)
    actor: str = Field(max_length=600)
    subject: str | None = Field(default=None, index=True, max_length=300)
    body: bytes
    idx: int | None = Field(default=None, sa_type=BigInteger)


class LogStateRow(SQLModel, table=True):
    """How far the log has come: one row, named LOG.

    `assigned`: entries that have an index. `published`: entries under the last checkpoint that was noted, `root` their
    root. `epoch`: of the leader who wrote last. `halted`: the code of what keeps the registry from writing; None.
    """

    __tablename__ = "log_state"

    name: str = Field(primary_key=True, max_length=16)
    assigned: int = Field(sa_type=BigInteger)
    published: int = Field(sa_type=BigInteger)
    root: bytes | None = None
    epoch: int = Field(sa_type=BigInteger)
    halted: str | None = Field(default=None, max_length=64)


class LeadershipRow(SQLModel, table=True):
    """Who does the work `name`, of all replicas. `expires_at`: milliseconds since 1970 by the database's own clock."""

    __tablename__ = "leadership"

    name: str = Field(primary_key=True, max_length=64)
    holder: str = Field(max_length=128)
    epoch: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger)


class LogObjectRow(SQLModel, table=True):
    """What an entry names by digest and auditors must be able to fetch, until it is beside the log, and that it is.

    One row for each entry and digest that was not yet stored when the entry was written. `body`: the bytes, dropped
    once they are stored; else they are the blob of that digest in `namespace`. `stored_at`: since when the object is
    beside the log. `missing_at`: when it was last found that it cannot be.
    """

    __tablename__ = "log_object"
    __table_args__ = (
        Index(
            "log_object_pending",
            "entry",
            "digest",
            sqlite_where=text("stored_at IS NULL"),
            postgresql_where=text("stored_at IS NULL"),
        ),
    )

    entry: str = Field(primary_key=True, max_length=36)
    digest: str = Field(primary_key=True, index=True, max_length=135)
    body: bytes | None = None
    namespace: str | None = Field(default=None, max_length=255)
    stored_at: datetime | None = Field(default=None, sa_type=Moment)
    missing_at: datetime | None = Field(default=None, sa_type=Moment)


class LogIndexedRow(SQLModel, table=True):
    """How far the search index has come: one row, named `log`. `version`: of what terms are made of an entry."""

    __tablename__ = "log_indexed"

    name: str = Field(primary_key=True, max_length=16)
    version: int
    size: int = Field(sa_type=BigInteger)


class LogTimesRow(SQLModel, table=True):
    """Between which times the entries of a block of 256 are: milliseconds since 1970."""

    __tablename__ = "log_times"

    block: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    earliest: int = Field(sa_type=BigInteger)
    latest: int = Field(sa_type=BigInteger)
