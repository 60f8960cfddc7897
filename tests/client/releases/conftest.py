from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.releases.parts import Parts, parts_of


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    return parts_of(tmp_path, monkeypatch)
