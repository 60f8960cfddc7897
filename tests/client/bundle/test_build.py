from __future__ import annotations

from pathlib import Path

from tests.client.bundle.agents import build_agent, read_tree
from tidegate.bundle.build import build
from tidegate.bundle.content import check_bundle
from tidegate.bundle.layout import Layout
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.unpack import unpack
from tidegate.formats.config import AgentConfig


def test_what_was_built_can_be_checked_unpacked_and_built_again_to_the_same_digest(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    layout = Layout.open(tmp_path / "layout")
    assert check_bundle(layout.root(), layout.open_blob) == built.config
    unpack(layout.root(), layout.open_blob, tmp_path / "unpacked")
    assert read_tree(tmp_path / "unpacked") == read_tree(tmp_path / "agent")
    recheck_files(built.config, tmp_path / "unpacked")
    assert build(tmp_path / "unpacked", tmp_path / "again").manifest.digest == built.manifest.digest


def test_the_config_blob_survives_a_round_trip(tmp_path: Path) -> None:
    config = build_agent(tmp_path).config
    assert AgentConfig.parse(config.canonical()) == config
