"""What a bundle is unpacked to, or was: nothing is written through what is there, nothing changed is loaded.

Threat: links in the way, files changed on the disk (docs/spec/bundle.md, "Unpacking").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.attacks.archives import PROMPT, TEXT, codes, steps
from tests.client.bundle.agents import read_tree
from tests.client.bundle.forged import Forged
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.unpack import unpack
from tidegate.errors import BundleRefused, Conflict
from tidegate.formats.config import AgentConfig


@pytest.mark.parametrize("kind", ["file", "full folder", "link", "dangling link"])
def test_nothing_is_written_through_or_over_what_is_there(forged: Forged, tmp_path: Path, kind: str) -> None:
    dest, elsewhere = tmp_path / "dest", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        dest.write_text("mine")
    elif kind == "full folder":
        dest.mkdir()
        (dest / "mine").write_text("mine")
    else:
        dest.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    before = read_tree(tmp_path)
    with pytest.raises(Conflict) as caught:
        unpack(forged.seal(), forged.open_blob, dest)
    assert caught.value.reasons[0].code == "destination-exists"
    assert read_tree(tmp_path) == before
    assert not any(elsewhere.iterdir())


@contextmanager
def unpacked(forged: Forged, tmp_path: Path) -> Iterator[tuple[AgentConfig, Path]]:
    config = unpack(forged.seal(), forged.open_blob, tmp_path / "dest")
    recheck_files(config, tmp_path / "dest")
    yield config, tmp_path / "dest"


def swap_for_link(root: Path) -> None:
    (root / PROMPT).rename(root.parent / "moved")
    (root / PROMPT).symlink_to(root.parent / "moved")


def swap_folder_for_link(root: Path) -> None:
    (root / "prompts").rename(root.parent / "moved")
    (root / "prompts").symlink_to(root.parent / "moved")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "other bytes": (lambda root: (root / PROMPT).write_bytes(b"Be rude!!\n"), "file-changed"),
    "more bytes": (lambda root: (root / PROMPT).write_bytes(TEXT * 2), "file-changed"),
    "another mode": (lambda root: (root / PROMPT).chmod(0o755), "file-changed"),
    "a missing file": (lambda root: (root / PROMPT).unlink(), "file-missing"),
    "a planted file": (lambda root: (root / "sitecustomize.py").write_text("evil"), "file-extra"),
    "a planted byte code": (lambda root: (root / "main.pyc").write_text("evil"), "file-extra"),
    "a planted link": (lambda root: (root / "lib").symlink_to("/usr/lib"), "file-extra"),
    "a link in place of a file": (swap_for_link, "file-changed"),
    "a link in place of a folder": (swap_folder_for_link, "file-extra"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_not_loaded(forged: Forged, tmp_path: Path, change: str) -> None:
    alter, reason_code = CHANGES[change]
    with unpacked(forged, tmp_path) as (config, root):
        alter(root)
        with pytest.raises(BundleRefused) as caught:
            recheck_files(config, root)
    assert codes(caught.value) == [reason_code]
    assert steps(caught.value) == {"B10"}
    assert change != "a link in place of a file" or caught.value.reasons[0].found == "a link, a folder or a device"


def test_a_folder_that_is_gone_is_not_loaded(forged: Forged, tmp_path: Path) -> None:
    with unpacked(forged, tmp_path) as (config, root), pytest.raises(BundleRefused) as caught:
        recheck_files(config, root.parent / "gone")
    assert codes(caught.value) == ["file-missing"]
