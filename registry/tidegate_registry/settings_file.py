"""Reads `Settings` from the environment and from a TOML or YAML file; what is not known is refused, not ignored."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from tidegate.errors import InvalidInput, Reason
from tidegate.formats.yamldoc import parse_yaml
from tidegate_registry.settings import Settings

PREFIX = "TIDEGATE_REGISTRY_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
MAX_FILE_BYTES = 1 << 20  # a settings file has a few hundred lines


class SettingsInvalid(InvalidInput):
    """The settings do not say what they must; one reason for each key that is wrong."""

    code = "settings-invalid"


class _FromEnvironment(BaseSettings, Settings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # an empty variable is one that is not set
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # what is given first wins: the file comes in as init values


def load_settings(file: Path | None = None) -> Settings:
    """Read the settings. `file`: TOML or YAML; without it TIDEGATE_REGISTRY_CONFIG may name one.

    Raises SettingsInvalid with a reason for each key that is missing, unknown or wrong; values are never repeated, as
    they may be secrets.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = file or (Path(named) if named else None)
    unknown = [name for name in sorted(os.environ) if _is_unknown(name)]
    if unknown:
        raise SettingsInvalid(
            "there is no such setting",
            found=", ".join(unknown),
            expected=f"{PREFIX} and a key of docs/reference/settings.md, in capitals",
            hint="remove the variable or correct its name",
        )
    try:
        return _FromEnvironment(**(_read(path) if path else {}))  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        raise _explain(error, path) from None
    except (SettingsError, RecursionError, UnicodeError) as error:  # none of these repeats the variable's value
        raise SettingsInvalid(
            "an environment variable is not what its setting takes",
            found=str(error)[:300],
            expected="text in UTF-8; for a list or a table JSON, such as [] or {}",
            hint="correct it, or put the setting into the file",
        ) from None


def variable_for(key: str) -> str:
    """Give the environment variable of a dotted key: `s3.bucket` is TIDEGATE_REGISTRY_S3__BUCKET."""
    return PREFIX + key.upper().replace(".", "__")


def _is_unknown(variable: str) -> bool:
    if not variable.upper().startswith(PREFIX) or variable == CONFIG_VARIABLE:
        return False
    key = variable[len(PREFIX) :].lower().partition("__")[0]
    return key not in Settings.model_fields


def _read(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise SettingsInvalid("the settings file is too large", expected=f"at most {MAX_FILE_BYTES} bytes")
        if path.suffix in (".yaml", ".yml"):
            document: object = parse_yaml(raw, limit=MAX_FILE_BYTES, name=str(path), error=SettingsInvalid).value
        else:
            document = tomllib.loads(raw.decode())
    except (OSError, ValueError, RecursionError) as error:  # tomllib's and the decoder's errors are ValueErrors
        raise SettingsInvalid(f"{path} cannot be read as settings", found=str(error)[:300]) from error
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise SettingsInvalid(f"{path} is not a table of settings", found=type(document).__name__)
    return document


def _explain(error: ValidationError, path: Path | None) -> SettingsInvalid:
    reasons = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        reasons.append(
            Reason(
                code="setting-invalid",
                message=f"{key}: {item['msg']}",
                expected="see docs/reference/settings.md",
                hint=f"set {variable_for(key)}" + (f" or correct {key} in {path}" if path else ""),
            )
        )
    invalid = SettingsInvalid("the settings are not complete" if len(reasons) > 1 else reasons[0].message)
    invalid.reasons = tuple(reasons)
    return invalid
