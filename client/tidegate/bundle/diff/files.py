"""Files, by path: which came, went or changed, and what that demands."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tidegate.bundle.diff.model import Change, ComponentSize, FileChange, Part, Sign
from tidegate.bundle.diff.step import Step
from tidegate.formats.config import AgentConfig, FileEntry, Kind

TOLD_ONE_BY_ONE = frozenset({Kind.PROMPTS, Kind.SKILLS})  # their words are what the agent is told to do


def compare_files(before: AgentConfig, after: AgentConfig) -> Iterator[FileChange]:
    """Give every file that is not the same on both sides, by path."""
    one, two = ({entry.path: entry for entry in config.files} for config in (before, after))
    for path in sorted({*one, *two}):
        change = _compare(one.get(path), two.get(path))
        if change is not None:
            yield change


def _compare(one: FileEntry | None, two: FileEntry | None) -> FileChange | None:
    if one is not None and two is not None:
        if one == two:
            return None
        was = None if one.component is two.component else one.component
        same = one.sha256 == two.sha256
        return FileChange(two.path, two.component, was, Sign.CHANGED, one.size, two.size, one.mode, two.mode, same)
    if two is not None:
        return FileChange(two.path, two.component, None, Sign.ADDED, None, two.size, None, two.mode, same_bytes=False)
    if one is not None:
        return FileChange(one.path, one.component, None, Sign.REMOVED, one.size, None, one.mode, None, same_bytes=False)
    return None


def file_demands(changes: Sequence[FileChange]) -> Iterator[Change]:
    """Give the changes that files amount to: of prompts and skills one by one, of the rest by component.

    What a comparison of bytes cannot tell is left to the author: it demands a patch.
    """
    rest: defaultdict[Kind, list[tuple[Sign, str]]] = defaultdict(list)
    for change in changes:
        for kind, sign in _where(change):
            if kind in TOLD_ONE_BY_ONE:
                what = "prompt" if kind is Kind.PROMPTS else "skill"
                message = "mode changed" if change.same_bytes and change.was is None else str(sign)
                yield Change(Part(kind), f"{what}-{sign}", sign, change.path, Step.PATCH, message)
            else:
                rest[kind].append((sign, change.path))
    for kind, found in rest.items():
        counts = Counter(sign for sign, _ in found)
        parted = f"({', '.join(f'{counts[sign]} {sign}' for sign in Sign if counts[sign])})"
        subject = found[0][1] if len(found) == 1 else f"{len(found)} files"
        step = Step.MINOR if kind is Kind.WEIGHTS else Step.PATCH
        told = found[0][0] if len(counts) == 1 else Sign.CHANGED
        message = parted if len(counts) > 1 else str(told)
        yield Change(Part(kind), f"{kind}-changed", told, subject, step, message)


def _where(change: FileChange) -> tuple[tuple[Kind, Sign], ...]:
    """Say of which components it is a change: a file that moved went from one and came to another."""
    if change.was is None:
        return ((Kind(change.component), change.sign),)
    return ((Kind(change.was), Sign.REMOVED), (Kind(change.component), Sign.ADDED))


def compare_sizes(before: AgentConfig, after: AgentConfig) -> Iterator[ComponentSize]:
    """Give the layers of both sides, in their order."""
    one, two = ({(each.kind, each.path): each for each in config.components} for config in (before, after))
    for kind, path in dict.fromkeys((*one, *two)):
        old, new = one.get((kind, path)), two.get((kind, path))
        same = old is not None and new is not None and old.content_digest == new.content_digest
        yield ComponentSize(kind, path, old.size if old else None, new.size if new else None, same)
