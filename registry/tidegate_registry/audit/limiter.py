"""How many refusals get an entry each: so many a minute of one caller, of all anonymous callers together, and of all.

What gets none is counted, and the count is taken when its minute has ended, for one entry that says how many and when.
However many callers there are, a replica so writes at most MAX_ENTRIES and MAX_ROLLED entries in a minute.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tidegate_registry.access.principal import Principal
from tidegate_registry.audit.events import Actor

WINDOW = timedelta(minutes=1)
MAX_CALLERS = 10_000  # with a name, in one window; what further ones are refused gets no entry of its own
MAX_ENTRIES = 1_200  # of one window and replica: 20 a second beside the 1,500 that the log takes
MAX_ROLLED = 100  # callers whose count gets an entry of its own; those of the others are counted together
OTHERS = Actor(kind="system", issuer="", name="further callers")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """How many refusals of `actor` got no entry between `since` and `until`."""

    actor: Actor
    count: int
    since: datetime
    until: datetime


class RefusalLimiter:
    """Counts refusals in windows of a minute. Safe to share between threads; bounded in what it remembers."""

    def __init__(self, *, per_caller: int, anonymous: int, most: int = MAX_ENTRIES) -> None:
        self._per_caller = per_caller
        self._most, self._admitted = most, 0
        self._anonymous = anonymous
        self._lock = threading.Lock()
        self._began: datetime | None = None
        self._named: Counter[str] = Counter()
        self._nameless: Counter[str] = Counter()  # by group of addresses; never more of them than `anonymous`
        self._missed: Counter[Actor] = Counter()
        self._ended: dict[Actor, Suppressed] = {}

    def admit(self, who: Principal, group: str, now: datetime) -> bool:
        """Say whether a refusal gets an entry; if not, count it. `group`: what an anonymous caller is told apart by."""
        with self._lock:
            self._turn(now)
            if who.is_anonymous:
                listed, key = self._nameless, group
                room = self._nameless.total() < self._anonymous
            else:
                listed, key = self._named, who.key
                room = key in listed or len(listed) < MAX_CALLERS
            if room and listed[key] < self._per_caller and self._admitted < self._most:
                listed[key] += 1
                self._admitted += 1
                return True
            self._missed[_bounded(Actor.of(who), self._missed)] += 1
            return False

    def take(self, now: datetime, *, closing: bool = False) -> list[Suppressed]:
        """Give, once, what windows that have ended left out; with `closing` also what the present one has so far."""
        with self._lock:
            self._turn(now, closing=closing)
            ended, self._ended = list(self._ended.values()), {}
            return ended

    def give_back(self, counts: Iterable[Suppressed]) -> None:
        """Keep for the next `take` what could not be written."""
        with self._lock:
            for each in counts:
                self._keep(each)

    def _turn(self, now: datetime, *, closing: bool = False) -> None:
        """Begin a new window if the present one has ended, or the clock was set back."""
        if self._began is not None and timedelta(0) <= now - self._began < WINDOW and not closing:
            return
        if self._began is not None:
            until = max(self._began, min(now, self._began + WINDOW))
            for actor, count in self._missed.items():
                self._keep(Suppressed(actor, count, self._began, until))
        self._began = now
        self._named.clear()
        self._nameless.clear()
        self._missed.clear()
        self._admitted = 0

    def _keep(self, new: Suppressed) -> None:
        actor = _bounded(new.actor, self._ended)
        old = self._ended.get(actor, replace(new, actor=actor, count=0))
        self._ended[actor] = Suppressed(
            actor, old.count + new.count, min(old.since, new.since), max(old.until, new.until)
        )


def _bounded(actor: Actor, known: Counter[Actor] | dict[Actor, Suppressed]) -> Actor:
    return actor if actor in known or len(known) < MAX_ROLLED else OTHERS
