"""What a check finds. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Problem(StrEnum):
    """A kind of finding; stable, for scripts."""

    OBJECT_MISSING = "object-missing"
    OBJECT_SIZE = "object-size-differs"
    OBJECT_CHECKSUM = "object-checksum-differs"
    OBJECT_BYTES = "object-bytes-differ"
    OBJECT_WITHOUT_ROW = "object-without-row"
    OBJECT_ELSEWHERE = "object-of-unknown-path"
    BLOB_ROW_MISSING = "blob-row-missing"
    CONTENT_MISSING = "content-missing"
    LINK_MISSING = "link-missing"
    LINK_OF_NOTHING = "link-of-nothing"
    MANIFEST_BYTES = "manifest-bytes-differ"
    MANIFEST_ROW = "manifest-row-differs"
    EDGE_MISSING = "edge-missing"
    EDGE_UNKNOWN = "edge-unknown"
    RELEASE_INCOMPLETE = "release-incomplete"
    RELEASE_QUARANTINED = "release-in-quarantine"
    EVIDENCE_DIFFERS = "evidence-differs"
    ENTRY_MISSING = "entry-missing"
    ENTRY_DIFFERS = "entry-differs"
    RECORD_MISSING = "record-missing"
    MEMBER_MISSING = "member-missing"
    BEING_REMOVED = "being-removed"
    LOG_AHEAD = "log-ahead"
    LOG_BEHIND = "log-behind"
    LOG_FORKED = "log-forked"
    LOG_ENTRY_DIFFERS = "log-entry-differs"


# harmless: left by uploads or collections that nobody ended, and taken away by garbage collection
NOTES = frozenset({Problem.OBJECT_WITHOUT_ROW, Problem.OBJECT_ELSEWHERE, Problem.BEING_REMOVED})

OF_OBJECTS = frozenset({Problem.OBJECT_MISSING, Problem.OBJECT_SIZE, Problem.OBJECT_CHECKSUM, Problem.OBJECT_BYTES})

# what `--repair` does about it, from what the registry can prove by itself; all else stays as it is
REPAIRS = {
    Problem.BLOB_ROW_MISSING: "read the object, and write the row again if its bytes have the digest",
    Problem.LINK_MISSING: "write the link that the manifest implies",
    Problem.LINK_OF_NOTHING: "remove the link, as there is neither a row nor an object",
    Problem.MANIFEST_ROW: "write again what the row repeats of the manifest's bytes",
    Problem.EDGE_MISSING: "write what the manifest names",
    Problem.RELEASE_QUARANTINED: "set free what the release reaches",
}


@dataclass(slots=True)
class Finding:
    """One thing that is not as it should be. `where`: a namespace for objects and blobs, else an agent.

    `breaks`: releases that cannot be pulled, or verified, because of it, as `agent:version`. `done`: what was done.
    """

    problem: Problem
    where: str
    digest: str
    found: str = ""
    expected: str = ""
    breaks: tuple[str, ...] = ()
    done: str | None = field(default=None)

    @property
    def is_note(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem in NOTES

    @property
    def namespace(self) -> str:
        """The namespace that it is in."""
        return self.where.partition("/")[0]

    def as_json(self) -> dict[str, object]:
        """Give the members that say anything."""
        said: dict[str, object] = {
            "code": str(self.problem),
            "where": self.where,
            "digest": self.digest,
            "found": self.found,
            "expected": self.expected,
            "breaks": list(self.breaks),
            "done": self.done,
        }
        return {name: value for name, value in said.items() if value}
