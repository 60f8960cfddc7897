"""The rows of the summaries room."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from tidegate_registry.artifacts.tables import DIGEST, NAME
from tidegate_registry.columns import Moment


class SummaryRow(SQLModel, table=True):
    """What became of the summary of one decision. `entry`: the decision's; that it is the key makes it one at most.

    `manifest`: the referrer that attaches it; None where it could not be made, and `problem` is the error's code.
    """

    __tablename__ = "summary"

    entry: str = Field(primary_key=True, max_length=36)
    repository: str = Field(sa_type=NAME)
    subject: str = Field(sa_type=DIGEST)
    manifest: str | None = Field(default=None, sa_type=DIGEST)
    problem: str | None = Field(default=None, max_length=64)
    made_at: datetime = Field(sa_type=Moment)


class SummaryCursorRow(SQLModel, table=True):
    """How far the log was looked through for decisions: one row. `next`: index of the first entry that was not."""

    __tablename__ = "summary_cursor"

    name: str = Field(primary_key=True, max_length=16)
    next: int = Field(sa_type=BigInteger)
