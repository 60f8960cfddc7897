"""Settings: from the environment and a file, nothing unknown, nothing unsafe by default, no secret repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tidegate_registry.settings import Mode, Settings
from tidegate_registry.settings_file import SettingsInvalid, load_settings

SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.upper().startswith("TIDEGATE_REGISTRY_"):
            monkeypatch.delenv(name)


def reasons(file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(file)
    assert SECRET not in str([reason.as_json() for reason in caught.value.reasons])
    return [f"{reason.code} {reason.message} {reason.found} {reason.hint}" for reason in caught.value.reasons]


def test_defaults_listen_on_loopback_and_open_nothing() -> None:
    settings = load_settings()
    assert settings.mode is Mode.PRODUCTION
    assert settings.listen_host == "127.0.0.1"
    assert not settings.anonymous_pull
    assert not settings.allow_sandbox_roots
    assert settings.issuers == ()


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "registry.toml"
    file.write_text('public_url = "https://file.example"\nlisten_port = 1\n[s3]\nbucket = "from-file"\nregion = "x"\n')
    monkeypatch.setenv("TIDEGATE_REGISTRY_LISTEN_PORT", "2")
    monkeypatch.setenv("TIDEGATE_REGISTRY_S3__BUCKET", "from-environment")
    settings = load_settings(file)
    assert (settings.public_url, settings.listen_port) == ("https://file.example", 2)
    assert (settings.s3.bucket, settings.s3.region) == ("from-environment", "x")


def test_a_yaml_file_may_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text("issuers:\n  - issuer: https://login.acme.example\n    kind: email\nlimits:\n  page_entries: 7\n")
    monkeypatch.setenv("TIDEGATE_REGISTRY_CONFIG", str(file))
    settings = load_settings()
    assert settings.issuers[0].issuer == "https://login.acme.example"
    assert settings.limits.page_entries == 7


@pytest.mark.parametrize("name", ["TIDEGATE_REGISTRY_S4", "TIDEGATE_REGISTRY_ANONYMOUS_PULLS", "Tidegate_Registry_x"])
def test_a_variable_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, SECRET)
    (reason,) = reasons()
    assert reason.startswith("settings-invalid there is no such setting")
    assert name in reason


def test_a_nested_variable_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_REGISTRY_S3__SECRETKEY", SECRET)
    (reason,) = reasons()
    assert reason.startswith("setting-invalid s3.secretkey:")


def test_every_mistake_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    file.write_text("colour = 1\n")
    monkeypatch.setenv("TIDEGATE_REGISTRY_LISTEN_PORT", "x")
    monkeypatch.setenv("TIDEGATE_REGISTRY_LIMITS__PAGE_ENTRIES", "0")
    text = "\n".join(reasons(file))
    for part in ("TIDEGATE_REGISTRY_LISTEN_PORT", "TIDEGATE_REGISTRY_LIMITS__PAGE_ENTRIES", "colour"):
        assert part in text


@pytest.mark.parametrize(("name", "text"), [("x.toml", "= ="), ("x.yaml", "["), ("x.yaml", "- 1"), ("x.toml", None)])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    (reason,) = reasons(tmp_path / name)
    assert name in reason


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("public_url", "registry.example", "not a URL"),
        ("public_url", "https://registry.example/path", "a path does not work"),
        ("public_url", "https://user:pw@registry.example", "not a URL"),
        ("channels", ["1.0.0"], "no name of a channel"),
        ("channels", ["no tag"], "no name of a channel"),
        ("channels", [], "at least 1 item"),
        ("trusted_proxies", ["0.0.0.0/0"], "everybody is no proxy"),
        ("trusted_proxies", ["10.0.0.1/8"], "not a valid IPv4 or IPv6 network"),
        ("allow_sandbox_roots", True, "needs mode=sandbox"),
        ("s3", {"prefix": "/x"}, "should match pattern"),
        ("s3", {"access_key": "a"}, "go together"),
        ("s3", {"access_key": "a", "secret_key": "b", "credentials": "ambient"}, "there is no access_key"),
        ("s3", {"access_key": "a", "secret_key": "b", "secret_key_file": "c"}, "not both"),
        ("limits", {"manifest_bytes": 1}, "greater than or equal"),
        ("token_lifetime_seconds", 10_000, "less than or equal"),
    ],
)
def test_what_cannot_work_or_is_not_safe_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate({key: value})


def test_settings_do_not_change_and_do_not_show_secrets() -> None:
    settings = Settings.model_validate(
        {"database_url": f"postgresql://u:{SECRET}@h/d", "s3": {"access_key": "a", "secret_key": SECRET}}
    )
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    with pytest.raises(ValidationError, match="frozen"):
        settings.listen_port = 1  # type: ignore[misc]  # the point
