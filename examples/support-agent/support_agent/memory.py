"""What the agent remembers: one file per session in the state folder, under a numbered schema.

agent-runtime.md, section 3: the file SCHEMA says what the folder follows, files are replaced and never edited.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from support_agent.documents import JsonObject, encode_line, load_object, objects_of, replace_file, text_of

SCHEMA = 2  # agent.yaml, state.schema
OLDER = (1,)  # agent.yaml, state.reads: `lines`, asked and answered in turn
MAX_TURNS = 20  # memory/state.schema.json


class StateUnreadable(Exception):
    """The state folder follows a schema that this release does not read. Nothing was changed."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer."""

    asked: str
    answered: str


class Memory:
    """The sessions under one state folder; without a folder, nothing is remembered."""

    def __init__(self, folder: Path | None) -> None:
        """Check the folder's schema and bring an older one up to date. Raises StateUnreadable."""
        self.folder = folder
        if folder is not None:
            upgrade(folder)

    def load_turns(self, session: str) -> list[Turn]:
        """Give what was said in `session`, oldest first."""
        path = self._path(session)
        if path is None or not path.exists():
            return []
        return [
            Turn(text_of(turn, "asked"), text_of(turn, "answered")) for turn in objects_of(load_object(path), "turns")
        ]

    def record_turn(self, session: str, turn: Turn) -> None:
        """Add `turn` and forget what is older than MAX_TURNS turns."""
        path = self._path(session)
        if path is None or self.folder is None:
            return
        if not (self.folder / "SCHEMA").exists():
            replace_file(self.folder / "SCHEMA", f"{SCHEMA}\n".encode())
        turns = [*self.load_turns(session), turn][-MAX_TURNS:]
        replace_file(path, encode_line(_session_document(session, turns)))

    def _path(self, session: str) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / "sessions" / f"{hashlib.sha256(session.encode()).hexdigest()[:32]}.json"


def upgrade(folder: Path) -> bool:
    """Bring `folder` to SCHEMA; True if anything was written. Safe to repeat after a crash. Raises StateUnreadable."""
    marker = folder / "SCHEMA"
    found = marker.read_text(encoding="utf-8").strip() if marker.exists() else str(SCHEMA)
    if found == str(SCHEMA):
        return False
    if found not in map(str, OLDER):
        known = ", ".join(map(str, (*OLDER, SCHEMA)))
        raise StateUnreadable(f"the state follows schema {found!r}; this release reads {known}")
    for path in sorted((folder / "sessions").glob("*.json")):
        document = load_object(path)
        if "turns" not in document:  # else it was rewritten before a crash
            replace_file(
                path, encode_line(_session_document(text_of(document, "session"), _turns_from_lines(document)))
            )
    replace_file(marker, f"{SCHEMA}\n".encode())  # last: until then the folder still says what it was
    return True


def _turns_from_lines(document: JsonObject) -> list[Turn]:
    lines = document.get("lines")
    if not isinstance(lines, list):
        raise ValueError("a session has neither turns nor lines")  # noqa: TRY004 - one error type for a bad document
    said = [str(line) for line in lines]
    return [Turn(asked, answered) for asked, answered in zip(said[::2], said[1::2], strict=False)][-MAX_TURNS:]


def _session_document(session: str, turns: list[Turn]) -> JsonObject:
    return {"session": session, "turns": [{"asked": turn.asked, "answered": turn.answered} for turn in turns]}
