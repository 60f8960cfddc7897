"""The sandbox's registry.yaml: the settings of its registry, for the operator's commands, such as `fsck --config`."""

from __future__ import annotations

import json

from pydantic import BaseModel, SecretStr


def settings_text(settings: BaseModel) -> bytes:
    """Write what was set, with the secrets, which are a sandbox's. JSON is YAML."""
    return json.dumps(_plain(settings), indent=1).encode() + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in sorted(value.model_fields_set)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
