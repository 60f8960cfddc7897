"""What this auditor saw last of each log: one file for a log, written whole or not at all, and never started anew.

A log that one auditor has seen cannot be shortened or changed for that auditor. That rests on this file, so a file that
cannot be understood is an error, not a first use. Source of the place: XDG Base Directory Specification.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tidegate.auditor.files import sync_folder, write_file
from tidegate.errors import Conflict, JsonInvalid, LogRefused
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate.formats.moment import moment_text, parse_moment
from tidegate.tlog.text import format_base64, parse_base64

FORMAT = "tidegate/log-state/v1"
MAX_STATE_BYTES = 512 << 10  # two checkpoints with the cosignatures of 32 witnesses, written as JSON
EVIDENCE_FOLDER = "evidence"
_MAX_TRIES = 1000  # names for evidence of one second
_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")
_MAX_NAME = 60  # characters of an origin in a file's name; the digest behind it tells origins apart


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the files of a log were verified one by one: the first `size` entries, whose tree has `root`."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """The last checkpoint found good. `note`: its exact bytes. `at`: by this machine's clock. `source`: for people.

    `unproven`: the first one signed by the log after it whose files, when it was shown, did not prove that it continues
    this one. It is neither believed nor forgotten: what is found good later must agree with it.
    """

    note: bytes
    at: datetime
    source: str
    verified: Verified | None = None
    unproven: Seen | None = None


class LogState:
    """The state of one log, held by one process at a time. Made by `LogStates.hold`."""

    def __init__(self, path: Path, seen: Seen | None) -> None:
        self.path, self.seen = path, seen

    def keep(self, seen: Seen) -> None:
        """Remember `seen` from now on, also after a power cut. Raises OSError."""
        document: JsonObject = {"format": FORMAT, **_document(seen)}
        if seen.unproven is not None:
            document["unproven"] = _document(seen.unproven)
        if seen.verified is not None:
            document["verified"] = {"size": seen.verified.size, "root": format_base64(seen.verified.root)}
        write_file(self.path, f"{json.dumps(document, indent=2)}\n".encode())
        self.seen = seen


class LogStates:
    """All logs that this auditor has seen, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls, environ: Mapping[str, str]) -> LogStates:
        """Give those of the user that `environ` describes."""
        base = environ.get("XDG_STATE_HOME") or ""
        home = Path(environ.get("HOME") or "~").expanduser()
        return cls((Path(base) if Path(base).is_absolute() else home / ".local" / "state") / "tidegate" / "logs")

    def path(self, origin: str) -> Path:
        """Give the file of the log `origin`."""
        return self.folder / f"{_file_name(origin)}.json"

    @contextmanager
    def hold(self, origin: str) -> Iterator[LogState]:
        """Hold the state of one log while the block runs, which must be short: another audit of the log waits for it.

        Two at once would each miss what the other saw. Raises LogRefused (code "log-state-damaged"), OSError.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.path(origin)
        with _locked(path.with_suffix(".lock")):
            yield LogState(path, _read(path))

    def keep_evidence(self, origin: str, kind: str, files: Mapping[str, bytes], *, now: datetime) -> str:
        """Write `files` into a new folder that nothing ever changes, and say in a hint where.

        A disk that is full must not hide what they show: then the hint says that they are not kept.
        """
        try:
            folder = self._save_evidence(origin, kind, files, now=now)
        except (OSError, Conflict) as error:
            return f"the checkpoints could NOT be kept as evidence ({error}): make room for them and run this again"
        return (
            f"all checkpoints, each signed by the log, are kept in {folder}: show them to the registry's operator and "
            "to other auditors, and run `tidegate log compare` on them"
        )

    def _save_evidence(self, origin: str, kind: str, files: Mapping[str, bytes], *, now: datetime) -> Path:
        parent = self.folder / EVIDENCE_FOLDER / _file_name(origin)
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = _new_folder(parent, f"{now:%Y%m%dT%H%M%SZ}-{kind}")
        for name, content in files.items():
            write_file(folder / name, content)
        sync_folder(parent)
        return folder


def _read(path: Path) -> Seen | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_STATE_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        return parse_state(raw)
    except (JsonInvalid, ValueError) as error:
        raise damaged(path, str(error)) from error


def parse_state(raw: bytes) -> Seen:
    """Read the bytes of a state file. Raises JsonInvalid, ValueError."""
    document = parse_object(raw, limit=MAX_STATE_BYTES, what="the file")
    if document.get("format") != FORMAT:
        raise ValueError(f"it is not of the form {FORMAT}")
    later = document.get("unproven")
    if later is not None and not isinstance(later, dict):
        raise ValueError("`unproven` is no object")
    unproven = None if later is None else _seen(later)
    return replace(_seen(document), verified=_verified(document.get("verified")), unproven=unproven)


def _document(seen: Seen) -> JsonObject:
    return {"checkpoint": seen.note.decode("utf-8"), "seenAt": moment_text(seen.at), "source": seen.source}


def _seen(document: JsonObject) -> Seen:
    note, at, source = (document.get(name) for name in ("checkpoint", "seenAt", "source"))
    if not isinstance(note, str) or not isinstance(at, str) or not isinstance(source, str):
        raise ValueError("it has no checkpoint, seenAt or source")  # noqa: TRY004 - of a file's content
    return Seen(note.encode("utf-8"), parse_moment(at), source)


def _verified(value: JsonValue) -> Verified | None:
    if value is None:
        return None
    size, encoded = (value.get("size"), value.get("root")) if isinstance(value, dict) else (None, None)
    root = parse_base64(encoded) if isinstance(encoded, str) else None
    if not isinstance(size, int) or size < 0 or root is None:
        raise ValueError("`verified` has no size or root")
    return Verified(size, root)


def damaged(path: Path, found: str) -> LogRefused:
    """Make the error for a state that does not hold what was written there."""
    return LogRefused(
        f"what was last seen of this log cannot be read: {path}",
        code="log-state-damaged",
        found=found[:300],
        hint="bring the file back from a backup; only if you mean to believe the log as if you never saw it, remove it",
    )


def _new_folder(parent: Path, name: str) -> Path:
    for number in range(1, _MAX_TRIES):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise Conflict("there is too much evidence of one second", code="evidence-folder", found=parent / name)


def _file_name(origin: str) -> str:
    legible = _UNFIT.sub("-", origin).strip(".-")[:_MAX_NAME]
    return f"{legible}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not a Unix: two audits of one log at once are the caller's care
        yield
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # waits: whoever holds it reads a few tiles, and no more
        yield
    finally:
        os.close(descriptor)
