"""The rows of the evidence room: what was verified about a manifest when its referrer arrived.

Rows find evidence and show it. Whoever decides reads the bundle's bytes again and verifies them under the charter and
the roots of that day: a row is never believed.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field, SQLModel

from tidegate_registry.columns import Moment, bytewise_text

NAME = bytewise_text(255)
SHA256 = bytewise_text(71)  # sha256: and 64 hexadecimal digits: what we compute, and subjects (step E1)
DIGEST = bytewise_text(135)  # sha512: and 128 hexadecimal digits: what a client names in its own way
EVENT = bytewise_text(36)


class EvidenceRow(SQLModel, table=True):
    """One verified signature about one subject; how often and in which bytes it is attached does not matter.

    `signature`: sha256 of what makes it that signature (payload, root, issuer, subject, time, place in the log), none
    of which whoever copies it can vary. `manifest` and `bundle`: the referrer and the blob in which it came first.
    `attestation`: canonical JSON of the verified attestation, to be shown.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        ForeignKeyConstraint(["repository", "manifest"], ["manifest.repository", "manifest.digest"]),
        Index("evidence_in_order", "repository", "subject", "event_id"),
    )

    repository: str = Field(primary_key=True, sa_type=NAME)
    subject: str = Field(primary_key=True, sa_type=SHA256)
    signature: str = Field(primary_key=True, sa_type=SHA256)
    manifest: str = Field(sa_type=DIGEST)
    bundle: str = Field(sa_type=DIGEST)
    payload: str = Field(sa_type=SHA256)
    predicate_type: str = Field(max_length=512)
    role: str = Field(max_length=16)
    root: str = Field(max_length=64)
    issuer: str = Field(max_length=2048)
    identity: str = Field(max_length=2048)
    signed_at: datetime = Field(sa_type=Moment)
    attestation: bytes
    event_id: str = Field(sa_type=EVENT)
