"""Doing again what entries say was done, for a database that was restored from an old dump and has forgotten it.

Each room has a module `redo` with a table of its types of entries. A function there writes what the entry says unless
it is there, so that to do it twice is to do it once, and appends no entry: the entry is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tidegate_registry.audit.events import Actor, Event
from tidegate_registry.audit.reading import read_event

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate.formats.entry import Entry
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Redoing:
    """One entry, and what may be used to do it again.

    `fetch`: the bytes of an object beside the log, at most so many of them; None if it is not there.
    """

    app: Services
    tx: Tx
    entry: Entry
    fetch: Callable[[Digest, int], bytes | None]

    def event(self, kind: type[E]) -> E:
        """Give the entry as the event that it was. Raises EntryUnreadable."""
        by = self.entry.actor
        actor = Actor(kind=by.kind, issuer=by.issuer, name=by.name, person=by.person)
        return read_event(kind, at=self.entry.at, actor=actor, data=self.entry.data)


# says in a sentence what could not be done again; None: all of it is there
Redo = Callable[[Redoing], str | None]
RedoTable = Mapping[str, Redo]
