from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.bundle.agents import AGENT_YAML, FULL_FILES, build_agent, read_tree, write_agent
from tests.client.bundle.test_canonical import TREES
from tidegate.bundle.build import Overrides, Progress, build
from tidegate.bundle.content import check_bundle
from tidegate.bundle.globs import DEFAULT_IGNORES, IgnoreRules
from tidegate.bundle.layout import Layout
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.unpack import unpack
from tidegate.digest import Digest
from tidegate.errors import AgentFileInvalid, Conflict, ReferenceInvalid, SourceTreeInvalid
from tidegate.formats.config import AgentConfig, Kind
from tidegate.formats.paths import check_tree

ROOT = Path(__file__).parents[3]

# the folder of docs/spec/bundle.md, "Example", and the digests printed there
VECTOR: dict[str, str | bytes] = {
    "agent.yaml": """\
name: acme/support-agent
version: 1.2.0
entrypoint: [python3, main.py]
runtime: vendored
components: {prompts: prompts/**, tools: tools.json}
models:
  - id: claude-sonnet-4-20250514
  - id: gpt-4o
    unpinned: the vendor serves no dated id
""",
    "main.py": "print('hello')\n",
    "prompts/system.md": "Be brief.\n",
    "tools.json": '{"name": "search"}\n',
}
VECTOR_DIGEST = "sha256:ac8fe7b649a39bebf06af1c67d6a5db48d515956bb829f9eb8372a00820d136e"
VECTOR_BEHAVIOUR = "sha256:3a9d642316feb87a88e7985959675d28ea5c65c17fdf6d0055805ad2c1970452"


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


def edited(old: str, new: str) -> dict[str, str | bytes]:
    text = str(VECTOR["agent.yaml"])
    assert old in text
    return {"agent.yaml": text.replace(old, new)}


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


# -- what goes into a bundle ------------------------------------------------------------------------------------------


def test_layers_stand_in_the_order_of_their_kinds_and_paths(tmp_path: Path) -> None:
    config = build_agent(tmp_path).config
    assert [(str(component.kind), component.path) for component in config.components] == [
        ("code", None),
        ("prompts", None),
        ("skills", None),
        ("tools", "tools/refund.json"),
        ("tools", "tools/search.json"),
        ("models", None),
        ("models", "settings.json"),
        ("config", "config.json"),
        ("memory", None),
        ("weights", "weights/model.gguf"),
        ("evals", None),
        ("docs", None),
    ]
    assert [kind for kind in Kind if not kind.behavioural] == [Kind.EVALS, Kind.DOCS]
    assert config.interfaces.provides[0].input == {"type": "object"}


def test_revision_and_source_are_annotations_only_when_given(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    plain = build(folder, tmp_path / "plain").manifest
    overrides = Overrides(version="2.0.0-rc.1", revision="4f0c", source="https://git.example/acme")
    told = build(folder, tmp_path / "told", overrides=overrides).manifest
    assert set(told.annotations) - set(plain.annotations) == {
        "org.opencontainers.image.revision",
        "org.opencontainers.image.source",
    }
    assert told.annotations["org.opencontainers.image.version"] == "2.0.0-rc.1"
    assert "org.opencontainers.image.created" not in {*plain.annotations, *told.annotations}


def test_a_version_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    with pytest.raises(ReferenceInvalid) as caught:
        build(folder, tmp_path / "layout", overrides=Overrides(version="v2"))
    assert caught.value.reasons[0].code == "reference-invalid"
    assert not (tmp_path / "layout").exists()


def test_a_floating_model_is_recorded_with_its_reason_and_warned_of(tmp_path: Path) -> None:
    built = build_agent(tmp_path, VECTOR)
    assert [(model.id, model.unpinned) for model in built.config.unpinned] == [
        ("gpt-4o", "the vendor serves no dated id")
    ]
    assert built.warnings == ("the model gpt-4o is not pinned: the vendor serves no dated id",)


LOCKED = "a==1.0 --hash=sha256:" + "0" * 64 + "\n"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "file-missing"),
        ({"lock.txt": "a==1.0\n"}, "requirements-not-locked"),
        ({"lock.txt": LOCKED, "components": "docs: lock.txt"}, "requirements-not-behavioural"),
    ],
    ids=["missing", "not locked", "among the docs"],
)
def test_requirements_that_do_not_pin_what_runs_are_refused(tmp_path: Path, files: dict[str, str], code: str) -> None:
    text = (
        AGENT_YAML.replace("vendored", "{requirements: lock.txt}") + f"components: {{{files.pop('components', '')}}}\n"
    )
    with pytest.raises(AgentFileInvalid) as caught:
        build_agent(tmp_path, {"agent.yaml": text, **files})
    assert [reason.code for reason in caught.value.reasons] == [code]


def test_locked_requirements_are_accepted(tmp_path: Path) -> None:
    text = AGENT_YAML.replace("vendored", "{requirements: lock.txt}")
    built = build_agent(tmp_path, {"agent.yaml": text, "lock.txt": LOCKED})
    check_bundle(built.manifest, built.layout.open_blob)


@pytest.mark.parametrize(
    ("addition", "files", "code"),
    [
        ("models: [{id: x, file: model.gguf}]", {"model.gguf": ""}, "model-file-missing"),
        ("interfaces: {consumes: [{name: x, output: x.json}]}", {}, "file-missing"),
        ("interfaces: {provides: [{name: x, input: x.json}]}", {"x.json": "{"}, "schema-not-json"),
    ],
    ids=["pin", "schema missing", "schema broken"],
)
def test_what_agent_yaml_names_must_be_there(tmp_path: Path, addition: str, files: dict[str, str], code: str) -> None:
    with pytest.raises(AgentFileInvalid) as caught:
        build_agent(tmp_path, {"agent.yaml": f"{AGENT_YAML}{addition}\n", **files})
    (reason,) = caught.value.reasons
    assert reason.code == code
    assert reason.message.startswith("agent.yaml:5: ")


def test_every_json_file_that_is_none_is_named(tmp_path: Path) -> None:
    files = {
        "t/a.json": "{",
        "t/b.json": '{"a": 1, "a": 2}',
        "t/c.json": "{}",
        "t/d.json": "NaN",
        "t/e.json": "\ufeff{}",
    }
    with pytest.raises(SourceTreeInvalid) as caught:
        build_agent(tmp_path, {"agent.yaml": f"{AGENT_YAML}components: {{tools: t}}\n", **files})
    assert [reason.code for reason in caught.value.reasons] == ["component-not-json"] * 4
    assert {path for path in files if path in str([r.message for r in caught.value.reasons])} == set(files) - {
        "t/c.json"
    }


# -- files that do not hold still -------------------------------------------------------------------------------------


class Meddler:
    """A progress bar that does something to the folder once bytes begin to flow."""

    def __init__(self, action: object) -> None:
        self._action, self._done, self._lock = action, False, threading.Lock()

    def advance(self, count: int) -> None:
        assert count > 0
        with self._lock:
            if not self._done:
                self._done = True
                assert callable(self._action)
                self._action()

    @contextmanager
    def __call__(self, total: int) -> Iterator[Progress]:
        assert total > 0
        yield self


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace_file(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("action", [grow, Path.unlink, replace_file, lambda path: path.write_bytes(b"x")], ids=range(4))
@pytest.mark.parametrize("name", ["code.bin", "weights/model.gguf"])
def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_is_left(
    tmp_path: Path, name: str, action: object
) -> None:
    text = f"{AGENT_YAML}components: {{weights: 'weights'}}\n"
    folder = write_agent(tmp_path / "agent", {"agent.yaml": text, "weights/model.gguf": bytes(5 << 20)})
    (folder / "code.bin").write_bytes(bytes(5 << 20))
    assert callable(action)
    with pytest.raises(SourceTreeInvalid) as caught:
        build(folder, tmp_path / "layout", progress=Meddler(lambda: action(folder / name)))
    assert {reason.code for reason in caught.value.reasons} == {"file-changed"}
    assert name in caught.value.reasons[0].message
    assert not list((tmp_path / "layout" / "blobs").glob("*/*"))


# -- where it is written to -------------------------------------------------------------------------------------------


def test_a_layout_inside_the_folder_is_no_part_of_the_agent(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    for out in (folder / ".tidegate" / "layout", folder / "out"):
        assert build(folder, out).manifest.digest == VECTOR_DIGEST
        assert build(folder, out).manifest.digest == VECTOR_DIGEST
        shutil.rmtree(out)


def test_an_earlier_build_of_the_same_agent_makes_way(tmp_path: Path) -> None:
    build_agent(tmp_path, VECTOR)
    built = build_agent(tmp_path, {**VECTOR, **edited("1.2.0", "1.3.0")})
    layout = Layout.open(tmp_path / "layout")
    assert list(layout.by_version()) == ["1.3.0"]
    assert {f"sha256:{path.name}" for path in (tmp_path / "layout" / "blobs" / "sha256").iterdir()} == {
        built.manifest.digest,
        *(blob.digest for blob in built.manifest.blobs),
    }


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    write_agent(tmp_path / "agent", VECTOR)
    out = tmp_path / "layout"
    out.mkdir()
    (out / "mine").write_text("mine")
    with pytest.raises(Conflict) as caught:
        build(tmp_path / "agent", out)
    assert caught.value.reasons[0].code == "layout-not-empty"
    assert read_tree(out) == {"mine": (b"mine", False)}


def test_a_layout_of_another_agent_is_left_alone(tmp_path: Path) -> None:
    build_agent(tmp_path, VECTOR)
    before = read_tree(tmp_path / "layout")
    with pytest.raises(Conflict) as caught:
        build_agent(tmp_path, {**VECTOR, **edited("acme/", "other/")})
    assert caught.value.reasons[0].code == "layout-in-use"
    assert read_tree(tmp_path / "layout") == before


def test_two_builds_do_not_write_to_one_layout_at_once(tmp_path: Path) -> None:
    folder, out = write_agent(tmp_path / "agent", VECTOR), tmp_path / "layout"
    codes: list[str] = []

    def second() -> None:
        with pytest.raises(Conflict) as caught:
            build(folder, out)
        codes.append(caught.value.reasons[0].code)

    build(folder, out, progress=Meddler(second))
    assert codes == ["layout-locked"]


@pytest.mark.parametrize("link", [True, False])
def test_weights_are_shared_with_the_layout_or_copied_as_asked(tmp_path: Path, *, link: bool) -> None:
    folder = write_agent(tmp_path / "agent")
    built = build(folder, tmp_path / "layout", link=link)
    digest = next(entry.sha256 for entry in built.config.files if entry.component is Kind.WEIGHTS)
    blob = tmp_path / "layout" / "blobs" / "sha256" / digest.hex
    assert blob.read_bytes() == FULL_FILES["weights/model.gguf"]
    assert blob.samefile(folder / "weights" / "model.gguf") <= link


def test_the_total_told_to_progress_is_what_is_then_counted(tmp_path: Path) -> None:
    counted: list[int] = []
    totals: list[int] = []

    class Bar:
        def advance(self, count: int) -> None:
            counted.append(count)

    @contextmanager
    def show(total: int) -> Iterator[Progress]:
        totals.append(total)
        yield Bar()

    built = build(write_agent(tmp_path / "agent"), tmp_path / "layout", progress=show)
    assert totals == [sum(counted)] == [sum(entry.size for entry in built.config.files)]
