"""The row of the trusting room."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

THE_TRUST = 1


class TrustStateRow(SQLModel, table=True):
    """Whom the registry trusts, as the log was last told: one row. `digest`: of `description`, canonical JSON."""

    __tablename__ = "trust_state"

    id: int = Field(default=THE_TRUST, primary_key=True, sa_column_kwargs={"autoincrement": False})
    digest: str = Field(max_length=71)
    description: bytes
    event_id: str = Field(max_length=36)
