"""Shared by the attacks with a stranger's bundle: a small one to edit, and how it must be refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.client.bundle.agents import read_tree
from tests.client.bundle.forged import Forged
from tidegate.bundle.content import check_bundle
from tidegate.bundle.unpack import unpack
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.config import FileEntry, Kind
from tidegate.formats.manifest import Manifest

PROMPT = "prompts/system.md"
TEXT = b"Be brief.\n"


AGENT = """\
name: acme/support-agent
version: 1.2.0
entrypoint: [python3, main.py]
runtime: vendored
components: {prompts: prompts/**, tools: tools.json, weights: model.bin}
models:
  - {id: gpt-4o, unpinned: there is no other name}
"""


def refused(forged: Forged, tmp_path: Path, manifest: Manifest | None = None) -> BundleRefused:
    """Check and unpack a forged bundle: both must refuse it alike, and leave nothing."""
    sealed = forged.seal() if manifest is None else manifest
    with pytest.raises(BundleRefused) as checked:
        check_bundle(sealed, forged.open_blob)
    before = read_tree(tmp_path)
    with pytest.raises(BundleRefused) as unpacked:
        unpack(sealed, forged.open_blob, tmp_path / "victim" / "agent")
    assert read_tree(tmp_path) == before
    assert not (tmp_path / "victim").exists()
    assert codes(unpacked.value)[0] in codes(checked.value)
    return checked.value


def codes(error: BundleRefused) -> list[str]:
    return [reason.code for reason in error.reasons]


def steps(error: BundleRefused) -> set[str | None]:
    return {reason.step for reason in error.reasons}


def unchecked(path: str, content: bytes) -> FileEntry:
    """Give an entry whose path may be anything."""
    entry = SimpleNamespace(path=path, size=len(content), mode="-", sha256=Digest.of(content), component=Kind.PROMPTS)
    return cast("FileEntry", entry)
