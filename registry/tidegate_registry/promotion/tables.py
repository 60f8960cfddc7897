"""The rows of the promotion room: requests, channels with their history, decisions, and what holds a channel up.

Rows of a channel say what it serves and nothing of how hosts hear of it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from tidegate_registry.artifacts.tables import DIGEST, NAME, SHA256, TAG
from tidegate_registry.columns import Moment, bytewise_text

ID = bytewise_text(36)  # a UUID, as text
WORD = bytewise_text(32)  # of our own enumerations
MAX_PERSON = 64  # a name in a policy or charter


class ChannelRow(SQLModel, table=True):
    """What a channel of an agent serves. One that never served anything has no row.

    `sequence`: of the request that moved it there. `counter`: how often it was moved; the last tenure has this number.
    """

    __tablename__ = "channel"
    __table_args__ = (ForeignKeyConstraint(["repository", "version"], ["release.repository", "release.version"]),)

    repository: str = Field(primary_key=True, sa_type=NAME)
    name: str = Field(primary_key=True, sa_type=TAG)
    digest: str = Field(sa_type=DIGEST)
    version: str = Field(sa_type=TAG)
    sequence: int
    counter: int
    since: datetime = Field(sa_type=Moment)
    promotion: str = Field(sa_type=ID)
    event_id: str = Field(sa_type=ID)


class TenureRow(SQLModel, table=True):
    """A time in which a channel served a release: from `since` until before `until`, which is None while it does.

    `how` it began: `promote`, `rollback` or `break-glass`; `ended_how`: by a `promote` or a `rollback`.
    """

    __tablename__ = "tenure"
    __table_args__ = (Index("tenure_by_digest", "repository", "digest"),)

    repository: str = Field(primary_key=True, sa_type=NAME)
    channel: str = Field(primary_key=True, sa_type=TAG)
    counter: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    digest: str = Field(sa_type=DIGEST)
    version: str = Field(sa_type=TAG)
    sequence: int
    since: datetime = Field(sa_type=Moment)
    until: datetime | None = Field(default=None, sa_type=Moment)
    how: str = Field(sa_type=WORD)
    ended_how: str | None = Field(default=None, sa_type=WORD)
    promotion: str = Field(sa_type=ID)


class PromotionRow(SQLModel, table=True):
    """A request that a channel serve a release. `id` is a UUIDv7, `requester` canonical JSON of a caller's claims.

    `owner`: sha256 of who asked; `request_key`: of them and their Idempotency-Key. `outcome`: in words, once closed.
    """

    __tablename__ = "promotion"
    __table_args__ = (
        ForeignKeyConstraint(["repository", "version"], ["release.repository", "release.version"]),
        UniqueConstraint("repository", "channel", "sequence"),
        Index("promotion_by_digest", "repository", "digest"),
        Index("promotion_by_state", "state", "id"),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    repository: str = Field(sa_type=NAME)
    channel: str = Field(sa_type=TAG)
    source: str | None = Field(default=None, sa_type=TAG)
    version: str = Field(sa_type=TAG)
    digest: str = Field(sa_type=DIGEST)
    sequence: int
    action: str = Field(sa_type=WORD)
    state: str = Field(sa_type=WORD)
    rule_digest: str | None = Field(default=None, sa_type=SHA256)
    requester: bytes
    owner: str = Field(sa_type=SHA256)
    request_key: str | None = Field(default=None, sa_type=SHA256, unique=True)
    reason: str | None = Field(default=None, max_length=4000)
    outcome: str | None = Field(default=None, max_length=4000)
    opened_at: datetime = Field(sa_type=Moment)
    closed_at: datetime | None = Field(default=None, sa_type=Moment)
    event_id: str = Field(sa_type=ID)
    decision: str | None = Field(default=None, sa_type=ID)


class FilingRow(SQLModel, table=True):
    """A signed statement that was filed for a request, with the claims of the token that filed it.

    `manifest`: the referrer that attaches it; `payload` may be that of somebody else's, too: two persons may say the
    same. `person`: as the charter calls who signed and filed it.
    """

    __tablename__ = "promotion_filing"
    __table_args__ = (ForeignKeyConstraint(["promotion"], ["promotion.id"]),)

    promotion: str = Field(primary_key=True, sa_type=ID)
    manifest: str = Field(primary_key=True, sa_type=DIGEST)
    payload: str = Field(sa_type=DIGEST)
    predicate_type: str = Field(max_length=2048)
    person: str = Field(max_length=MAX_PERSON)
    filer: bytes
    filed_at: datetime = Field(sa_type=Moment)
    event_id: str = Field(sa_type=ID)


class CallerClaimsRow(SQLModel, table=True):
    """The latest claims that an identity was seen with: whoever has lost a role since has lost it here.

    `owner`: sha256 of issuer and identity.
    """

    __tablename__ = "caller_claims"

    owner: str = Field(primary_key=True, sa_type=SHA256)
    caller: bytes
    seen_at: datetime = Field(sa_type=Moment)


class DecisionRow(SQLModel, table=True):
    """One decision, allowed or refused. `record`: its record, byte for byte; `digest` is the record's.

    `findings` are those of the record, as it has them: a list of requests shows them without reading the records.
    `promotion` is None where it was refused so that no request was opened.
    """

    __tablename__ = "decision"
    __table_args__ = (
        Index("decision_by_promotion", "promotion", "id"),
        Index("decision_by_channel", "repository", "channel", "id"),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    promotion: str | None = Field(default=None, sa_type=ID)
    repository: str = Field(sa_type=NAME)
    channel: str = Field(sa_type=TAG)
    allowed: bool
    digest: str = Field(sa_type=SHA256)
    record: bytes
    findings: bytes
    decided_at: datetime = Field(sa_type=Moment)
    event_id: str = Field(sa_type=ID)


class HoldRow(SQLModel, table=True):
    """A release that a rollback left: no request moves its channel to it until a human lifts this."""

    __tablename__ = "channel_hold"

    repository: str = Field(primary_key=True, sa_type=NAME)
    channel: str = Field(primary_key=True, sa_type=TAG)
    digest: str = Field(primary_key=True, sa_type=DIGEST)
    version: str = Field(sa_type=TAG)
    reason: str = Field(max_length=4000)
    actor: str = Field(max_length=1200)
    since: datetime = Field(sa_type=Moment)
    promotion: str = Field(sa_type=ID)


class RevocationRow(SQLModel, table=True):
    """A manifest that was withdrawn, under every version that names it. Never taken back."""

    __tablename__ = "revocation"

    repository: str = Field(primary_key=True, sa_type=NAME)
    digest: str = Field(primary_key=True, sa_type=DIGEST)
    version: str = Field(sa_type=TAG)
    reason: str = Field(max_length=4000)
    actor: str = Field(max_length=1200)
    revoked_at: datetime = Field(sa_type=Moment)
    event_id: str = Field(unique=True, sa_type=ID)


class BrokenGlassRow(SQLModel, table=True):
    """A promotion or rollback that went past its policy: a debt until a second person has reviewed it.

    `id` is the request's. `person`: who broke the glass, as policy and charter call them; `user`: their claims.
    """

    __tablename__ = "broken_glass"
    __table_args__ = (
        ForeignKeyConstraint(["id"], ["promotion.id"]),
        Index("broken_glass_open", "repository", "reviewed_at"),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    repository: str = Field(sa_type=NAME)
    channel: str = Field(sa_type=TAG)
    version: str = Field(sa_type=TAG)
    digest: str = Field(sa_type=DIGEST)
    action: str = Field(sa_type=WORD)
    reason: str = Field(max_length=4000)
    person: str = Field(max_length=MAX_PERSON)
    user: bytes
    used_at: datetime = Field(sa_type=Moment)
    review_by: datetime = Field(sa_type=Moment)
    reviewed_at: datetime | None = Field(default=None, sa_type=Moment)
    reviewer: bytes | None = None
    finding: str | None = Field(default=None, sa_type=WORD)
    review: str | None = Field(default=None, max_length=4000)
    event_id: str = Field(sa_type=ID)
