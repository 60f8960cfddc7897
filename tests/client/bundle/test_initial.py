from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.client.bundle.agents import read_tree
from tidegate.bundle.build import build
from tidegate.bundle.detect import detect_agent
from tidegate.bundle.initial import render, write_initial
from tidegate.bundle.spec import AgentFile
from tidegate.errors import AgentFileInvalid, Conflict, InvalidInput, ReferenceInvalid
from tidegate.formats.config import Kind
from tidegate.formats.yamldoc import parse_yaml

HASHED = "a==1.0 --hash=sha256:" + "0" * 64 + "\n"
PROJECT = """\
[project]
name = "Support_Agent"
version = "1.4"
description = "Answers: questions # about orders"
requires-python = ">=3.11"
dependencies = ["httpx>=0.27", "pydantic", "rich", "anyio"]
"""
SOURCE = """\
import os
MODEL = "claude-sonnet-4-20250514"
FALLBACK = os.environ.get("MODEL", "gpt-4o")
key = os.environ["ANTHROPIC_API_KEY"], os.getenv("SEARCH_TOKEN")
unrelated = "gpt-tokenizer.py"
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    folder.mkdir(exist_ok=True)
    return folder


def test_a_python_project_is_recognised(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "agent",
        {
            "pyproject.toml": PROJECT,
            "support_agent/__init__.py": "",
            "support_agent/__main__.py": SOURCE,
            "requirements.lock": HASHED,
            "prompts/system.md": "x",
            "tools/search.json": '{"name": "search"}',
            "tools/broken.json": "{",
            "evals/a.jsonl": "",
            "README.md": "# x",
            ".git/config": '[remote "origin"]\n\turl = git@git.example.com:Acme/support.git\n',
        },
    )
    found = write_initial(folder)
    assert found.name == "acme/support-agent"
    spec = AgentFile.parse(
        (folder / "agent.yaml").read_bytes().replace(b"    # unpinned: FILL IN", b"    unpinned: ")
    ).spec
    assert spec.version == "1.4.0"
    assert spec.description == "Answers: questions # about orders"
    assert spec.entrypoint == ("python3", "-m", "support_agent")
    assert (spec.runtime.requirements, spec.runtime.python) == ("requirements.lock", ">=3.11")
    assert set(spec.components.globs()) == {Kind.PROMPTS, Kind.TOOLS, Kind.EVALS, Kind.DOCS}
    assert spec.components.tools == ("tools/search.json",)
    assert [model.id for model in spec.models] == ["claude-sonnet-4-20250514", "gpt-4o"]
    assert spec.capabilities.secrets == ("ANTHROPIC_API_KEY", "SEARCH_TOKEN")
    assert spec.capabilities.tools == ("search",)


def test_what_is_written_builds_as_it_is_or_says_what_to_fill_in(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain", {"main.py": "print()", "prompt.md": "x"})
    write_initial(plain, name="acme/plain")
    build(plain, tmp_path / "layout")
    floating = write(tmp_path / "floating", {"main.py": SOURCE})
    found = write_initial(floating, name="acme/floating")
    assert found.todo == ("models: gpt-4o (main.py:3) can float; pin it, or say under `unpinned` why it may",)
    with pytest.raises(AgentFileInvalid) as caught:
        build(floating, tmp_path / "other")
    assert [reason.code for reason in caught.value.reasons] == ["model-unpinned"]


def test_an_agent_that_nobody_could_start_is_not_guessed_at(tmp_path: Path) -> None:
    folder = write(tmp_path / "agent", {"notes.txt": "x"})
    found = write_initial(folder)
    assert [todo.partition(":")[0] for todo in found.todo] == ["name", "entrypoint"]
    with pytest.raises(AgentFileInvalid, match="entrypoint") as caught:
        build(folder, tmp_path / "layout")
    assert [reason.code for reason in caught.value.reasons] == ["agent-file-invalid"]


SCRIPT = '[project]\nscripts={x="pkg.cli:main"}'
MAIN = 'if __name__ == "__main__":'


@pytest.mark.parametrize(
    ("files", "entrypoint"),
    [
        ({"agent.py": ""}, ("python3", "agent.py")),
        ({"index.js": "", "package.json": '{"name": "@acme/bot", "version": "2.0.0"}'}, ("node", "index.js")),
        ({"pkg/__main__.py": ""}, ("python3", "-m", "pkg")),
        ({"pkg/cli.py": MAIN, "pyproject.toml": SCRIPT}, ("python3", "-m", "pkg.cli")),
        ({"pyproject.toml": "not toml ["}, ()),
        ({"package.json": "[]"}, ()),
    ],
    ids=range(6),
)
def test_ways_to_start_an_agent_are_recognised(
    tmp_path: Path, files: dict[str, str], entrypoint: tuple[str, ...]
) -> None:
    assert detect_agent(write(tmp_path / "x", files)).entrypoint == entrypoint


def test_an_unpacked_wheel_is_recognised(tmp_path: Path) -> None:
    needs = "Requires-Dist: x\nRequires-Dist: y; extra == 'dev'\n"
    files = {
        "mini_agent-2.4.6.dist-info/METADATA": f"Name: mini-agent\nVersion: 2.4.6\nSummary: Small\n{needs}",
        "mini/__main__.py": "",
        "mini/config/a.yaml": "agent:\n  system_template: |\n    You are helpful.\n",
        "mini/b.yaml": "x: 1",
    }
    found = detect_agent(write(tmp_path / "agent", files), name="acme/mini")
    assert (found.version, found.description) == ("2.4.6", "Small")
    assert found.components == {Kind.PROMPTS: ("mini/config/a.yaml",)}
    assert any("needs x;" in todo for todo in found.todo)


def test_an_agent_file_that_is_there_is_kept(tmp_path: Path) -> None:
    folder = write(tmp_path / "agent", {"agent.yaml": "mine", "main.py": ""})
    before = read_tree(folder)
    with pytest.raises(Conflict) as caught:
        write_initial(folder)
    assert caught.value.reasons[0].code == "agent-file-exists"
    assert read_tree(folder) == before
    write_initial(folder, force=True)
    AgentFile.load(folder)


def test_no_folder_and_a_bad_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        write_initial(tmp_path / "nowhere")
    with pytest.raises(ReferenceInvalid):
        write_initial(tmp_path, name="Just A Name")
    assert not list(tmp_path.iterdir())


def test_text_that_no_file_can_hold_is_left_out(tmp_path: Path) -> None:
    project = r'[project]\nname = "a"\ndescription = "one\u0000two"\nrequires-python = "\u0000"'.replace("\\n", "\n")
    found = detect_agent(write(tmp_path, {"main.py": "", "pyproject.toml": project}))
    assert (found.description, found.python) == (None, None)
    parse_yaml(render(found).encode(), limit=1 << 20, name="agent.yaml")


# whatever a file of the tree can say that agent.yaml can hold; detection drops the rest
STORABLE = st.characters(codec="utf-8", exclude_characters="\0")


@example("", ["00000000000000000"])
@given(st.text(STORABLE, max_size=80), st.lists(st.text(STORABLE, min_size=1, max_size=30), min_size=1, max_size=4))
def test_whatever_was_detected_is_written_so_that_it_reads_back(
    tmp_path_factory: pytest.TempPathFactory, description: str, words: list[str]
) -> None:
    from dataclasses import replace

    folder = write(tmp_path_factory.mktemp("any"), {"main.py": ""})
    found = replace(detect_agent(folder), description=description or None, entrypoint=tuple(words))
    value = parse_yaml(render(found).encode(), limit=1 << 20, name="agent.yaml").value
    assert isinstance(value, dict)
    assert value["entrypoint"] == words
    assert value.get("description") == (description or None)
