"""A log to be searched: entries in the envelope that the product writes, placed as the integrator places them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from sqlalchemy import text

from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate_registry.audit import index
from tidegate_registry.audit.events import timestamp
from tidegate_registry.audit.service import make_event_id

if TYPE_CHECKING:
    from tidegate_registry.db import Db
    from tidegate_registry.services import Services

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MOVED, DECIDED, REFUSED = "channel.moved", "promotion.decided", "request.refused"


@dataclass
class Logged:
    """A database with a log."""

    db: Db
    now: datetime = T0
    ids: list[str] = field(default_factory=list)

    @property
    def app(self) -> Services:
        return cast("Services", SimpleNamespace(db=self.db))

    def moved(self, repository: str = "acme/support-agent", *, by: str = "dave", kind: str = MOVED, **more: str) -> str:
        return self.write(kind, by, {"repository": repository, **more})

    def refused(self, message: str, code: str = "evidence-missing") -> str:
        return self.write(REFUSED, "registry", {"code": code, "reasons": [{"code": code, "message": message}]})

    def write(self, type_: str, by: str, data: JsonObject) -> str:
        """Write an entry, and let a minute pass."""
        event_id = make_event_id(self.now, token_bytes)
        actor: JsonObject = {"kind": "human", "issuer": "https://idp.example", "name": by}
        at = timestamp(self.now)
        body = canonical_bytes({"id": event_id, "version": 1, "type": type_, "at": at, "actor": actor, "data": data})
        moment = at.removesuffix("Z").replace("T", " ") + ("" if self.db.is_sqlite else "+00:00")
        with self.db.connect() as connection:
            connection.execute(
                text("INSERT INTO audit_event (id, type, at, actor, body) VALUES (:id, :type, :at, :actor, :body)"),
                {"id": event_id, "type": type_, "at": moment, "actor": by, "body": body},
            )
        self.now += timedelta(minutes=1)
        self.ids.append(event_id)
        return event_id

    def integrate(self, *, indexed: bool = True) -> int:
        """Give every entry its place, note a checkpoint over all, and index them; give how many there are."""
        with self.db.connect() as connection:
            pending = connection.execute(text("SELECT position FROM audit_event WHERE idx IS NULL ORDER BY position"))
            size = connection.execute(text("SELECT count(idx) FROM audit_event")).scalar_one()
            for position in pending.scalars().all():
                connection.execute(
                    text("UPDATE audit_event SET idx = :idx WHERE position = :position"),
                    {"idx": size, "position": position},
                )
                size += 1
            connection.execute(text("DELETE FROM log_state"))
            connection.execute(
                text("INSERT INTO log_state (name, assigned, published, epoch) VALUES ('log', :size, :size, 1)"),
                {"size": size},
            )
        while indexed and index.index_entries(self.app):
            pass
        return int(size)
