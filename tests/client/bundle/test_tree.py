from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.client.bundle.agents import AGENT_YAML, build_agent, read_tree, write_agent
from tidegate.bundle.build import build
from tidegate.bundle.globs import DEFAULT_IGNORES, IgnoreRules
from tidegate.bundle.tree import scan_tree
from tidegate.bundle.unpack import unpack
from tidegate.errors import AgentFileInvalid, Reason, SourceTreeInvalid

ROOT = Path(__file__).parents[3]


def refused(folder: Path) -> tuple[Reason, ...]:
    with pytest.raises(SourceTreeInvalid) as caught:
        build(folder, folder / ".tidegate" / "layout")
    return caught.value.reasons


def paths(folder: Path, *ignore: str) -> list[str]:
    return [file.path for file in scan_tree(folder, ignore).files]


# -- ignored files ----------------------------------------------------------------------------------------------------

GITIGNORE = [  # gitignore(5)
    (["*.log"], "a/b.log", True),
    (["*.log"], "a/b.txt", False),
    (["/x"], "x", True),
    (["/x"], "a/x", False),
    (["a/x"], "b/a/x", False),
    (["a/*"], "a/x", True),
    (["a/*"], "a/b/x", False),
    (["**/x"], "a/b/x", True),
    (["a/**/x"], "a/x", True),
    (["a/**/x"], "a/b/c/x", True),
    (["a/**"], "a/b/c", True),
    (["x", "!x"], "x", False),
    (["!x", "x"], "x", True),
    (["*.py", "!keep.py"], "a/keep.py", False),
    (["x/"], "x", False),
    (["# x"], "# x", False),
    (["\\#x"], "#x", True),
    (["\\!x"], "!x", True),
    (["x  "], "x", True),
    (["x\\ "], "x ", True),
    (["", "/", "!"], "x", False),
    (["[ab].txt"], "b.txt", True),
    (["[!a].txt"], "a.txt", False),
    (["?.txt"], "ab.txt", False),
    (["*"], ".hidden", True),
    (["X"], "x", False),
    (["{a,b}"], "a", False),
]


@pytest.mark.parametrize(("lines", "path", "ignored"), GITIGNORE, ids=range(len(GITIGNORE)))
def test_patterns_mean_what_they_mean_to_git(lines: list[str], path: str, *, ignored: bool) -> None:
    assert IgnoreRules(lines).ignores(path, is_folder=False) is ignored


def test_nothing_below_an_ignored_folder_comes_back(tmp_path: Path) -> None:
    write_agent(tmp_path, {"a/b.txt": "", "c/d.txt": "", ".tidegateignore": "a/\n!a/b.txt\nc/*\n!c/d.txt\n"})
    assert paths(tmp_path) == [".tidegateignore", "agent.yaml", "c/d.txt", "main.py"]


def test_what_no_agent_needs_is_ignored_without_being_named(tmp_path: Path) -> None:
    files = [".git/HEAD", "src/__pycache__/x.pyc", ".venv/bin/python", ".env", "a/.env.local", ".DS_Store", "x.pyc"]
    write_agent(tmp_path, dict.fromkeys(files, "") | {".env.example": "", "src/x.py": ""})
    assert paths(tmp_path) == [".env.example", "agent.yaml", "main.py", "src/x.py"]


def test_agent_yaml_cannot_be_ignored_and_anything_else_can_be_taken_back(tmp_path: Path) -> None:
    write_agent(tmp_path, {".env": "x"})
    assert paths(tmp_path, "*", "!.env") == [".env", "agent.yaml"]


def test_the_list_of_the_specification_is_the_one_in_the_code() -> None:
    page = (ROOT / "docs" / "spec" / "bundle.md").read_text()
    listed = page.split("### Ignored files")[1].split("## Image layout")[0].split("part of this format:")[1]
    assert tuple(listed.replace("`", "").split()) == DEFAULT_IGNORES


# -- links, devices and other things ----------------------------------------------------------------------------------


def test_a_link_to_a_file_of_the_bundle_becomes_that_file(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", {"AGENTS.md": "# Rules\n"})
    (folder / "CLAUDE.md").symlink_to("AGENTS.md")
    (folder / "run").symlink_to(folder / "main.py")
    built = build(folder, tmp_path / "layout")
    unpack(built.manifest, built.layout.open_blob, tmp_path / "dest")
    tree = read_tree(tmp_path / "dest")
    assert tree["CLAUDE.md"] == tree["AGENTS.md"]
    assert tree["run"] == (b"print('hello')\n", True)
    assert not (tmp_path / "dest" / "CLAUDE.md").is_symlink()
    assert build(tmp_path / "dest", tmp_path / "again").manifest.digest == built.manifest.digest


def test_every_link_that_leads_elsewhere_is_named_in_one_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = write_agent(tmp_path / "agent", {"lib/x.py": "", ".env": "secret"})
    for name, target in {
        "absolute": "/etc/passwd",
        "parent": "../secret",
        "folder": "lib",
        "dangling": "nowhere",
        "ignored": ".env",
        "loop": "loop",
        "self": ".",
    }.items():
        (folder / name).symlink_to(target)
    reasons = {reason.message.rpartition(" ")[2]: reason.code for reason in refused(folder)}
    assert reasons == {
        "absolute": "link-outside",
        "parent": "link-outside",
        "folder": "link-to-folder",
        "dangling": "link-dangling",
        "ignored": "link-to-ignored",
        "loop": "link-dangling",
        "self": "link-to-folder",
    }


def test_a_link_through_a_folder_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("x")
    folder = write_agent(tmp_path / "agent", {})
    (folder / "deep").symlink_to(tmp_path / "outside" / "x")
    assert [reason.code for reason in refused(folder)] == ["link-outside"]


def test_a_link_that_is_ignored_is_no_matter(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", {".tidegateignore": "/passwd\n"})
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / ".venv").symlink_to("/usr")
    assert "passwd" not in paths(folder)


def test_pipes_sockets_and_devices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_agent(tmp_path, {})
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        reasons = refused(folder)
    assert sorted((reason.code, reason.message.rpartition("; ")[2]) for reason in reasons) == [
        ("not-a-file", "a named pipe: pipe"),
        ("not-a-file", "a socket: socket"),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_refused(tmp_path: Path) -> None:
    folder = write_agent(tmp_path, {})
    try:
        os.mknod(folder / "null", 0o600 | 0o020000, os.makedev(1, 3))
    except OSError as error:
        pytest.skip(f"no device can be made here: {error}")
    assert [reason.code for reason in refused(folder)] == ["not-a-file"]


def test_every_name_that_cannot_be_unpacked_everywhere_is_refused(tmp_path: Path) -> None:
    folder = write_agent(
        tmp_path, {"README": "", "readme": "", "zero\u200bwidth": "", "e\u0301": "", "back\\slash": ""}
    )
    (folder / os.fsdecode(b"latin-\xe9")).write_text("")
    codes = {reason.code for reason in refused(folder)}
    assert codes == {"path-confusable", "path-invisible", "path-not-nfc", "path-backslash", "path-not-utf8"}


def test_names_that_windows_cannot_hold_are_warned_of(tmp_path: Path) -> None:
    built = build_agent(tmp_path, {"docs/aux.md": ""})
    assert built.warnings == ("docs/aux.md: `aux.md` is a device name on Windows",)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can read everything")
    folder = write_agent(tmp_path, {"a": "", "b": ""})
    (folder / "a").chmod(0)
    (folder / "b").chmod(0)
    assert [reason.code for reason in refused(folder)] == ["unreadable", "unreadable"]


def test_a_file_that_was_swapped_before_it_is_opened_is_refused_even_if_it_is_swapped_back(tmp_path: Path) -> None:
    write_agent(tmp_path, {"a": "mine"})
    file = next(file for file in scan_tree(tmp_path).files if file.path == "a")
    (tmp_path / "a").rename(tmp_path / "aside")
    (tmp_path / "a").write_text("evil")
    opened = file.open()
    with pytest.raises(SourceTreeInvalid) as caught:
        opened.__enter__()
    assert caught.value.reasons[0].code == "file-changed"
    (tmp_path / "aside").replace(tmp_path / "a")
    assert file.read(4) == b"mine"


# -- components --------------------------------------------------------------------------------------------------------


def mistakes(tmp_path: Path, components: str, files: dict[str, str]) -> tuple[Reason, ...]:
    folder = write_agent(tmp_path, {"agent.yaml": f"{AGENT_YAML}components: {components}\n", **files})
    with pytest.raises(AgentFileInvalid) as caught:
        build(folder, tmp_path / "layout")
    return caught.value.reasons


def test_a_file_of_two_components_is_refused(tmp_path: Path) -> None:
    (reason,) = mistakes(tmp_path, "{prompts: '**/*.md', docs: docs/**}", {"docs/a.md": "", "b.md": ""})
    assert reason.code == "component-twice"
    assert reason.message == "agent.yaml:5: components.docs: docs/a.md belongs to two components, prompts and docs"


def test_a_glob_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    (reason,) = mistakes(tmp_path, "{prompts: [a.md, promts/**]}", {"a.md": ""})
    assert reason.code == "glob-matches-nothing"
    assert reason.message.startswith("agent.yaml:5: components.prompts[1]")
    assert reason.found == "promts/**"


def test_globs_choose_folders_files_and_exceptions(tmp_path: Path) -> None:
    components = "{prompts: [./p/, 'q/*.txt', '!p/no.md'], docs: ['**/*.rst']}"
    files = dict.fromkeys(["p/a/b.md", "p/no.md", "q/x.txt", "q/d/x.txt", "r/s.rst", "P/c.md2"], "")
    files.pop("P/c.md2")
    built = build_agent(tmp_path, {"agent.yaml": f"{AGENT_YAML}components: {components}\n", **files})
    assert {entry.path: str(entry.component) for entry in built.config.files} == {
        "agent.yaml": "docs",
        "main.py": "code",
        "p/a/b.md": "prompts",
        "p/no.md": "code",
        "q/d/x.txt": "code",
        "q/x.txt": "prompts",
        "r/s.rst": "docs",
    }


def test_agent_yaml_belongs_to_no_component_but_docs(tmp_path: Path) -> None:
    built = build_agent(
        tmp_path,
        {"agent.yaml": f"{AGENT_YAML}components: {{prompts: '*.yaml'}}\n", "p.yaml": "", ".tidegateignore": ""},
    )
    kinds = {entry.path: str(entry.component) for entry in built.config.files}
    assert kinds == {".tidegateignore": "docs", "agent.yaml": "docs", "main.py": "code", "p.yaml": "prompts"}
