from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bundle.requirements import check_requirements

HASH = "--hash=sha256:" + "a" * 64

LOCKED = {
    "one line": f"a==1.0 {HASH}\n",
    "continued": f"a==1.0 \\\n    {HASH} \\\n    {HASH}\n    # via b\n",
    "with extras": f"uvicorn[standard]==0.30.1 {HASH}",
    "with a marker": f"a==1.0 ; python_full_version < '3.12' and sys_platform == 'win32' \\\n    {HASH}",
    "with comments": f"# made by a tool\n\n--require-hashes\na==1.0 {HASH} # why\n",
    "windows line ends": f"a==1.0 \\\r\n    {HASH}\r\n",
    "a byte order mark": f"\ufeffa==1.0 {HASH}",
    "a local version": f"torch==2.3.1+cpu {HASH}",
    "an epoch": f"a==1!2.0.post1 {HASH}",
    "another hash": "a==1.0 --hash=sha512:" + "b" * 128,
    "nothing": "# no dependencies\n",
}
OPEN = {
    "no hash": "a==1.0",
    "a range": f"a>=1.0 {HASH}",
    "no version": f"a {HASH}",
    "a wildcard": f"a==1.* {HASH}",
    "a weak hash": "a==1.0 --hash=md5:" + "a" * 32,
    "a URL": f"a @ https://example.com/a.whl {HASH}",
    "a bare URL": f"https://example.com/a.whl {HASH}",
    "a path": "./a",
    "an editable": "-e .",
    "version control": "git+https://example.com/a",
    "another file": "-r other.txt",
    "an index": "--index-url https://example.com/simple",
    "an extra index": "--extra-index-url=https://example.com",
    "links": "--find-links ./wheels",
    "trust": "--trusted-host example.com",
    "a second one unpinned": f"a==1.0 {HASH}\nb==1.0\n",
    "hidden by a continuation": f"a==1.0 {HASH} \\\nb==1.0",
    "an option behind": f"a==1.0 {HASH} --global-option=x",
}


@pytest.mark.parametrize("case", LOCKED)
def test_a_file_in_which_every_line_is_pinned_and_hashed_is_locked(case: str) -> None:
    assert check_requirements(LOCKED[case].encode(), "lock.txt") == ()


@pytest.mark.parametrize("case", OPEN)
def test_a_line_that_leaves_a_choice_is_named(case: str) -> None:
    reasons = check_requirements(OPEN[case].encode(), "lock.txt")
    assert [reason.code for reason in reasons] == ["requirements-not-locked"]
    line = 2 if case == "a second one unpinned" else 1
    assert reasons[0].message.startswith(f"lock.txt:{line}: ")


def test_every_line_is_named() -> None:
    assert len(check_requirements(b"a\nb\n\nc==1\n", "x")) == 3


def test_another_encoding_is_refused() -> None:
    assert check_requirements(b"\xff\xfea", "x")[0].code == "requirements-not-locked"


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    check_requirements(text.encode("utf-8", "replace"), "x")
