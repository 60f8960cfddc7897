from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.bundle.agents import AGENT_YAML, FULL_FILES, build_agent, read_tree, write_agent
from tests.client.bundle.test_canonical import TREES
from tests.client.bundle.vector import VECTOR, VECTOR_BEHAVIOUR, VECTOR_DIGEST, edited
from tidegate.bundle.build import build
from tidegate.bundle.content import check_bundle
from tidegate.bundle.globs import DEFAULT_IGNORES, IgnoreRules
from tidegate.bundle.layout import Layout
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.unpack import unpack
from tidegate.digest import Digest
from tidegate.formats.config import AgentConfig
from tidegate.formats.paths import check_tree

ROOT = Path(__file__).parents[3]

# -- the same input gives the same bytes ------------------------------------------------------------------------------


def test_the_vector_of_the_specification_has_the_digests_printed_there(tmp_path: Path) -> None:
    built = build_agent(tmp_path, VECTOR)
    assert built.manifest.digest == VECTOR_DIGEST
    assert built.config.behaviour == VECTOR_BEHAVIOUR
    page = (ROOT / "docs" / "spec" / "bundle.md").read_text()
    assert VECTOR_DIGEST in page
    assert VECTOR_BEHAVIOUR in page
    assert all(layer.digest[:15] in page for layer in built.manifest.layers)


def test_neither_order_nor_times_nor_modes_nor_owners_of_files_matter(tmp_path: Path) -> None:
    first = write_agent(tmp_path / "first")
    second = tmp_path / "second"
    for path in sorted(FULL_FILES, reverse=True):
        target = second / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(first / path, target)
        target.chmod(0o700 if path == "main.py" else 0o600)
        os.utime(target, (1, 1))
    (second / "empty folder").mkdir()
    one, two = build(first, tmp_path / "one"), build(second, tmp_path / "two")
    assert one.manifest.raw == two.manifest.raw
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two")


@pytest.mark.parametrize(
    ("umask", "environment"),
    [(0o000, {"TZ": "Asia/Kathmandu", "LC_ALL": "C"}), (0o077, {"LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7"})],
    ids=["east", "turkish"],
)
def test_neither_umask_nor_locale_nor_time_zone_matter(tmp_path: Path, umask: int, environment: dict[str, str]) -> None:
    built = build_agent(tmp_path)
    script = (
        "import os, sys, pathlib; from tidegate.bundle.build import build; os.umask(int(sys.argv[1]));"
        "print(build(pathlib.Path('agent'), pathlib.Path('other')).manifest.digest)"
    )
    command = [sys.executable, "-c", script, str(umask)]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": "", **environment}, capture_output=True, check=True)
    assert done.stdout.decode().strip() == built.manifest.digest


def test_building_again_in_the_same_place_changes_no_byte(tmp_path: Path) -> None:
    build_agent(tmp_path)
    before = read_tree(tmp_path / "layout")
    build_agent(tmp_path)
    assert read_tree(tmp_path / "layout") == before


def is_taken(path: str) -> bool:
    """Whether a name is ignored by default, or is too much like one that the agent has anyway."""
    rules = IgnoreRules(DEFAULT_IGNORES)
    parts = path.split("/")
    folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(rules.ignores(folder, is_folder=False) for folder in folders) or bool(check_tree([path, *OWN]))


OWN = ("agent.yaml", "main.py", "prompts/x", "memory/x", "weights/x")


@settings(max_examples=30)
@given(TREES.filter(lambda tree: not any(map(is_taken, tree))), st.sampled_from(["", "prompts", "memory", "weights"]))
def test_any_tree_comes_back_from_its_bundle(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, tuple[bytes, str]], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    agent = folder / "agent"
    component = f"{{{kind}: {kind}}}" if kind and tree else "{}"
    files = {f"{kind}/{path}".lstrip("/"): content for path, (content, _) in tree.items()}
    write_agent(agent, {**files, "agent.yaml": f"{AGENT_YAML}components: {component}\n"})
    for path, (_, mode) in tree.items():
        (agent / kind / path).chmod(0o755 if mode == "x" else 0o644)
    built = build(agent, folder / "layout")
    check_bundle(built.manifest, built.layout.open_blob)
    unpack(built.manifest, built.layout.open_blob, folder / "dest")
    assert read_tree(folder / "dest") == read_tree(agent)
    recheck_files(built.config, folder / "dest")
    shutil.rmtree(folder)


def test_what_was_built_can_be_checked_unpacked_and_built_again_to_the_same_digest(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    layout = Layout.open(tmp_path / "layout")
    assert check_bundle(layout.root(), layout.open_blob) == built.config
    unpack(layout.root(), layout.open_blob, tmp_path / "unpacked")
    assert read_tree(tmp_path / "unpacked") == read_tree(tmp_path / "agent")
    assert build(tmp_path / "unpacked", tmp_path / "again").manifest.digest == built.manifest.digest


def test_the_config_blob_survives_a_round_trip(tmp_path: Path) -> None:
    config = build_agent(tmp_path).config
    assert AgentConfig.parse(config.canonical()) == config


# -- what counts as behaviour -----------------------------------------------------------------------------------------


def behaviour(tmp_path: Path, changes: dict[str, str | bytes]) -> Digest:
    folder = tmp_path / f"variant-{len(list(tmp_path.iterdir()))}"
    return build_agent(folder, {**VECTOR, **changes}).config.behaviour


BEHAVIOUR: dict[str, dict[str, str | bytes]] = {
    "code": {"main.py": "print('bye')\n"},
    "a file added": {"extra.py": ""},
    "a prompt": {"prompts/system.md": "Be rude.\n"},
    "a prompt renamed": {"prompts/other.md": "Be brief.\n"},
    "a tool schema": {"tools.json": '{"name": "search", "parameters": {}}'},
    "a model": edited("20250514", "20250929"),
    "whether a model floats": edited("gpt-4o\n    unpinned: the vendor serves no dated id", "gpt-4o-2024-08-06"),
    "entrypoint": edited("[python3, main.py]", "[python3, -B, main.py]"),
    "capabilities": edited("models:", "capabilities: {secrets: [KEY]}\nmodels:"),
    "requirements": edited("models:", "requirements: {programs: [git]}\nmodels:"),
    "state": edited("models:", "state: {schema: 1}\nmodels:"),
    "an interface": edited("models:", "interfaces: {provides: [{name: x}]}\nmodels:"),
}
WORDS: dict[str, dict[str, str | bytes]] = {
    "the version": edited("1.2.0", "1.3.0"),
    "the name": edited("acme/", "other/"),
    "a description": edited("models:", "description: x\nchangelog: y\nmodels:"),
    "the reason for floating": edited("no dated id", "nothing else"),
    "a comment": edited("models:", "# pins\nmodels:"),
    "white space in a tool schema": {"tools.json": '{ "name":"search" }'},
    "docs": {**edited("components: {", "components: {docs: README.md, "), "README.md": "# Hello"},
}


@pytest.mark.parametrize("change", BEHAVIOUR)
def test_a_change_of_behaviour_changes_the_behavioural_version(tmp_path: Path, change: str) -> None:
    assert behaviour(tmp_path, BEHAVIOUR[change]) != VECTOR_BEHAVIOUR


@pytest.mark.parametrize("change", WORDS)
def test_words_about_an_agent_are_not_its_behaviour(tmp_path: Path, change: str) -> None:
    assert behaviour(tmp_path, WORDS[change]) == VECTOR_BEHAVIOUR


def test_the_bit_that_makes_a_file_executable_is_behaviour(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    (folder / "prompts" / "system.md").chmod(0o755)
    assert build(folder, tmp_path / "layout").config.behaviour != VECTOR_BEHAVIOUR
