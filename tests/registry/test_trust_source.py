"""The trust file while the registry runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidegate.errors import TrustFileInvalid
from tidegate_registry.sandbox.seed import trust_file
from tidegate_registry.trust_source import TrustSource

if TYPE_CHECKING:
    from tidegate_registry.sandbox.serve import RunningSigstore


@pytest.fixture
def path(tmp_path: Path, sigstore: RunningSigstore) -> Path:
    import json

    (tmp_path / "trusted_root.json").write_text(json.dumps(sigstore.instance.trusted_root()))
    path = tmp_path / "trust.yaml"
    path.write_text(trust_file(sigstore.url))
    return path


def change(path: Path, text: str) -> None:
    """Replace the file so that it is seen to be another, also within one tick of the file system's clock."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)  # noqa: PTH105 - atomic, as an operator's tool would do


def test_a_change_is_in_force_with_the_next_request(path: Path) -> None:
    source = TrustSource(path, allow_sandbox=True)
    assert source.charters().for_agent("acme/anything") is not None
    change(path, path.read_text().replace("agent: acme/*", "agent: umbra/*"))
    assert source.charters().for_agent("umbra/anything") is not None
    assert source.charters().for_agent("acme/nobody-has-this") is None
    source.check()


def test_what_is_at_hand_is_what_is_in_force_and_nothing_while_it_would_have_to_be_read(path: Path) -> None:
    source = TrustSource(path, allow_sandbox=True)
    assert source.charters_at_hand() is None
    charters = source.charters()
    assert source.charters_at_hand() is charters
    change(path, path.read_text() + "# edited\n")
    assert source.charters_at_hand() is None
    assert source.charters_at_hand() is None, "asking reads nothing"
    assert source.charters_at_hand() is not source.charters()
    with source._lock:
        assert source.charters_at_hand() is None, "nobody waits for whoever is reading"
    path.write_text("format: [")
    in_force = source.charters()
    assert source.charters_at_hand() is in_force


def test_a_broken_change_leaves_the_last_good_state_in_force_and_is_not_ready(path: Path) -> None:
    source = TrustSource(path, allow_sandbox=True)
    good = source.current()
    change(path, "format: [")
    assert source.current() is good
    with pytest.raises(TrustFileInvalid) as caught:
        source.check()
    assert caught.value.reasons[0].code == "trust-file-invalid"
    path.unlink()
    assert source.current() is good
    with pytest.raises(TrustFileInvalid) as gone:
        source.check()
    assert gone.value.reasons[0].code == "trust-file-unreadable"


def test_a_file_that_trust_yaml_names_counts_as_a_change(path: Path) -> None:
    source = TrustSource(path, allow_sandbox=True)
    before = source.current()
    root = path.with_name("trusted_root.json")
    change(root, "{}")
    assert source.current() is before
    with pytest.raises(TrustFileInvalid):
        source.check()


def test_whatever_a_broken_file_does_to_its_reader_it_is_not_ready_until_mended(path: Path) -> None:
    source = TrustSource(path, allow_sandbox=True)
    good = source.current()
    text = path.read_text()
    change(path, text.replace("file: trusted_root.json", 'file: "a\\0b"'))
    assert source.current() is good
    for _ in range(2):
        with pytest.raises(TrustFileInvalid) as caught:
            source.check()
        assert caught.value.reasons[0].code == "trust-file-invalid"
    change(path, text)
    source.check()


def test_a_sandbox_root_is_refused_in_production(path: Path) -> None:
    with pytest.raises(TrustFileInvalid) as caught:
        TrustSource(path, allow_sandbox=False).current()
    assert caught.value.reasons[0].code == "sandbox-root"


def test_without_a_file_nobody_is_named_and_nothing_can_be_decided() -> None:
    source = TrustSource(None, allow_sandbox=False)
    assert source.charters().for_agent("acme/agent") is None
    with pytest.raises(TrustFileInvalid) as caught:
        source.current()
    assert caught.value.reasons[0].code == "trust-file-missing"
