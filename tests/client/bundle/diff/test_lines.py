"""Unified differences: they apply, they are those of diff -u, and nobody can make them slow."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from tidegate.bundle.diff.lines import MAX_LINE, Budget, unified

TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n"]), max_size=30).map("".join)


def plain(before: str, after: str, *, most: int = 10_000, edits: int = 1_000_000) -> tuple[list[str], str | None]:
    lines, left_out = unified(before, after, Budget(edits, 10_000), most=most)
    return list(lines), left_out


def test_it_reads_as_diff_does() -> None:
    before = "".join(f"{number}\n" for number in range(1, 21))
    after = before.replace("3\n", "three\n", 1).replace("18\n", "", 1)
    lines, left_out = plain(before, after)
    expected = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
    assert lines == list(expected)[2:]
    assert left_out is None
    assert plain("", "a\n") == (["@@ -0,0 +1 @@", "+a"], None)
    assert plain("a\n", "a\n") == ([], None)


def test_a_missing_line_feed_at_the_end_is_a_difference() -> None:
    lines, _ = plain("a\nb", "a\nb\n")
    assert lines == ["@@ -1,2 +1,2 @@", " a", "-b", "\\ No newline at end of file", "+b"]


def applied(before: str, lines: list[str]) -> str:
    """Do what `patch` does, for texts that end in a line feed."""
    old, new, at = before.splitlines(keepends=True), [], 0
    for line in lines:
        if line.startswith("@@"):
            start, _, count = line.split()[1].removeprefix("-").partition(",")
            first = int(start) - (count != "0")
            new += old[at:first]
            at = first
        elif line[0] in " -":
            assert old[at] == f"{line[1:]}\n"
            at += 1
        if line[0] in " +":
            new.append(f"{line[1:]}\n")
    return "".join((*new, *old[at:]))


@given(TEXTS, TEXTS)
def test_what_it_tells_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    lines, _ = plain(before, after)
    assert applied(before, lines) == after


def test_texts_that_are_made_to_be_slow_are_given_up() -> None:
    before, after = "a\nb\n" * 20_000, "b\nb\na\n" * 20_000
    lines, left_out = plain(before, after, most=50)
    assert len(lines) == 50
    assert left_out == "rewritten: too little is common to compare line by line; more than 50 lines"
    _, left_out = plain("a\n" * 50, "b\n" * 50, edits=100)
    assert left_out is not None


def test_long_lines_are_cut_and_say_so() -> None:
    lines, _ = plain("", "x" * 10_000 + "\n")
    assert len(lines[1]) < MAX_LINE + 40
    assert lines[1].endswith("… (10000 characters)")


def test_what_other_programs_take_for_a_line_end_is_part_of_the_line() -> None:
    lines, _ = plain("", "a\x0bb\u2028c\rd\n")
    assert lines == ["@@ -0,0 +1 @@", "+a\x0bb\u2028c\rd"]
