"""What the gatekeeper remembers: headers whose token was checked, and what their callers were found to be allowed.

Only what is good is remembered, so forgetting costs time and nothing else. The header itself is not kept, its digest
is: nobody who reads this process's memory finds tokens here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from operator import is_
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.formats.charter import CharterSet
    from tidegate_registry.access.rights import AccessRules, Permission
    from tidegate_registry.access.tokens import CheckedToken

Under = tuple["CharterSet", "AccessRules", object]
"""Charters, rules, and what stands for the policies in force."""

MAX_CALLERS = 2048  # headers; a pull sends hundreds of requests under one token, which lives for minutes
MAX_ALLOWED = 64  # (permission, agent) of one token; a token request names at most 32 scopes


class KnownCaller:
    """A checked token, and what it was found to allow under one state of charters, rules and policies."""

    __slots__ = ("_allowed", "_under", "token")

    def __init__(self, token: CheckedToken) -> None:
        self.token = token
        self._under: Under | None = None
        self._allowed: frozenset[tuple[Permission, str]] = frozenset()

    def is_allowed(self, permission: Permission, agent: str, under: Under) -> bool:
        """Whether that was found under these very charters, rules and policies: another object is another state."""
        return self._is_same(under) and (permission, agent) in self._allowed

    def allow(self, permission: Permission, agent: str, under: Under) -> None:
        """Remember it for as long as these are in force."""
        keep = self._is_same(under) and len(self._allowed) < MAX_ALLOWED
        self._under = under
        self._allowed = (self._allowed if keep else frozenset()) | {(permission, agent)}

    def _is_same(self, under: Under) -> bool:
        return self._under is not None and all(map(is_, self._under, under))


class CallerMemory:
    """Callers by the digest of their Authorization header; the one not seen for longest is forgotten first."""

    def __init__(self, most: int = MAX_CALLERS) -> None:
        self._most = most
        self._callers: OrderedDict[bytes, KnownCaller] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._callers)

    def find(self, header: bytes) -> KnownCaller | None:
        """Give the caller of this very header, if it is remembered."""
        key = hashlib.sha256(header).digest()
        with self._lock:
            known = self._callers.get(key)
            if known is not None:
                self._callers.move_to_end(key)
        return known

    def keep(self, header: bytes, token: CheckedToken) -> None:
        """Remember that `token` is what `header` shows."""
        key = hashlib.sha256(header).digest()
        with self._lock:
            self._callers[key] = KnownCaller(token)
            if len(self._callers) > self._most:
                self._callers.popitem(last=False)

    def forget(self, header: bytes) -> None:
        """Drop the header, as its token is of no more use."""
        with self._lock:
            self._callers.pop(hashlib.sha256(header).digest(), None)
