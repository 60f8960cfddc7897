"""What the gatekeeper remembers: headers whose token was checked, and what their callers were found to be allowed.

Only what is good is remembered, so forgetting costs time and nothing else. The header itself is not kept, its digest
is: nobody who reads this process's memory finds tokens here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.formats.charter import CharterSet
    from tidegate_registry.access.rights import AccessRules, Permission
    from tidegate_registry.access.tokens import CheckedToken

MAX_CALLERS = 2048  # headers; a pull sends hundreds of requests under one token, which lives for minutes
MAX_ALLOWED = 64  # (permission, agent) of one token; a token request names at most 32 scopes


class KnownCaller:
    """A checked token, and what it was found to allow under one state of charters and rules."""

    __slots__ = ("_allowed", "_charters", "_rules", "token")

    def __init__(self, token: CheckedToken) -> None:
        self.token = token
        self._charters: CharterSet | None = None
        self._rules: AccessRules | None = None
        self._allowed: frozenset[tuple[Permission, str]] = frozenset()

    def is_allowed(self, permission: Permission, agent: str, charters: CharterSet, rules: AccessRules) -> bool:
        """Whether that was found under these very charters and rules: another object is another state of trust."""
        return charters is self._charters and rules is self._rules and (permission, agent) in self._allowed

    def allow(self, permission: Permission, agent: str, charters: CharterSet, rules: AccessRules) -> None:
        """Remember it for as long as these charters and rules are in force."""
        keep = charters is self._charters and rules is self._rules and len(self._allowed) < MAX_ALLOWED
        self._charters, self._rules = charters, rules
        self._allowed = (self._allowed if keep else frozenset()) | {(permission, agent)}


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
