"""Write docs/reference/settings.md from the settings themselves.

scripts/settings_doc.py            writes the page
scripts/settings_doc.py --check    fails when it is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

TARGET = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"
HEAD = """\
# Settings of the registry

Written by `scripts/settings_doc.py` from the settings themselves; do not edit.

`tidegate-registry serve` reads the environment, then a TOML or YAML file (`--config FILE`, or the file that
`TIDEGATE_REGISTRY_CONFIG` names). The environment wins. Lists and tables in the environment are JSON. A key or a
`TIDEGATE_REGISTRY_…` variable that is not on this page stops the start.

A file says the same with nested keys:

```toml
public_url = "https://registry.acme.example"
database_url = "postgresql://tidegate@db/tidegate"
trust_file = "/etc/tidegate/trust.yaml"
token_key_file = "/etc/tidegate/token.pem"

[s3]
bucket = "acme-tidegate"
region = "eu-central-1"

[[issuers]]
issuer = "https://token.actions.githubusercontent.com"
kind = "github"
```
"""


@dataclass(frozen=True)
class Section:
    """A model whose fields are keys. `prefix`: of their dotted names; `listed`: it is the member of a list."""

    title: str
    prefix: str
    model: type[BaseModel]
    listed: bool = False


def main() -> int:
    """Write or check."""
    text = render()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print("docs/reference/settings.md is not what the settings say: run scripts/settings_doc.py", file=sys.stderr)
    return 1


def render() -> str:
    """Give the whole page."""
    from tidegate_registry.settings import Settings

    sections = [Section("General", "", Settings), *_nested(Settings, "")]
    return HEAD + "".join(_section(section) for section in sections)


def _nested(model: type[BaseModel], prefix: str) -> Iterator[Section]:
    for name, field in model.model_fields.items():
        inner, listed = _model_of(field)
        if inner is not None:
            yield Section(field.description or name, f"{prefix}{name}", inner, listed)
            yield from _nested(inner, f"{prefix}{name}.")


def _model_of(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, False
    members = [each for each in get_args(kind) if isinstance(each, type) and issubclass(each, BaseModel)]
    return (members[0], True) if get_origin(kind) is tuple and members else (None, False)


def _section(section: Section) -> str:
    from tidegate_registry.settings_file import variable_for

    title = section.title if not section.prefix else f"`{section.prefix}`: {section.title}"
    lines = [f"\n## {title}\n"]
    if section.listed:
        lines.append(f"A list. In the environment: `{variable_for(section.prefix)}`, a JSON array of objects.\n")
        lines += ["| key | default | unit | meaning |", "| --- | --- | --- | --- |"]
    else:
        lines += ["| key | variable | default | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, field in section.model.model_fields.items():
        inner, _ = _model_of(field)
        key = f"{section.prefix}.{name}" if section.prefix else name
        meaning = (field.description or "").replace("|", "\\|")
        if inner is not None:
            meaning, default = f"see [`{key}`](#{key})", "see there"
        else:
            default = _default(field)
        cells = [f"`{name}`", default, _unit(field), meaning]
        if not section.listed:
            cells.insert(1, f"`{variable_for(key)}`")
        lines.append(f"| {' | '.join(cells)} |")
    return (
        "\n".join(lines).replace(f"## `{section.prefix}`", f'<a id="{section.prefix}"></a>\n\n## `{section.prefix}`')
        + "\n"
    )


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "empty"
    value: object = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return f"`{value.get_secret_value()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= 1 << 16 and value % 1024 == 0:
        return f"`{value}` ({_binary(value)})"
    return f"`{value}`" if str(value) else "empty"


def _binary(value: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value % size == 0:
            return f"{value // size} {unit}"
    return str(value)


def _unit(field: FieldInfo) -> str:
    from tidegate_registry.settings_unit import Unit

    return next((each.name for each in field.metadata if isinstance(each, Unit)), "")


if __name__ == "__main__":
    sys.exit(main())
