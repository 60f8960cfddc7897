#!/usr/bin/env python3
"""Write what is known of the audit log's entries from the event classes: their schema, their table, their vectors.

scripts/entries_doc.py            writes docs/spec/log-entry.schema.json, the table in docs/spec/log-entries.md and
                                  tests/vectors/entries
scripts/entries_doc.py --check    fails when they are not what would be written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.registry.entry_recipes import FOLDER, recipes  # noqa: E402 - after the path is set
from tidegate_registry.audit.events import Actor  # noqa: E402
from tidegate_registry.entry_types import Member, event_types, members_of, schema, summary  # noqa: E402

SCHEMA = ROOT / "docs" / "spec" / "log-entry.schema.json"
PAGE = ROOT / "docs" / "spec" / "log-entries.md"
BEGIN, END = "<!-- types: written by scripts/entries_doc.py -->", "<!-- end of types -->"


def main() -> int:
    """Write or check."""
    wanted = {SCHEMA: (json.dumps(schema(), indent=2, ensure_ascii=False) + "\n").encode(), PAGE: _page()}
    wanted |= {FOLDER / name: raw for name, raw in recipes().items()}
    stale = [path for path, raw in wanted.items() if not path.is_file() or path.read_bytes() != raw]
    extra = [path for path in FOLDER.glob("*") if path not in wanted]
    if "--check" in sys.argv[1:]:
        for path in (*stale, *extra):
            print(f"{path.relative_to(ROOT)} is out of date: run scripts/entries_doc.py", file=sys.stderr)
        return bool(stale or extra)
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        path.write_bytes(wanted[path])
    for path in extra:
        path.unlink()
    return 0


def _page() -> bytes:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(_tables())
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}".encode()


def _tables() -> Iterator[str]:
    for kind in event_types():
        yield f"### `{kind.type}`, version {kind.entry_version}\n"
        yield f"{summary(kind)}\n"
        yield "| member | what | always |\n| --- | --- | --- |"
        for member in members_of(kind):
            yield f"| `{member.name}` | {_what(member)} | {'yes' if member.is_required else ''} |"
        yield ""


def _what(member: Member) -> str:
    if member.form is not None:
        unit = "characters" if member.annotation is str else "items"
        return f"{member.form.name}, at most {member.form.most:,} {unit}"
    named = {int: "number", bool: "true or false", datetime: "time", Actor: "actor"}
    return next((word for kind, word in named.items() if kind is member.annotation), "object")


if __name__ == "__main__":
    sys.exit(main())
