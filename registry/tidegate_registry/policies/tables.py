"""The rows of the policies room. A version is written once, never edited; the last of each name is in force."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from tidegate_registry.columns import Moment, bytewise_text

NAME = bytewise_text(255)
SHA256 = bytewise_text(71)  # sha256: and 64 hexadecimal digits
ID = bytewise_text(36)  # a UUIDv7: sorts by time
THE_HEAD = 1


class PolicyHeadRow(SQLModel, table=True):
    """One row for all policies: the lock that orders their changes, and the stamp by which a reader sees that one came.

    `revision`: how many versions were applied, of all names together. `event_id`: the entry of the last of them.
    """

    __tablename__ = "policy_head"

    id: int = Field(default=THE_HEAD, primary_key=True, sa_column_kwargs={"autoincrement": False})
    revision: int
    event_id: str = Field(sa_type=ID)


class PolicyVersionRow(SQLModel, table=True):
    """One version of one policy, in the bytes its author wrote. `name`: `_company`, or the namespace of an overlay.

    `author`: canonical JSON of the caller who proposed it. `reverts`: the number of the version whose text this is.
    """

    __tablename__ = "policy_version"

    name: str = Field(primary_key=True, sa_type=NAME)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    text: bytes
    digest: str = Field(sa_type=SHA256)
    author: bytes
    reason: str = Field(max_length=2000)
    proposal: str | None = Field(default=None, sa_type=ID)
    reverts: int | None = None
    event_id: str = Field(sa_type=ID)
    applied_at: datetime = Field(sa_type=Moment)


class PolicyProposalRow(SQLModel, table=True):
    """A text that somebody wants to be the version after `base`. `base` 0: the first of its name.

    `state`: open, applied, or stale (another version came first). `person`: of the author, under the policy in force
    when it was proposed. `applied`: the number that it became.
    """

    __tablename__ = "policy_proposal"
    __table_args__ = (Index("policy_proposal_by_name", "name", "id"),)

    id: str = Field(primary_key=True, sa_type=ID)
    name: str = Field(sa_type=NAME)
    base: int
    text: bytes
    digest: str = Field(sa_type=SHA256)
    author: bytes
    person: str | None = Field(default=None, sa_type=NAME)
    reason: str = Field(max_length=2000)
    reverts: int | None = None
    state: str = Field(max_length=16)
    applied: int | None = None
    event_id: str = Field(sa_type=ID)
    proposed_at: datetime = Field(sa_type=Moment)
    closed_at: datetime | None = Field(default=None, sa_type=Moment)


class PolicyApprovalRow(SQLModel, table=True):
    """Somebody agreed to a proposal. `approver`: canonical JSON of the caller; `key` tells identities apart."""

    __tablename__ = "policy_approval"

    proposal: str = Field(primary_key=True, sa_type=ID, foreign_key="policy_proposal.id")
    key: str = Field(primary_key=True, sa_type=SHA256)
    approver: bytes
    event_id: str = Field(sa_type=ID)
    approved_at: datetime = Field(sa_type=Moment)
