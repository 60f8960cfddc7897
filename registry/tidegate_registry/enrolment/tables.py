"""The row of an enrolment token. The token itself is not here: only the hash of its secret is."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from tidegate_registry.columns import Moment, bytewise_text

ID = bytewise_text(36)  # a UUIDv7: sorts by time


class EnrolmentRow(SQLModel, table=True):
    """A token that was made. `secret`: SHA-256 of its random part, in hexadecimal digits. `maker`: who made it."""

    __tablename__ = "enrolment"

    id: str = Field(primary_key=True, sa_type=ID)
    secret: str = Field(sa_type=bytewise_text(64))
    purpose: str = Field(max_length=32)
    name: str = Field(max_length=255)
    maker: str = Field(max_length=600)
    made_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    redeemed_at: datetime | None = Field(default=None, sa_type=Moment)
