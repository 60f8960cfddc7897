from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.bundle.agents import AGENT_YAML, FULL_FILES, build_agent, read_tree, write_agent
from tests.client.bundle.vector import VECTOR, VECTOR_DIGEST, edited
from tidegate.bundle.build import Progress, build
from tidegate.bundle.layout import Layout
from tidegate.errors import Conflict, SourceTreeInvalid
from tidegate.formats.config import Kind


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
