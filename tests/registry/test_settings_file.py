"""Settings files and variables as broken as they come: one typed error, and never a secret in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidegate_registry.settings_file import MAX_FILE_BYTES, PREFIX, SettingsInvalid, load_settings

SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def code(file: Path | None = None) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(file)
    assert SECRET not in str([reason.as_json() for reason in caught.value.reasons])
    return caught.value.reasons[0].code


@pytest.mark.parametrize(
    "text",
    [
        "listen_port: 2001-99-99",  # what PyYAML's own constructors stumble over
        "listen_port: 0x_",
        "listen_port: !!bool x",
        "listen_port: !!timestamp x",
        "a: &x [1]\nb: *x",
        "listen_port: 1\nlisten_port: 2",
        "[" * 5000,
        'trust_file: "\\ud800\\udc00"',
        f"s3: {{secret_key: {SECRET}, access_key: [}}",
    ],
)
def test_yaml_that_is_none_of_ours_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "registry.yaml").write_text(text)
    assert code(tmp_path / "registry.yaml") in ("settings-invalid", "setting-invalid")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "1" * 5000, "a = 2001-99-99", "a = 1\na = 2"])
def test_toml_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "registry.toml").write_text(text)
    assert code(tmp_path / "registry.toml") == "settings-invalid"


def test_a_file_above_the_limit_is_not_even_read(tmp_path: Path) -> None:
    (tmp_path / "registry.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert code(tmp_path / "registry.toml") == "settings-invalid"


@pytest.mark.parametrize(("name", "value"), [("ISSUERS", SECRET), ("ISSUERS", "[" * 200_000), ("CHANNELS", "[\udc80]")])
def test_a_variable_that_is_not_the_json_of_its_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value[:100_000])
    assert code() == "settings-invalid"
