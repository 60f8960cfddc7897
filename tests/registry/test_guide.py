"""docs/guides/run-a-registry.md does what it says: its settings, its commands, its numbers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from tests.registry.test_cli import serving, wait_ready
from tests.registry.world import store_settings
from tidegate_registry.access.token_keys import load_token_key
from tidegate_registry.metrics import Metrics
from tidegate_registry.settings import Keeping, Limits, S3Settings, Settings
from tidegate_registry.settings_file import load_settings, variable_for
from tidegate_registry.settings_log import LogSettings, VsaSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tidegate_registry.sandbox.s3 import S3Endpoint

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "run-a-registry.md").read_text(encoding="utf-8")
OF_LOGS = {"request_id", "not_ready"}  # a field and an event that are spelt like settings
PROGRAMS = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


def shell(script: str, folder: Path, settings: dict[str, str]) -> str:
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env=settings | {"PATH": path, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def there(s3: S3Endpoint, tmp_path: Path) -> Path:
    """The guide's settings file, with the addresses and folders of this test; its other files beside it."""
    (tmp_path / "root.json").write_text('{"tlogs": [{}], "certificateAuthorities": [{}], "ctlogs": [{}]}')
    (tmp_path / "trust.yaml").write_text("format: tidegate/trust/v1\nroots: {own: {file: root.json}}\ncharters: []\n")
    (tmp_path / "s3-secret").write_text(s3.secret_key + "\n")
    (text,) = blocks("toml")
    for said, here in {
        "/etc/tidegate/": f"{tmp_path}/",
        "https://s3.acme.example": s3.url,
        "eu-central-1": s3.region,
        '"acme-tidegate"': f'"{s3.bucket}"\nprefix = "{store_settings(s3).prefix}{tmp_path.name}/"',
        'access_key = "tidegate"': f'access_key = "{s3.access_key}"',
    }.items():
        assert said in text
        text = text.replace(said, here)
    (tmp_path / "registry.toml").write_text(text)
    return tmp_path


@pytest.mark.skipif(shutil.which("openssl") is None or shutil.which("curl") is None, reason="needs openssl and curl")
def test_from_the_key_to_the_metrics_as_the_guide_says(there: Path, database_url: str) -> None:
    make_key, environment, start, look = blocks("sh")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    shell(make_key, there, clean)
    load_token_key(there / "token.pem")
    names = re.findall(r"^export (\w+)=", environment, flags=re.MULTILINE)
    settings = clean | dict(zip(names, (str(there / "registry.toml"), database_url), strict=True))
    migrate, serve = start.splitlines()
    assert serve == "tidegate-registry serve"
    shell(migrate, there, settings)
    with serving(settings) as (url, process, _):
        assert wait_ready(url, process).json()["status"] == "ready"
        shown = shell(look.replace("http://127.0.0.1:5000", url), there, settings)
    assert '"status":"ready"' in shown
    assert load_settings(there / "registry.toml").trusted_proxies


def test_every_setting_and_every_metric_that_it_names_exists() -> None:
    groups: dict[str, type[BaseModel]] = {
        "s3": S3Settings,
        "limits": Limits,
        "keeping": Keeping,
        "log": LogSettings,
        "vsa": VsaSettings,
    }
    known = [*Settings.model_fields, *(f"{name}.{key}" for name, group in groups.items() for key in group.model_fields)]
    named = set(re.findall(r"\bTIDEGATE_REGISTRY_[A-Z0-9_]+\b", GUIDE)) - {"TIDEGATE_REGISTRY_CONFIG"}
    assert named <= {variable_for(key) for key in known}
    short = {key.rpartition(".")[2] for key in known}
    for key in re.findall(r"`([a-z]+(?:_[a-z]+)+)(?: = [^`]*)?`", GUIDE):
        assert key in short or key.startswith("tidegate_") or key in OF_LOGS, key
    exposed = Metrics().render().body
    for metric in re.findall(r"`(tidegate_[a-z_]+)`", GUIDE):
        assert metric.encode() in bytes(exposed), metric


def test_every_log_event_that_it_names_is_logged_somewhere() -> None:
    events = re.search(r"Alert on (.*?)\.\n", GUIDE, flags=re.DOTALL)
    assert events is not None
    code = "\n".join(path.read_text() for path in (ROOT / "registry" / "tidegate_registry").rglob("*.py"))
    for event in re.findall(r"`([a-z_.]+)`", events[1]):
        assert f'"{event}"' in code, event
