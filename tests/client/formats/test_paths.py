from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.formats.paths import check_path, check_tree, printable, windows_warning

CYRILLIC_COP = "\u0441\u043e\u0440"
SEGMENTS = st.text(string.ascii_lowercase + string.digits + "._-", min_size=1, max_size=12).filter(
    lambda text: text not in {".", ".."}
)


@pytest.mark.parametrize(
    "path",
    [
        "main.py",
        ".hidden/file",
        "a b/c d.txt",
        "prompts/überschrift.md",
        "отчёт-API.md",
        "日本語.md",
        "Pythonの.md",
        "10µm.txt",
        "x+y=z@1,2;3!#$%&'()[]{}~^`.txt",
        "aux",
        "a" * 255,
        "/".join(["d"] * 31 + ["f"]),
    ],
)
def test_a_name_that_means_one_file_everywhere_is_accepted(path: str) -> None:
    assert check_path(path) == ()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "path-empty"),
        ("/a", "path-absolute"),
        ("//server/share", "path-absolute"),
        ("c:", "path-absolute"),
        ("a/..", "path-parent"),
        ("./a", "path-not-normal"),
        ("a//b", "path-not-normal"),
        ("a\\b", "path-backslash"),
        ("a\tb", "path-control"),
        ("a\x7f", "path-control"),
        ("a\u0085b", "path-control"),
        ("a\u2028b", "path-control"),
        ("a\u200db", "path-invisible"),
        ("a\u00adb", "path-invisible"),
        ("\ufeffa", "path-invisible"),
        ("a\u2066b", "path-invisible"),
        ("a\u3164b", "path-invisible"),
        ("a\u3000b", "path-invisible"),
        ("e\u0301", "path-not-nfc"),
        ("\ufa00", "path-not-nfc"),
        ("a\ue000", "path-unassigned"),
        ("a\U000e0100", "path-invisible"),
        ("\udc80", "path-not-utf8"),
        ("p\u0430ypal", "path-mixed-script"),
        ("\uff41bc", "path-mixed-script"),
        ("b" * 256, "path-too-long"),
        ("ä" * 128, "path-too-long"),
        ("/".join(["c" * 250] * 5), "path-too-long"),
        ("/".join("d" * 33), "path-too-deep"),
    ],
)
def test_a_name_that_could_deceive_is_refused(path: str, code: str) -> None:
    assert code in {reason.code for reason in check_path(path)}


def test_the_message_shows_what_a_terminal_would_hide() -> None:
    assert "txt.\\u{202e}yp" in check_path("txt.\u202eyp")[0].message


@pytest.mark.parametrize(
    "paths",
    [
        ["l1", "ll", "lI"],
        ["modern", "modem"],
        ["a/b", "a/c"],
        ["ä", "a"],
        ["o", "0", "O0"],
        ["résumé.md", "resume.md"],
        [f"{CYRILLIC_COP}.md", "cot.md"],
    ],
)
def test_names_that_people_tell_apart_may_stand_side_by_side(paths: list[str]) -> None:
    assert check_tree(paths) == ()


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["a", "a"], "path-duplicate"),
        (["a", "a/b"], "path-conflict"),
        (["a/b/c", "a/b"], "path-conflict"),
        (["README", "readme"], "path-confusable"),
        (["Docs/a", "docs/b"], "path-confusable"),
        (["A", "a/b"], "path-confusable"),
        (["Maße", "MASSE"], "path-confusable"),
        (["ﬁx", "fix"], "path-confusable"),
        (["Å", "\u212b"], "path-confusable"),
        ([CYRILLIC_COP, "cop"], "path-confusable"),
        ([CYRILLIC_COP.upper(), "cop"], "path-confusable"),
        (["\u0399ib", "lib"], "path-confusable"),
        (["m\u0435", "me"], "path-confusable"),
        (["l\u0435", "1e"], "path-confusable"),
    ],
    ids=range(14),
)
def test_names_that_some_system_or_reader_takes_for_one_are_refused(paths: list[str], code: str) -> None:
    assert code in {reason.code for reason in check_tree(paths)}
    assert code in {reason.code for reason in check_tree(reversed(paths))}


@pytest.mark.parametrize("path", ["aux", "src/CON.txt", "ab:c.txt", "what?", "end.", "end ", "com1.log", "a|b", "lpt¹"])
def test_names_that_windows_cannot_hold_are_worth_a_warning(path: str) -> None:
    assert windows_warning(path)
    assert not check_path(path)


@pytest.mark.parametrize("path", ["auxiliary", "console.txt", "com10", "a.b.c", " a"])
def test_names_that_windows_can_hold_are_not(path: str) -> None:
    assert windows_warning(path) is None


@given(st.lists(st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join), unique=True, max_size=30))
def test_ascii_names_are_judged_by_case_and_folders_alone(paths: list[str]) -> None:
    folders = {path[:at] for path in paths for at in range(len(path)) if path[at] == "/"}
    assert bool(check_tree(paths)) == bool(folders & set(paths))


@given(st.text(max_size=50))
def test_no_text_breaks_the_rules_themselves(text: str) -> None:
    check_path(text)
    check_tree([text, text.upper(), text.lower()])
    assert printable(text).isprintable()


def test_many_look_alikes_are_judged_in_linear_time() -> None:
    names = [f"{number:016b}".replace("0", "l") for number in range(20_000)]
    assert len(check_tree([*names, "\u0435"])) == 0
