"""Column types that behave the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator

SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up in a column of type INTEGER alone


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; one without a time zone is refused, as it would mean two things."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give UTC; SQLite does not keep the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def bytewise_text(length: int) -> String:
    """Text that sorts by its bytes on every database, whatever the locale; pages of a list depend on it."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
