"""The trust file while the registry runs: read at start, read again when it changes.

An edit that cannot be read does not empty the registry's trust, nor stop it: the last good state stays in force, the
log says so, and `/readyz` fails until the file is right. A change of any file that trust.yaml names counts: to take a
root or a publisher out of the file has to take them out of the running registry.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.errors import TrustFileInvalid
from tidegate.formats.charter import CharterSet
from tidegate_registry.logs import get_logger

if TYPE_CHECKING:
    from tidegate.verify.trust import Trust

log = get_logger()

Stamp = tuple[int, int, int]


class TrustSource:
    """Gives the trust in force now. Safe to share between threads."""

    def __init__(self, path: Path | None, *, allow_sandbox: bool) -> None:
        """Take the path of a trust.yaml; None means that nobody is trusted, so nothing can be admitted."""
        self._path = path
        self._allow_sandbox = allow_sandbox
        self._lock = threading.Lock()
        self._seen: dict[str, Stamp | None] | None = None  # each file of the last reading, as it was then
        self._trust: Trust | None = None
        self._fault: TrustFileInvalid | None = None

    def current(self) -> Trust:
        """Give the trust in force. Raises TrustFileInvalid while there has never been a good file."""
        if self._path is None:
            raise TrustFileInvalid(
                "no trust file is configured", code="trust-file-missing", hint="set TIDEGATE_REGISTRY_TRUST_FILE"
            )
        with self._lock:
            if not self._is_unchanged():
                self._load(self._path)
            if self._trust is None:
                raise self._fault or TrustFileInvalid(f"{self._path}: cannot be read", code="trust-file-unreadable")
            return self._trust

    @property
    def is_configured(self) -> bool:
        """Whether there is a file at all."""
        return self._path is not None

    def charters(self) -> CharterSet:
        """Give the charters in force; none without a trust file."""
        return CharterSet(()) if self._path is None else self.current().charters

    def charters_at_hand(self) -> CharterSet | None:
        """Give what `charters` would, if that takes no reading and no waiting, else None: for the event loop."""
        if self._path is None:
            return CharterSet(())
        if not self._lock.acquire(blocking=False):
            return None  # somebody may be reading them
        try:
            return self._trust.charters if self._trust is not None and self._is_unchanged() else None
        finally:
            self._lock.release()

    def check(self) -> None:
        """Raise TrustFileInvalid unless the file, as it is now, is the trust in force."""
        self.current()
        if self._fault is not None:
            raise self._fault

    def _is_unchanged(self) -> bool:
        return self._seen is not None and all(_stamp(file) == seen for file, seen in self._seen.items())

    def _load(self, path: Path) -> None:
        from tidegate.verify.trust import load_trust

        seen: dict[str, Stamp | None] = {}

        def on_read(file: Path) -> None:
            if str(file) not in seen:  # looked at before it is read: a change in between is a change next time
                seen[str(file)] = _stamp(str(file))

        try:
            self._trust, self._fault = load_trust(path, allow_sandbox=self._allow_sandbox, on_read=on_read), None
        except TrustFileInvalid as error:
            self._refuse(path, error)
        except Exception as error:  # noqa: BLE001 - whatever a broken file does to a parser, it is not trust in force
            self._refuse(path, TrustFileInvalid(f"{path}: cannot be read", found=type(error).__name__))
        self._seen = seen

    def _refuse(self, path: Path, error: TrustFileInvalid) -> None:
        self._fault = error
        log.warning("trust_file.invalid", path=str(path), error=str(error), previous_in_force=self._trust is not None)


def _stamp(file: str) -> Stamp | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - at half the price of Path.stat: it is asked for each request
    except (OSError, ValueError):
        return None  # reported by reading it
    return found.st_mtime_ns, found.st_size, found.st_ino
