from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

import tidegate
from tests.client.bundle.agents import build_agent, read_tree
from tidegate.bundle.content import check_bundle
from tidegate.bundle.layout import Layout
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.unpack import unpack
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, LimitExceeded


def test_modes_are_the_same_under_any_umask(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    before = os.umask(0o077)
    try:
        unpack(built.manifest, built.layout.open_blob, tmp_path / "a" / "b" / "dest")
    finally:
        os.umask(before)
    dest = tmp_path / "a" / "b" / "dest"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [dest, *dest.rglob("*")]}
    executable = {path.name for path, mode in modes.items() if path.is_file() and mode == 0o755}
    assert executable == {"main.py"}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o755}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o644, 0o755}


def test_an_empty_folder_may_be_unpacked_into(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    (tmp_path / "dest").mkdir()
    tidegate.unpack(built.manifest, built.layout.open_blob, tmp_path / "dest")
    assert read_tree(tmp_path / "dest") == read_tree(tmp_path / "agent")


def test_weights_are_copies_that_the_layout_does_not_share(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    unpack(built.manifest, built.layout.open_blob, tmp_path / "dest")
    weights = tmp_path / "dest" / "weights" / "model.gguf"
    assert weights.stat().st_nlink == 1
    assert weights.read_bytes() == (tmp_path / "agent" / "weights" / "model.gguf").read_bytes()


def test_weights_that_are_not_copied_can_no_longer_be_written_to_and_a_change_of_both_is_noticed(
    tmp_path: Path,
) -> None:
    built = build_agent(tmp_path)
    (weights,) = [entry for entry in built.config.files if entry.component == "weights"]
    blob = built.layout.path / "blobs" / "sha256" / weights.sha256.hex
    unpack(built.manifest, built.layout.open_blob, tmp_path / "dest", place=built.layout.unpack_blob)
    recheck_files(built.config, tmp_path / "dest")
    file = tmp_path / "dest" / weights.path
    if not file.samefile(blob):
        pytest.skip("this file system clones: what is written to the one is not in the other")
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444
    file.chmod(0o644)
    with file.open("r+b") as writable:
        writable.write(b"evil")
    with pytest.raises(BundleRefused):
        recheck_files(built.config, tmp_path / "dest")
    with pytest.raises(BundleRefused):
        built.layout.read_blob(weights.sha256, weights.size)


def test_executable_weights_are_copied_where_they_cannot_be_cloned(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    digest = layout.put(b"#!/bin/sh\n")
    blob, target = layout.path / "blobs" / "sha256" / digest.hex, tmp_path / "run"
    if layout.unpack_blob(digest, target, 0o755):
        assert not target.samefile(blob)
    assert stat.S_IMODE(blob.stat().st_mode) & stat.S_IXUSR == 0


@pytest.mark.parametrize("failing", range(13))
def test_a_source_that_fails_leaves_nothing_whenever_it_does(tmp_path: Path, failing: int) -> None:
    built = build_agent(tmp_path)
    opened = 0

    def open_blob(digest: Digest) -> BinaryIO:
        nonlocal opened
        opened += 1
        if opened > failing:
            raise ConnectionError("the network is gone")
        return built.layout.open_blob(digest)

    with pytest.raises(ConnectionError):
        unpack(built.manifest, open_blob, tmp_path / "new" / "dest")
    assert not (tmp_path / "new").exists()


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    built = build_agent(tmp_path)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(built.manifest, built.layout.open_blob, tmp_path / "new" / "dest", advance=interrupt)
    assert not (tmp_path / "new").exists()


def test_a_disk_without_room_is_noticed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build_agent(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=9))
    with pytest.raises(LimitExceeded) as caught:
        unpack(built.manifest, built.layout.open_blob, tmp_path / "dest")
    assert caught.value.reasons[0].code == "disk-full"
    assert not (tmp_path / "dest").exists()


def test_progress_counts_the_bytes_of_all_files(tmp_path: Path) -> None:
    built, counted = build_agent(tmp_path), list[int]()
    unpack(built.manifest, built.layout.open_blob, tmp_path / "dest", advance=counted.append)
    assert sum(counted) == sum(entry.size for entry in built.config.files)


def test_layers_that_were_found_good_are_not_read_again(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    cache: set[tuple[Digest, Digest]] = set()
    opened: list[Digest] = []

    def open_blob(digest: Digest) -> BinaryIO:
        opened.append(digest)
        return built.layout.open_blob(digest)

    check_bundle(built.manifest, open_blob, cache=cache)
    weights = {entry.sha256 for entry in built.config.files if entry.component == "weights"}
    assert set(opened) == {blob.digest for blob in built.manifest.blobs} - weights
    opened.clear()
    check_bundle(built.manifest, open_blob, cache=cache)
    assert opened == [built.manifest.blobs[0].digest]
