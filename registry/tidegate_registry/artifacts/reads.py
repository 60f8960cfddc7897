"""Answers that can never change, kept in memory: what a release names, byte for byte as the routes answered it.

Only what is released gets in, and only under its digest or its version: a release is never unset and a version never
moves, so nothing here can become wrong, whichever replica wrote it, but by a revocation: it drops what is kept of its
agent, at once where it was made, elsewhere as soon as `promotion.watch` has seen it. Never in: what is not there, what
is in quarantine, what is revoked, working tags, and decisions about callers, which the access room makes each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_ANSWERS = 16_384
ANSWER_BYTES = 2048  # what an answer takes besides its body: key, headers, objects; measured 1.3 to 1.9 KB

Header = tuple[bytes, bytes]


# A request as far as its answer depends on it, besides who asks: method, path as the router saw it, and the Host header
# where links depend on it, else nothing.
AnswerKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer to everybody who may pull from `repository`. `until`: None for ever; else a link in it grows old.

    `etag` is set where the answer may be 304. `route` and `path_params` are what the router found, for log and metrics.
    """

    repository: str
    status: int
    headers: tuple[Header, ...]
    body: bytes
    etag: str | None
    until: datetime | None
    route: object
    path_params: Mapping[str, object]


class ReadCache:
    """At most so many answers and bytes; the one not asked for longest goes first. Safe to share between threads."""

    def __init__(self, *, most_bytes: int, most_answers: int = MAX_ANSWERS) -> None:
        """`most_bytes` of 0 keeps nothing."""
        self._most_bytes, self._most_answers = most_bytes, most_answers
        self._answers: OrderedDict[AnswerKey, KeptAnswer] = OrderedDict()
        self._bytes = 0
        self._drops = 0
        self._lock = threading.Lock()

    @property
    def drops(self) -> int:
        """How often something was dropped for a revocation. Ask before the look that an answer rests on."""
        return self._drops

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size(self) -> int:
        """Bytes in use, at most `most_bytes`."""
        return self._bytes

    def find(self, key: AnswerKey) -> KeptAnswer | None:
        """Give the kept answer; look at `until` before using it."""
        with self._lock:
            kept = self._answers.get(key)
            if kept is not None:
                self._answers.move_to_end(key)
        return kept

    def keep(self, key: AnswerKey, answer: KeptAnswer, *, drops: int | None = None) -> None:
        """Keep an answer, in place of an older one to the same request; one too large for the cache is not kept.

        `drops`: as it was before the look that the answer rests on. If it has changed since, the look may have been
        before a revocation and the answer would outlive it: it is not kept. None: no revocation concerns it.
        """
        size = _size(answer)
        if size > self._most_bytes:
            return
        with self._lock:
            if drops not in (None, self._drops):
                return
            self._drop(key)
            self._answers[key] = answer
            self._bytes += size
            while self._bytes > self._most_bytes or len(self._answers) > self._most_answers:
                self._drop(next(iter(self._answers)))

    def drop(self, repository: str) -> None:
        """Forget every answer about one repository: one of its releases was revoked."""
        with self._lock:
            self._drops += 1
            for key in [key for key, answer in self._answers.items() if answer.repository == repository]:
                self._drop(key)

    def clear(self) -> None:
        """Forget everything, for tests that start over with another database."""
        with self._lock:
            self._answers.clear()
            self._bytes = 0

    def _drop(self, key: AnswerKey) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._bytes -= _size(answer)


def _size(answer: KeptAnswer) -> int:
    return len(answer.body) + ANSWER_BYTES
