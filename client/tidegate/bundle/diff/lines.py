"""Unified differences of texts, in bounded time: Myers' greedy algorithm, given up where little is common.

Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). difflib takes minutes on texts that are
made for it, and prompts come from strangers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONTEXT = 3  # lines around a change, as diff -u
MAX_EDITS = 1000  # lines added and removed in one file; beyond, the file counts as rewritten
MAX_LINE = 2000  # characters of a line that are told


@dataclass
class Budget:
    """What is left for comparing: `edits` steps, and `lines` to tell."""

    edits: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines `one_start:one_end` of the old text became `two_start:two_end` of the new one."""

    one_start: int
    one_end: int
    two_start: int
    two_end: int


def unified(before: str, after: str, budget: Budget, *, most: int) -> tuple[tuple[str, ...], str | None]:
    """Give the lines of a unified difference, at most `most` of them, and what was left out, if anything was.

    Lines end at a line feed alone: other characters that some programs take for an end are part of the line.
    """
    one, two = _lines(before), _lines(after)
    blocks = _blocks(one, two, budget)
    left_out = None
    if blocks is None:
        blocks, left_out = [_Block(0, len(one), 0, len(two))], "rewritten: too little is common to compare line by line"
    found: list[str] = []
    room = min(most, budget.lines)
    for line in _hunks(one, two, blocks):
        if len(found) == room:
            left_out = f"more than {room} lines" if left_out is None else f"{left_out}; more than {room} lines"
            break
        found.append(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}… ({len(line) - 1} characters)")
    budget.lines -= len(found)
    return tuple(found), left_out


def _lines(text: str) -> list[str]:
    """Split at line feeds. A text that does not end in one has a last line that says so."""
    if not text:
        return []
    lines = text.split("\n")
    if lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], f"{lines[-1]}\n\\ No newline at end of file"]


def _hunks(one: Sequence[str], two: Sequence[str], blocks: Sequence[_Block]) -> Iterator[str]:
    group: list[_Block] = []
    for block in blocks:
        if group and block.one_start - group[-1].one_end > 2 * CONTEXT:
            yield from _hunk(one, two, group)
            group = []
        group.append(block)
    if group:
        yield from _hunk(one, two, group)


def _hunk(one: Sequence[str], two: Sequence[str], group: Sequence[_Block]) -> Iterator[str]:
    first, last = group[0], group[-1]
    lead = min(CONTEXT, first.one_start)
    trail = min(CONTEXT, len(one) - last.one_end)
    starts = first.one_start - lead, first.two_start - lead
    counts = last.one_end + trail - starts[0], last.two_end + trail - starts[1]
    yield f"@@ -{_span(starts[0], counts[0])} +{_span(starts[1], counts[1])} @@"
    at = starts[0]
    for block in group:
        yield from _marked(" ", one[at : block.one_start])
        yield from _marked("-", one[block.one_start : block.one_end])
        yield from _marked("+", two[block.two_start : block.two_end])
        at = block.one_end
    yield from _marked(" ", one[at : at + trail])


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        text, _, note = line.partition("\n")
        yield f"{mark}{text}"
        if note:
            yield note


def _span(start: int, count: int) -> str:
    """Write a range as diff does: from 1, and from the line before when it is empty."""
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _blocks(one: Sequence[str], two: Sequence[str], budget: Budget) -> list[_Block] | None:
    """Give what changed, in order; None when it would take too long to find out."""
    lead = _common(one, two)
    trail = _common(one[lead:][::-1], two[lead:][::-1])
    middle = _path(one[lead : len(one) - trail], two[lead : len(two) - trail], budget)
    if middle is None:
        return None
    blocks: list[_Block] = []
    for left, right, removed in middle:
        start = _Block(left + lead, left + lead + removed, right + lead, right + lead + 1 - removed)
        if blocks and (blocks[-1].one_end, blocks[-1].two_end) == (start.one_start, start.two_start):
            blocks[-1] = _Block(blocks[-1].one_start, start.one_end, blocks[-1].two_start, start.two_end)
        else:
            blocks.append(start)
    return blocks


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    return next(
        (at for at, (left, right) in enumerate(zip(one, two, strict=False)) if left != right), min(len(one), len(two))
    )


def _path(one: Sequence[str], two: Sequence[str], budget: Budget) -> list[tuple[int, int, bool]] | None:
    """Give single edits in order: position in `one` and `two`, and whether a line of `one` goes or one of `two` comes.

    `reach[k]`: how far in `one` the diagonal `k` was followed; kept for each number of edits, to walk back.
    """
    size = len(one) + len(two)
    reach = {1: 0}
    history: list[dict[int, int]] = []
    for edits in range(min(size, MAX_EDITS) + 1):
        history.append({k: reach[k] for k in range(-edits + 1, edits, 2)})
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and reach.get(k - 1, -1) < reach.get(k + 1, -1))
            left = reach[k + 1] if down else reach[k - 1] + 1
            started, right = left, left - k
            while left < len(one) and right < len(two) and one[left] == two[right]:
                left, right = left + 1, right + 1
            budget.edits -= 1 + left - started
            reach[k] = left
            if left >= len(one) and right >= len(two):
                return _walk_back(history, len(one), len(two))
        if budget.edits < 0:
            return None
    return None


def _walk_back(history: Sequence[dict[int, int]], left: int, right: int) -> list[tuple[int, int, bool]]:
    found = []
    for edits in range(len(history) - 1, 0, -1):
        reach, k = history[edits], left - right
        down = k == -edits or (k != edits and reach.get(k - 1, -1) < reach.get(k + 1, -1))
        before = k + 1 if down else k - 1
        left = reach[before]
        right = left - before
        found.append((left, right, not down))
    return found[::-1]
