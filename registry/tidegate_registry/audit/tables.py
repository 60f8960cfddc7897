"""The rows of the audit room."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from tidegate_registry.columns import SERIAL, Moment


class AuditEventRow(SQLModel, table=True):
    """An entry, not yet integrated into the log. `body` is the canonical JSON, byte for byte.

    `position` is the order of writing; on PostgreSQL a lower one may be committed after a higher one.
    """

    __tablename__ = "audit_event"

    position: int | None = Field(default=None, primary_key=True, sa_type=SERIAL)
    id: str = Field(unique=True, max_length=36)
    type: str = Field(index=True, max_length=64)
    at: datetime = Field(sa_type=Moment)
    actor: str = Field(max_length=600)
    subject: str | None = Field(default=None, index=True, max_length=300)
    body: bytes
