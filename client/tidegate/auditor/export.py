"""The log for other systems: one line for each entry, as JSON or as OCSF events. Spec page: docs/spec/log-export.md.

Every line carries its entry's index and leaf hash: nobody need believe the exporter about the order, or that nothing is
missing, and with the log's tiles nobody need believe it about the entry.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tidegate.auditor.follow import Follower, Proven, position_at
from tidegate.auditor.ocsf import OCSF_VERSION, to_ocsf
from tidegate.auditor.position import Position
from tidegate.errors import InvalidInput
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.moment import any_moment

Write = Callable[[Proven], JsonObject]


def to_jsonl(proven: Proven) -> JsonObject:
    """Give an entry with its index and leaf hash; one that cannot be read as its bytes in base64."""
    if proven.entry is None:
        return {"index": proven.index, "leaf": proven.leaf, "entry": None, "raw": _base64(proven.raw)}
    entry = parse_object(proven.raw, limit=len(proven.raw), what="an entry")
    return {"index": proven.index, "leaf": proven.leaf, "entry": entry}


def ocsf_writer(product_version: str) -> Write:
    """Give what writes OCSF events. `product_version`: of this exporter."""

    def write(proven: Proven) -> JsonObject:
        origin = proven.head.head.checkpoint.origin
        if proven.entry is None:
            return _unreadable(proven, origin, product_version)
        return to_ocsf(proven.entry, origin=origin, leaf=proven.leaf, product_version=product_version)

    return write


def text_line(document: JsonObject) -> bytes:
    """Write a document in one line of ASCII: no terminal that shows it obeys anything in it."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Bound:
    """Where an export begins or ends: at an index, or at a time of entries."""

    index: int | None = None
    at: datetime | None = None

    @classmethod
    def parse(cls, text: str, flag: str) -> Bound:
        """Read `--since` or `--until`: a number, or a time such as 2026-11-03T09:00:00Z. Raises InvalidInput."""
        if text.isascii() and text.isdigit() and len(text) < 16:  # noqa: PLR2004 - no log has 10^15 entries
            return cls(index=int(text))
        moment = any_moment(text)
        if moment is None:
            raise InvalidInput(
                f"{flag} names neither an entry nor a time",
                code="log-bound",
                found=text[:80],
                expected="an index, or a time such as 2026-11-03T09:00:00Z",
            )
        return cls(at=moment)


@dataclass(frozen=True, slots=True)
class Window:
    """Which entries are exported: from `since` on, up to and not with `until`. An unreadable entry always is."""

    since: Bound | None = None
    until: Bound | None = None

    def holds(self, proven: Proven) -> bool:
        """Whether an entry is within, each looked at for itself: an entry's time may be before that of the last."""
        begins = self.since is None or not _is_before(proven, self.since, unreadable=False)
        return begins and (self.until is None or _is_before(proven, self.until, unreadable=True))

    def ends_before(self, index: int) -> bool:
        """Whether no entry from `index` on can be within."""
        return self.until is not None and self.until.index is not None and index >= self.until.index


Sink = Callable[[bytes], None]
"""Takes whole lines, to which more will be added; they are kept when it returns."""


class Exporter:
    """Writes what `follower` reads. `save`: notes how far; after each line if `by_line`, else after each bundle."""

    def __init__(
        self,
        follower: Follower,
        write: Write,
        sink: Sink,
        *,
        window: Window,
        save: Callable[[Position], None] = lambda _: None,
        by_line: bool = False,
    ) -> None:
        self._follower, self._write, self._sink = follower, write, sink
        self._window, self._save, self._by_line = window, save, by_line
        self.count = 0
        if window.since is not None and window.since.index is not None:
            follower.next = max(follower.next, window.since.index)

    @property
    def is_over(self) -> bool:
        """Whether everything was written that the window will ever hold."""
        return self._window.ends_before(self._follower.next)

    def round(self) -> None:
        """Write what the log has by now. Raises what following and the sink raise."""
        if self.is_over:
            return
        audited = self._follower.poll()
        reader = audited.reader()
        for part in self._follower.unread(audited, reader):
            inside = [each for each in part if not self._window.ends_before(each.index)]
            for some in [[each] for each in inside] if self._by_line else [inside]:
                wanted = [each for each in some if self._window.holds(each)]
                if wanted:
                    self._sink(b"".join(text_line(self._write(each)) for each in wanted))
                    self.count += len(wanted)
                if some:
                    self._save(position_at(audited, reader, some[-1].index + 1))
            if len(inside) < len(part):
                self._follower.next = inside[-1].index + 1 if inside else part[0].index
                return


def _is_before(proven: Proven, bound: Bound, *, unreadable: bool) -> bool:
    """Whether an entry is before `bound`. `unreadable`: the answer for one whose time nobody can read."""
    if bound.index is not None:
        return proven.index < bound.index
    return unreadable if proven.entry is None or bound.at is None else proven.entry.at < bound.at


def _unreadable(proven: Proven, origin: str, product_version: str) -> JsonObject:
    """Give a base event: of an entry that nobody can read there is nothing to say but that it is there."""
    return {
        "activity_id": 99,
        "activity_name": "entry-unreadable",
        "category_uid": 0,
        "category_name": "Uncategorized",
        "class_uid": 0,
        "class_name": "Base Event",
        "type_uid": 99,
        "type_name": "Base Event: Other",
        "time": 0,
        "severity_id": 4,
        "severity": "High",
        "message": f"entry {proven.index} of the log cannot be read: {proven.problem}",
        "metadata": {
            "version": OCSF_VERSION,
            "uid": proven.leaf,
            "event_code": "entry-unreadable",
            "log_name": origin,
            "log_provider": "Tidegate",
            "sequence": proven.index,
            "product": {"name": "Tidegate", "vendor_name": "Tidegate", "version": product_version},
        },
        "raw_data": _base64(proven.raw),
        "unmapped": {"index": proven.index, "leaf": proven.leaf},
    }


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
